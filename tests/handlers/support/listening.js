// An HTTP server on a free port of the loopback interface. The applications of this suite are made on it.

import { createServer } from "node:http";

export class Listening {
  #server;

  /** Where it listens, such as `http://127.0.0.1:4711`; known once `start` is done. */
  origin;

  constructor(handle) {
    this.#server = createServer(handle);
  }

  async start() {
    await new Promise((resolve, reject) => this.#server.once("error", reject).listen(0, "127.0.0.1", resolve));
    this.origin = `http://127.0.0.1:${this.#server.address().port}`;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
