// An example and a server of its own that sends it events, by the settings in the folder of the example.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer } from "../support/server.js";
import { startExample } from "./example.js";
import { startRelay } from "./relay.js";

const STEP_WITHIN_MS = 15_000;

/**
 * Starts both, and stops them when the test ends.
 *
 * @param {import("node:test").TestContext} t
 * @param {object} wanted
 * @param {string} wanted.name folder under `examples/`
 * @param {import("playwright-core").Browser} wanted.browser
 * @param {Record<string, string>} [wanted.environment] further variables for the example
 * @param {string[]} [wanted.flags] further flags of `hubbub dev`
 * @param {(connectionString: string) => string} [wanted.rewrite] makes the example's connection string of the server's
 * @returns {Promise<Pair>}
 */
export async function startPair(t, { name, browser, environment, flags = [], rewrite = (same) => same }) {
  const pair = new Pair(name, environment);
  t.after(() => pair.stop());
  await pair.start(browser, flags, rewrite);
  return pair;
}

class Pair {
  #name;
  #environment;
  #directory;
  #relay;
  #server;
  #connectionString;
  #example;
  #context;

  constructor(name, environment) {
    this.#name = name;
    this.#environment = environment;
  }

  async start(browser, flags, rewrite) {
    this.#relay = await startRelay();
    this.#directory = await mkdtemp(join(tmpdir(), "hubbub-example-"));
    this.#server = await startServer(["--hubs", await this.#settings(), "--handler-proxy", "off", ...flags]);
    this.#connectionString = rewrite(this.#server.connectionString);
    this.#context = await browser.newContext();
    this.#context.setDefaultTimeout(STEP_WITHIN_MS);
    await this.startExample();
  }

  /** A new tab with the page of the example. */
  async openTab() {
    const tab = await this.#context.newPage();
    await tab.goto(this.#example.url);
    return tab;
  }

  async startExample() {
    this.#example = await startExample(this.#name, this.#connectionString, this.#environment);
    this.#relay.leadTo(this.#example.url);
  }

  /** From now on no event of the server is accepted. */
  async stopExample() {
    this.#relay.leadTo(undefined);
    await this.#example?.stop();
    this.#example = undefined;
  }

  async stop() {
    await this.#context?.close();
    await this.stopExample();
    try {
      await this.#server?.stop();
    } finally {
      await this.#relay?.stop();
      await rm(this.#directory, { recursive: true, force: true });
    }
  }

  /** The example's own settings, but for the port. */
  async #settings() {
    const written = await readFile(new URL(`../../examples/${this.#name}/hubs.yaml`, import.meta.url), "utf8");
    const path = join(this.#directory, "hubs.yaml");
    await writeFile(path, written.replace(/http:\/\/127\.0\.0\.1:\d+/, this.#relay.url));
    return path;
  }
}
