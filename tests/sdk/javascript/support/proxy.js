// A TCP proxy in front of the server that can be cut, as networks are. Knows nothing of what it carries.

import { once } from "node:events";
import { connect, createServer } from "node:net";
import { endpointOf } from "./hub.js";

export class Proxy {
  #server;
  #transport;
  #sockets = new Set();

  constructor(transport) {
    const { hostname, port } = new URL(endpointOf(transport));
    this.#server = createServer((near) => {
      const far = connect({ host: hostname, port });
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          this.#sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
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
    this.#sockets.forEach((socket) => socket.resetAndDestroy());
  }
}
