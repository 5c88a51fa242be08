// One server with settings of hubs, and the applications that take their events. A test file declares hubs and
// applications first; then applications start, because the settings name their ports, and the server last.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { setImmediate } from "node:timers/promises";
import { startServer } from "../../support/server.js";
import { Hub } from "./hub.js";
import { PRIMARY_KEY, SECONDARY_KEY } from "./keys.js";

/** All events that a handler can ask for but those of groups. */
export const ALL_EVENTS = { userEventPattern: "*", systemEvents: ["connect", "connected", "disconnected"] };

export class Stage {
  #flags;
  #applications = [];
  #hubs = [];
  #onStart = [];
  #directory;
  #server;

  /** Starts before the tests of the calling file and stops after them. `flags` are further flags of `hubbub dev`. */
  constructor(flags = []) {
    this.#flags = ["--access-key", PRIMARY_KEY, "--secondary-key", SECONDARY_KEY, ...flags];
    before(() => this.#start());
    after(() => this.#stop());
  }

  /** Adds an application: something with `start` and `stop`. */
  add(application) {
    this.#applications.push(application);
    return application;
  }

  /**
   * Adds a hub. `settings` gives its entry in the file of hub settings, once the applications have their ports.
   *
   * @param {() => object} settings
   */
  hub(settings) {
    const hub = new Hub(settings);
    this.#hubs.push(hub);
    return hub;
  }

  /** Has something done once the server listens, before the first test. */
  onStart(action) {
    this.#onStart.push(action);
  }

  /** The two ways to the server, by name: connection string and, where it is needed, the authority to trust. */
  transports;

  async #start() {
    // The runner may call this before the test file has said all that it has to say.
    await setImmediate();
    for (const application of this.#applications) {
      await application.start();
    }
    this.#directory = await mkdtemp(join(tmpdir(), "hubbub-handlers-"));
    const file = join(this.#directory, "hubs.yaml");
    const hubs = Object.fromEntries(this.#hubs.map((hub) => [hub.name, hub.settings()]));
    // JSON is YAML too.
    await writeFile(file, JSON.stringify({ hubs }));
    this.#server = await startServer(["--hubs", file, ...this.#flags]);
    this.transports = {
      http: { connectionString: this.#server.connectionString },
      https: {
        connectionString: this.#server.tlsConnectionString,
        ca: await readFile(this.#server.certificateAuthority, "utf8"),
      },
    };
    for (const hub of this.#hubs) {
      hub.transports = this.transports;
    }
    this.#onStart.forEach((action) => action());
  }

  async #stop() {
    await this.#server?.stop();
    for (const application of this.#applications) {
      await application.stop();
    }
    if (this.#directory) {
      await rm(this.#directory, { recursive: true });
    }
  }
}
