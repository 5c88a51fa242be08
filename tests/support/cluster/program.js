// One program that the cluster runs: started, watched, stopped. Knows nothing of what the program does.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { inTime } from "../inbox.js";

/** Longest time from SIGTERM to the end. Callers of the cluster give it 15 seconds. */
const STOPPED_WITHIN_MS = 12_000;

export class Program {
  #child;
  #isStopping = false;
  #watchers = new Set();

  /**
   * @param {string} name by which it is known in what is printed
   * @param {string} command
   * @param {string[]} flags
   * @param {object} options
   * @param {(fault: string) => void} options.onLost called when it ends by itself
   */
  constructor(name, command, flags, { onLost }) {
    this.name = name;
    this.#child = spawn(command, flags, { stdio: ["ignore", "pipe", "pipe"], env: environment() });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        process.stderr.write(`[${name}] ${line}\n`);
        this.#watchers.forEach((watcher) => watcher(line));
      });
    }
    /** How it ended, in words; `status 0` when all is well. */
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(`could not be started: ${error.message}`));
      this.#child.once("close", (code, signal) => resolve(signal ?? `status ${code}`));
    });
    this.ended.then((how) => this.#isStopping || onLost(`${name} ended by itself: ${how}`));
  }

  /** The first value but undefined that `find` gives for a line of its output. */
  line(find, what) {
    const found = new Promise((resolve) => {
      const watcher = (line) => {
        const value = find(line);
        if (value !== undefined) {
          this.#watchers.delete(watcher);
          resolve(value);
        }
      };
      this.#watchers.add(watcher);
    });
    return inTime(found, `${this.name}: ${what}`);
  }

  /** Asks it to end, and gives how it did. */
  async stop() {
    this.#isStopping = true;
    this.#child.kill("SIGTERM");
    return inTime(this.ended, `the end of ${this.name}`, STOPPED_WITHIN_MS).catch((late) => {
      this.kill();
      return late.message;
    });
  }

  /** Ends it at once. */
  kill() {
    this.#isStopping = true;
    this.#child.kill("SIGKILL");
  }
}

/** What is set for the suites must not change what they test. */
function environment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HUBBUB_")));
}
