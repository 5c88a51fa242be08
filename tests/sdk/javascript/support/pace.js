// How fast messages may be published to reliable clients that are often away. A client acknowledges what it has once a
// second, and the server ends a connection with more than 1,000 messages unacknowledged; so that this is not what a
// test sees, publishers wait.

import { setTimeout as delay } from "node:timers/promises";

/** Most messages of a receiver that may be on their way to it or not acknowledged. */
const MOST_UNSETTLED = 600;
/** Milliseconds after which a message that was received has been acknowledged, however often the client had to come back. */
const SETTLED_AFTER = 3500;
/** Milliseconds between two looks whether there is room again. */
const LOOK = 15;

/** What one receiver has been sent and has not acknowledged, as far as can be seen from here. */
export class Backlog {
  #published = 0;
  #settled = 0;
  #receivedAt = [];

  published() {
    this.#published += 1;
  }

  received() {
    this.#receivedAt.push(performance.now());
  }

  get unsettled() {
    const settled = performance.now() - SETTLED_AFTER;
    while (this.#receivedAt[this.#settled] < settled) {
      this.#settled += 1;
    }
    return this.#published - this.#settled;
  }
}

/** Waits until each of `receivers` has room for `count` messages more, or `done()`. */
export async function room(receivers, count, done) {
  while (!done() && receivers.some((receiver) => receiver.backlog.unsettled + count > MOST_UNSETTLED)) {
    await delay(LOOK);
  }
}
