// Who of the team is online, as far as events tell. A member is online as long as one of its connections is there.

/** How many of the connections that ended are remembered. */
const REMEMBERED = 1_000;

export class Team {
  #members = new Map();
  #ended = new Set();

  constructor(names) {
    for (const name of names) {
      this.#members.set(name, { connections: new Set(), hasOlder: false });
    }
  }

  get names() {
    return [...this.#members.keys()];
  }

  has(name) {
    return this.#members.has(name);
  }

  /** For the event `connected`, which may come after `disconnected`, or twice: what has ended stays so. */
  arrive(name, connectionId) {
    if (!this.#ended.has(connectionId)) {
      this.#members.get(name)?.connections.add(connectionId);
    }
  }

  /** For the event `disconnected`. */
  leave(name, connectionId) {
    this.#members.get(name)?.connections.delete(connectionId);
    this.#ended.add(connectionId);
    if (this.#ended.size > REMEMBERED) {
      const [oldest] = this.#ended;
      this.#ended.delete(oldest);
    }
  }

  /** Whether the member has connections from before the start of the application: no event told of those. */
  hasOlder(name) {
    return this.#members.get(name)?.hasOlder ?? false;
  }

  setOlder(name, hasOlder) {
    this.#members.get(name).hasOlder = hasOlder;
  }

  /** Everybody; `tabs` is left out where older connections make it unknown. */
  list() {
    return [...this.#members].map(([name, { connections, hasOlder }]) => ({
      name,
      online: hasOlder || connections.size > 0,
      tabs: hasOlder ? undefined : connections.size,
    }));
  }
}
