// A bare WebSocket with an inbox, to see exactly what the server sends. Knows no SDK.

import WebSocket from "ws";
import { Inbox, inTime } from "../../../support/inbox.js";

const JSON_SUBPROTOCOL = "json.webpubsub.azure.v1";

export class Socket {
  #webSocket;
  #inbox = new Inbox();

  constructor(webSocket, decode) {
    this.#webSocket = webSocket;
    webSocket.on("message", (data, isBinary) => this.#inbox.put(decode(data, isBinary)));
    /** Resolves with `{ code, reason }` when the socket is closed. */
    this.closed = new Promise((resolve) =>
      webSocket.once("close", (code, reason) => resolve({ code, reason: reason.toString() })),
    );
  }

  /** Opens a client of the JSON subprotocol and waits for its `connected` message. */
  static async openJson(url) {
    const socket = await open(url, [JSON_SUBPROTOCOL], (data) => JSON.parse(data.toString()));
    const connected = await socket.next();
    socket.id = connected.connectionId;
    socket.userId = connected.userId;
    return socket;
  }

  /** Opens a client without a subprotocol; its messages are `{ text }` or `{ binary }`. */
  static async openRaw(url) {
    return open(url, [], (data, isBinary) => (isBinary ? { binary: data } : { text: data.toString() }));
  }

  /** The next message; rejects when none came in time. */
  next() {
    return inTime(this.#inbox.take(), "a message");
  }

  /** What the close frame said; rejects when the socket stays open. */
  ended() {
    return inTime(this.closed, "the end of the connection");
  }

  send(message) {
    this.#webSocket.send(JSON.stringify(message));
  }

  close() {
    this.#webSocket.terminate();
  }
}

function open(url, subprotocols, decode) {
  const webSocket = new WebSocket(url, subprotocols);
  const socket = new Socket(webSocket, decode);
  return new Promise((resolve, reject) => {
    webSocket.once("open", () => resolve(socket));
    webSocket.on("error", reject);
    webSocket.once("unexpected-response", (request, response) => {
      reject(Object.assign(new Error(`refused with ${response.statusCode}`), { statusCode: response.statusCode }));
      request.destroy();
    });
  });
}
