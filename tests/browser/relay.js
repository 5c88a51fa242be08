// A port of its own for the address that a server's settings name, before there is anything to answer: the example needs
// the server's address, and the server the example's.

import { connect, createServer } from "node:net";

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

  /** From now on whoever connects talks to this URL; without one the relay hangs up. */
  leadTo(url) {
    this.#target = url && new URL(url);
  }

  async stop() {
    this.#sockets.forEach((socket) => socket.destroy());
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(incoming) {
    const outgoing = this.#target && connect(Number(this.#target.port), this.#target.hostname);
    for (const [socket, other] of [[incoming, outgoing], [outgoing, incoming]]) {
      this.#sockets.add(socket);
      socket?.on("error", () => {});
      socket?.on("close", () => {
        this.#sockets.delete(socket);
        other?.destroy();
      });
    }
    if (outgoing) {
      incoming.pipe(outgoing).pipe(incoming);
    } else {
      incoming.destroy();
    }
  }
}
