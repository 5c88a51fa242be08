// A bare WebSocket with an inbox, to see exactly what the server sends. Knows no SDK.

import WebSocket from "ws";
import { Inbox, inTime } from "../../support/inbox.js";
import { DEADLINE_MS } from "./journal.js";

export const JSON_SUBPROTOCOL = "json.webpubsub.azure.v1";

export class Socket {
  #webSocket;
  #inbox = new Inbox();
  #closed;
  #ackId = 0;

  constructor(webSocket) {
    this.#webSocket = webSocket;
    webSocket.on("message", (data, isBinary) => this.#inbox.put(this.#decode(data, isBinary)));
    this.#closed = new Promise((resolve) =>
      webSocket.once("close", (code, reason) => resolve({ code, reason: reason.toString() })),
    );
  }

  /**
   * Opens a socket.
   *
   * @throws {Error} with `statusCode` and `body` when the server answers the request with a refusal
   */
  static async open(url, subprotocols, options) {
    const webSocket = new WebSocket(url, subprotocols, options);
    const socket = new Socket(webSocket);
    await new Promise((resolve, reject) => {
      webSocket.once("open", resolve);
      webSocket.on("error", reject);
      webSocket.once("unexpected-response", (request, response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.once("end", () => {
          const refusal = new Error(`refused with ${response.statusCode}`);
          reject(Object.assign(refusal, { statusCode: response.statusCode, body: Buffer.concat(chunks).toString() }));
        });
      });
    });
    return socket;
  }

  /** What the server chose of what was offered; empty if nothing. */
  get subprotocol() {
    return this.#webSocket.protocol;
  }

  /** Waits for the first message of a JSON client, and keeps what it says. */
  async connected() {
    const { connectionId, userId } = await this.next();
    this.id = connectionId;
    this.userId = userId;
  }

  /** The next message: of a JSON client the object, of others `{ text }` or `{ binary }`. */
  next() {
    return inTime(this.#inbox.take(), "a message", DEADLINE_MS);
  }

  /** Code and reason with which the socket was closed; rejects when it stays open. */
  ended() {
    return inTime(this.#closed, "the end of the connection", DEADLINE_MS);
  }

  /** Sends text or bytes as they are. */
  send(data) {
    this.#webSocket.send(data);
  }

  /** Sends a message of the JSON subprotocol. */
  sendJson(message) {
    this.send(JSON.stringify(message));
  }

  /** Sends a message of the JSON subprotocol and asks for an ack. Returns the ack's number. */
  request(message) {
    this.sendJson({ ...message, ackId: ++this.#ackId });
    return this.#ackId;
  }

  /** Sends a message of the JSON subprotocol; resolves with true, or the name of the error, once it is answered. */
  async do(message) {
    const ackId = this.request(message);
    for (;;) {
      const answer = await this.next();
      if (answer.type === "ack" && answer.ackId === ackId) {
        return answer.success || answer.error.name;
      }
    }
  }

  /** Closes with a close frame. */
  close(code, reason) {
    this.#webSocket.close(code, reason);
  }

  /** Is gone without a word. */
  drop() {
    this.#webSocket.terminate();
  }

  #decode(data, isBinary) {
    if (this.subprotocol === JSON_SUBPROTOCOL) {
      return JSON.parse(data.toString());
    }
    return isBinary ? { binary: [...data] } : { text: data.toString() };
  }
}
