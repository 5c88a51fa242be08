// A TCP proxy in front of the server that breaks as networks do. Knows nothing of what it carries.

import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { endpointOf } from "./hub.js";

export class Proxy {
  #server;
  #transport;
  #links = new Set();
  #isOpen = true;
  /** How often each kind of fault has happened. */
  counts = {};

  constructor(transport) {
    const { hostname, port } = new URL(endpointOf(transport));
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      const link = new Link(near, connect({ host: hostname, port, allowHalfOpen: true }));
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
      if (links.length > 0) {
        links[Math.floor(fault.victim * links.length)].suffer(fault);
        this.counts[fault.kind] = (this.counts[fault.kind] ?? 0) + 1;
      }
    }
  }
}

/** A client's socket and the one that was opened for it. */
class Link {
  #ends;
  #lanes;

  constructor(near, far) {
    this.#ends = [near, far];
    this.#lanes = { up: new Lane(near, far), down: new Lane(far, near) };
    for (const socket of this.#ends) {
      socket.setNoDelay(true);
      socket.on("error", () => this.reset());
    }
  }

  reset() {
    this.#ends.forEach((socket) => socket.resetAndDestroy());
  }

  suffer({ kind, direction, part, lasting, latency }) {
    const lane = this.#lanes[direction];
    switch (kind) {
      case "kill":
        return lane.breakWithin(part, () => this.reset());
      case "halfClose":
        return lane.breakWithin(part, () => lane.end());
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
  #heldUntil = 0;
  #latency = 0;
  #lateUntil = 0;
  #break;

  constructor(source, sink) {
    this.#source = source;
    this.#sink = sink;
    source.on("data", (chunk) => this.#inDueTime(() => this.#pass(chunk)));
    source.on("end", () => this.#inDueTime(() => this.end()));
    sink.on("drain", () => source.resume());
  }

  /** Nothing passes for so many milliseconds. */
  hold(lasting) {
    this.#heldUntil = performance.now() + lasting;
  }

  /** Whatever passes is late. */
  delay(latency, lasting) {
    this.#latency = latency;
    this.#lateUntil = performance.now() + lasting;
  }

  /** Passes a part of what comes next, and then does `breakOff`. */
  breakWithin(part, breakOff) {
    this.#break = { part, breakOff };
  }

  /** The sink is told that nothing more comes, and nothing does; its own direction stays open. */
  end() {
    this.#sink.end();
  }

  #inDueTime(act) {
    const now = performance.now();
    const wait = Math.max(this.#heldUntil - now, now < this.#lateUntil ? this.#latency : 0);
    if (wait <= 0) {
      return act();
    }
    this.#source.pause();
    setTimeout(() => {
      this.#source.resume();
      act();
    }, wait);
  }

  #pass(chunk) {
    if (!this.#sink.writable) {
      return;
    }
    if (this.#break) {
      const { part, breakOff } = this.#break;
      this.#sink.write(chunk.subarray(0, Math.floor(part * chunk.length)));
      this.#break = undefined;
      breakOff();
    } else if (!this.#sink.write(chunk)) {
      this.#source.pause();
    }
  }
}
