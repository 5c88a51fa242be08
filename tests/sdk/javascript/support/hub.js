// A hub of its own for each test: clients of the service API and sockets that all belong to it.
// Tests share one server, so a fresh hub name is what keeps them apart.

import { randomUUID } from "node:crypto";
import { describe } from "node:test";
import { AzureKeyCredential, WebPubSubServiceClient } from "@azure/web-pubsub";
import { Socket } from "./socket.js";

/** The two ways to the server. Plain HTTP needs the SDK's consent, HTTPS the server's authority. */
export const TRANSPORTS = [
  {
    name: "http",
    connectionString: process.env.HUBBUB_CONNECTION_STRING,
    options: { allowInsecureConnection: true },
  },
  { name: "https", connectionString: process.env.HUBBUB_TLS_CONNECTION_STRING, options: {} },
];

export const [HTTP, HTTPS] = TRANSPORTS;

/** Defines the same tests once for each transport. */
export function overEachTransport(define) {
  for (const transport of TRANSPORTS) {
    describe(`over ${transport.name}`, () => define(transport));
  }
}

/** Endpoint of a transport, as its connection string names it. */
export function endpointOf(transport) {
  return /Endpoint=([^;]+);/.exec(transport.connectionString)[1];
}

export class Hub {
  #markers = 0;
  #open = [];

  constructor(transport, name = `hub${randomUUID().replaceAll("-", "")}`) {
    this.transport = transport;
    this.name = name;
    this.service = this.serviceWith({});
  }

  /**
   * A hub that closes what was opened through it when test `t` ends.
   */
  static for(t, transport, name) {
    const hub = new Hub(transport, name);
    t.after(() => hub.#open.forEach((opened) => opened.close()));
    return hub;
  }

  /** A service client of this hub; `key` and `name` replace the right access key and hub name. */
  serviceWith({ key, name = this.name }) {
    const options = { ...this.transport.options, retryOptions: { maxRetries: 0 } };
    return key === undefined
      ? new WebPubSubServiceClient(this.transport.connectionString, name, options)
      : new WebPubSubServiceClient(endpointOf(this.transport), new AzureKeyCredential(key), name, options);
  }

  /** URL for a client, with a token that carries `userId`, `roles`, `groups`. */
  async clientUrl(token = {}) {
    return (await this.service.getClientAccessToken(token)).url;
  }

  /** A client of the JSON subprotocol, after its `connected` message. */
  async connect(token = {}) {
    return this.closeAtEnd(await Socket.openJson(await this.clientUrl(token)));
  }

  /** A client without a subprotocol; it learns of its own connection id only through the API. */
  async connectRaw(token = {}) {
    return this.closeAtEnd(await Socket.openRaw(await this.clientUrl(token)));
  }

  closeAtEnd(opened) {
    this.#open.push(opened);
    return opened;
  }

  /**
   * The messages that reached `socket` so far. A marker, sent last by the same caller, arrives last:
   * whatever is missing before it will not come.
   */
  async received(socket) {
    const marker = `marker ${++this.#markers}`;
    await this.service.sendToConnection(socket.id, marker, { contentType: "text/plain" });
    const messages = [];
    for (;;) {
      const message = await socket.next();
      if (message.type === "message" && message.data === marker) {
        return messages;
      }
      messages.push(message);
    }
  }
}
