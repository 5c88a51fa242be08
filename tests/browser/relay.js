// A port for the address that a server's settings name, before there is anything to answer: the example needs the
// server's address, and the server the example's.

import { connect, createServer } from "node:net";

/** A server does not repeat an event that is answered so. */
const NOTHING_THERE = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/** @returns {Promise<Relay>} listening on a free port, with nothing behind it */
export async function startRelay() {
  const relay = new Relay();
  await relay.listening();
  return relay;
}

class Relay {
  #target;
  #sockets = new Set();
  #server = createServer((incoming) => this.#join(incoming));

  async listening() {
    await new Promise((resolve, reject) => {
      this.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** From now on whoever connects talks to this URL; without one the relay says that nothing is there. */
  leadTo(url) {
    this.#target = url && new URL(url);
  }

  async stop() {
    this.#sockets.forEach((socket) => socket.destroy());
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(incoming) {
    if (!this.#target) {
      this.#sockets.add(incoming);
      incoming.on("error", () => {}).on("close", () => this.#sockets.delete(incoming));
      incoming.resume().end(NOTHING_THERE);
      return;
    }
    const outgoing = connect(Number(this.#target.port), this.#target.hostname);
    for (const [socket, other] of [[incoming, outgoing], [outgoing, incoming]]) {
      this.#sockets.add(socket);
      // Whatever ends one side ends the other.
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    incoming.pipe(outgoing).pipe(incoming);
  }
}
