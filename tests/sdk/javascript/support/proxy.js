// A TCP proxy in front of the server that breaks as networks do. Knows nothing of what it carries.

import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { ENDS, KINDS } from "./faults.js";
import { endpointOf } from "./hub.js";

/** Milliseconds for which a new link does not have its turn. */
const SPARED = 2000;

export class Proxy {
  #server;
  #transport;
  #links = new Set();
  #isOpen = true;
  /** How often each kind of fault has met something that was on its way; one that nothing came to meet is not counted. */
  counts = Object.fromEntries(KINDS.map((kind) => [kind, 0]));

  constructor(transport) {
    const { hostname, port } = new URL(endpointOf(transport));
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      const link = new Link(near, connect({ host: hostname, port, allowHalfOpen: true }), (kind) => {
        this.counts[kind] += 1;
      });
      this.#links.add(link);
      near.on("close", () => this.#links.delete(link));
    });
    this.#transport = transport;
  }

  /** A proxy before the server of `transport`. */
  static async start(transport) {
    const proxy = new Proxy(transport);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** Ends it. Clients should have been stopped: they would try to come back for half a minute. */
  close() {
    this.#isOpen = false;
    this.#server.close();
    this.cut();
  }

  /** The transport whose way leads through the proxy. */
  get transport() {
    const endpoint = `http://127.0.0.1:${this.#server.address().port}`;
    const connectionString = this.#transport.connectionString.replace(endpointOf(this.#transport), endpoint);
    return { ...this.#transport, name: "proxy", connectionString };
  }

  /** Breaks all connections at once. */
  cut() {
    this.#links.forEach((link) => link.reset());
  }

  /** Lets one fault after the other happen, until `done()` or the proxy is closed. */
  async suffer(faults, done) {
    for (const fault of faults) {
      await delay(fault.after);
      if (done() || !this.#isOpen) {
        return;
      }
      const links = [...this.#links];
      const index = fault.inTurn ? links.findIndex((link) => link.isDue) : Math.floor(fault.victim * links.length);
      links[index]?.suffer(fault);
    }
  }
}

/** A client's socket and the one that was opened for it. */
class Link {
  #since = performance.now();
  #isDoomed = false;
  #ends;
  #lanes;

  /** `met(kind)` is called once for each fault that meets something. */
  constructor(near, far, met) {
    this.#ends = [near, far];
    this.#lanes = { up: new Lane(near, far, met), down: new Lane(far, near, met) };
    for (const socket of this.#ends) {
      socket.setNoDelay(true);
      socket.on("error", () => this.reset());
    }
  }

  reset() {
    this.#ends.forEach((socket) => socket.resetAndDestroy());
  }

  /** Whether it may have its turn: it is to end once, and not so soon that its client never acknowledges anything. */
  get isDue() {
    return !this.#isDoomed && performance.now() - this.#since > SPARED;
  }

  suffer({ kind, direction, part, lasting, latency }) {
    const lane = this.#lanes[direction];
    this.#isDoomed ||= ENDS.includes(kind);
    switch (kind) {
      case "kill":
        return lane.breakWithin(kind, part, () => this.reset());
      case "halfClose":
        return lane.breakWithin(kind, part, () => lane.end());
      case "stall":
        return lane.hold(lasting);
      case "delay":
        return lane.delay(latency, lasting);
    }
  }
}

/** One direction of a link. */
class Lane {
  #source;
  #sink;
  #met;
  #stall;
  #delay;
  #break;

  constructor(source, sink, met) {
    this.#source = source;
    this.#sink = sink;
    this.#met = met;
    source.on("data", (chunk) => this.#inDueTime(() => this.#pass(chunk)));
    source.on("end", () => this.#inDueTime(() => this.end()));
    sink.on("drain", () => source.resume());
  }

  /** Nothing passes for so many milliseconds. */
  hold(lasting) {
    const until = performance.now() + lasting;
    this.#stall = { kind: "stall", wait: (now) => until - now };
  }

  /** Whatever passes is late. */
  delay(latency, lasting) {
    const until = performance.now() + lasting;
    this.#delay = { kind: "delay", wait: (now) => (now < until ? latency : 0) };
  }

  /** Passes a part of what comes next, and then does `breakOff`. */
  breakWithin(kind, part, breakOff) {
    this.#break = { kind, part, breakOff };
  }

  /** The sink is told that nothing more comes, and nothing does; its own direction stays open. */
  end() {
    this.#sink.end();
  }

  #inDueTime(act) {
    const now = performance.now();
    const hindrances = [this.#stall, this.#delay].filter((hindrance) => hindrance?.wait(now) > 0);
    hindrances.forEach((hindrance) => this.#meet(hindrance));
    const wait = Math.max(0, ...hindrances.map((hindrance) => hindrance.wait(now)));
    if (wait === 0) {
      return act();
    }
    this.#source.pause();
    setTimeout(() => {
      this.#source.resume();
      act();
    }, wait);
  }

  #meet(fault) {
    if (!fault.isMet) {
      fault.isMet = true;
      this.#met(fault.kind);
    }
  }

  #pass(chunk) {
    if (!this.#sink.writable) {
      return;
    }
    if (this.#break) {
      const { part, breakOff } = this.#break;
      this.#sink.write(chunk.subarray(0, Math.floor(part * chunk.length)));
      this.#meet(this.#break);
      this.#break = undefined;
      breakOff();
    } else if (!this.#sink.write(chunk)) {
      this.#source.pause();
    }
  }
}
