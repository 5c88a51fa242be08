// Waiting in JavaScript tests: always for something that happens, never for longer than a deadline. Called by what
// records messages and events in the suites.

/** A queue whose reader waits. */
export class Inbox {
  #items = [];
  #readers = [];

  put(item) {
    const reader = this.#readers.shift();
    reader ? reader(item) : this.#items.push(item);
  }

  take() {
    return this.#items.length > 0
      ? Promise.resolve(this.#items.shift())
      : new Promise((resolve) => this.#readers.push(resolve));
  }
}

/** The value of `promise`; rejects when it is not there within the deadline, ten seconds unless told. */
export function inTime(promise, what, milliseconds = 10_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms in vain for ${what}`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
