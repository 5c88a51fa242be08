// Who is there, by connection.

/** How many of those who left are remembered. */
const REMEMBERED = 1_000;

export class Crowd {
  #here = new Set();
  #left = new Set();

  get size() {
    return this.#here.size;
  }

  /** For the event `connected`, which may come after `disconnected`, or twice: who has left stays away. */
  arrive(connectionId) {
    if (!this.#left.has(connectionId)) {
      this.#here.add(connectionId);
    }
  }

  /** For the event `disconnected`. */
  leave(connectionId) {
    this.#here.delete(connectionId);
    this.#left.add(connectionId);
    if (this.#left.size > REMEMBERED) {
      const [oldest] = this.#left;
      this.#left.delete(oldest);
    }
  }
}
