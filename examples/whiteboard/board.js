// The board as the application remembers it, for those who come late. It is in memory: a restart is a clean board.

/** With these limits the whole board fits into one message of 1 MiB. The oldest shapes give way. */
const MOST_SHAPES = 2_000;
const MOST_NUMBERS = 120_000;

export class Board {
  #shapes = new Map();
  #numbers = 0;
  #edition = Date.now();

  /** Which board it is. It grows whenever the board is cleared, and over a restart. */
  get edition() {
    return this.#edition;
  }

  get shapes() {
    return [...this.#shapes.values()];
  }

  /** Keeps a shape. The same one again changes nothing: the server repeats an event that was not answered in time. */
  add({ id, color, points }) {
    if (this.#shapes.has(id)) {
      return;
    }
    this.#shapes.set(id, { id, color, points });
    this.#numbers += points.length;
    for (const [oldest, shape] of this.#shapes) {
      if (this.#shapes.size <= MOST_SHAPES && this.#numbers <= MOST_NUMBERS) {
        break;
      }
      this.#shapes.delete(oldest);
      this.#numbers -= shape.points.length;
    }
  }

  clear() {
    this.#shapes.clear();
    this.#numbers = 0;
    this.#edition = Math.max(this.#edition + 1, Date.now());
  }
}
