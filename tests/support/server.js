// Starts one Hubbub server for a JavaScript suite and stops it again. Knows the start-up lines of
// `hubbub dev` and nothing of the tests. Called by the runners of the SDK and the browser suites.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const READY_WITHIN_MS = 30_000;
const STOPPED_WITHIN_MS = 15_000;

const STARTUP_LINES = {
  connectionString: /^Connection string:\s+(\S+)$/m,
  tlsConnectionString: /^Connection string \(TLS\):\s+(\S+)$/m,
  certificateAuthority: /^Certificate authority:\s+(.+)$/m,
  operations: /^Operations:\s+(\S+)/m,
};

/**
 * Starts the binary named in the environment variable HUBBUB as `hubbub dev` on free ports, with a
 * data directory of its own.
 *
 * @param {string[]} flags further flags of `hubbub dev`
 * @returns {Promise<Server>} once the server has printed that it is ready
 * @throws {Error} with what the server printed, when it ended or was not ready within 30 seconds
 */
export async function startServer(flags = []) {
  const binary = process.env.HUBBUB;
  if (!binary) {
    throw new Error("HUBBUB is not set: name the server's binary, for example HUBBUB=$PWD/target/release/hubbub");
  }
  const directory = await mkdtemp(join(tmpdir(), "hubbub-test-"));
  const ports = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0"];
  const child = spawn(binary, ["dev", ...ports, "--data-dir", directory, ...flags]);
  const server = new Server(child, directory);
  try {
    await server.ready();
  } catch (error) {
    await server.stop().catch(() => {});
    throw error;
  }
  return server;
}

/** A running server: the values of its start-up lines, and `stop`. */
class Server {
  #child;
  #directory;
  #stdout = "";
  #stderr = "";
  #exited;

  constructor(child, directory) {
    this.#child = child;
    this.#directory = directory;
    child.stdout.setEncoding("utf8").on("data", (text) => (this.#stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (this.#stderr += text));
    this.#exited = new Promise((resolve) => {
      child.once("error", (error) => resolve(`could not be started: ${error.message}`));
      child.once("exit", (code, signal) => resolve(`ended with ${signal ?? `status ${code}`}`));
    });
  }

  async ready() {
    const lines = new Promise((resolve) => {
      const look = () => /^Ready\.$/m.test(this.#stdout) && resolve("ready");
      this.#child.stdout.on("data", look);
    });
    const outcome = await withDeadline(Promise.race([lines, this.#exited]), READY_WITHIN_MS, "was not ready in time");
    if (outcome !== "ready") {
      throw new Error(`hubbub dev ${outcome}\n${this.#transcript()}`);
    }
    for (const [name, pattern] of Object.entries(STARTUP_LINES)) {
      const found = pattern.exec(this.#stdout);
      if (!found) {
        throw new Error(`hubbub dev printed no line that matches ${pattern}\n${this.#transcript()}`);
      }
      this[name] = found[1];
    }
  }

  /** Ends the server; rejects when it had ended by itself, panicked, or does not end in time. */
  async stop() {
    const alive = this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
    if (alive) {
      this.#child.kill("SIGTERM");
    }
    const outcome = await withDeadline(this.#exited, STOPPED_WITHIN_MS, "did not stop in time");
    if (outcome === "did not stop in time") {
      this.#child.kill("SIGKILL");
      await this.#exited;
    }
    await rm(this.#directory, { recursive: true, force: true });
    const failure = alive ? outcome !== "ended with status 0" : true;
    if (failure || this.#stderr.includes("panicked at")) {
      throw new Error(`hubbub dev ${outcome}\n${this.#transcript()}`);
    }
  }

  #transcript() {
    return `--- its output ---\n${this.#stdout.slice(-4000)}\n--- its errors ---\n${this.#stderr.slice(-4000)}`;
  }
}

async function withDeadline(promise, milliseconds, otherwise) {
  let timer;
  const deadline = new Promise((resolve) => (timer = setTimeout(resolve, milliseconds, otherwise)));
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
