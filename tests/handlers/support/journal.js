// What an application was called with, kept until a test asks for it. Written by the applications of this suite.

import { inTime } from "../../support/inbox.js";

/** Longer than the server's attempts at an event that fails with 500, which take nine seconds. */
export const DEADLINE_MS = 30_000;

export class Journal {
  #entries = [];
  #readers = [];

  /** Writes down one call; `kind` is the name under which tests ask for it. */
  put(kind, call) {
    const index = this.#readers.findIndex((reader) => reader.kind === kind && reader.matches(call));
    if (index >= 0) {
      this.#readers.splice(index, 1)[0].resolve(call);
    } else {
      this.#entries.push({ kind, call });
    }
  }

  /** Takes out the first call of a kind that matches, and waits for it if need be. */
  next(kind, matches = () => true) {
    const index = this.#entries.findIndex((entry) => entry.kind === kind && matches(entry.call));
    if (index >= 0) {
      return Promise.resolve(this.#entries.splice(index, 1)[0].call);
    }
    return inTime(new Promise((resolve) => this.#readers.push({ kind, matches, resolve })), kind, DEADLINE_MS);
  }

  /** How many calls of a kind nobody has taken out. */
  count(kind) {
    return this.#entries.filter((entry) => entry.kind === kind).length;
  }
}
