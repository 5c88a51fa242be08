// A hub of a running server: its service client, and its clients, which are gone when their test ends.

import { randomUUID } from "node:crypto";
import { AzureKeyCredential, WebPubSubServiceClient } from "@azure/web-pubsub";
import { PRIMARY_KEY } from "./keys.js";
import { SdkClient } from "./sdk-client.js";
import { JSON_SUBPROTOCOL, Socket } from "./socket.js";

/**
 * @typedef {object} ClientOptions
 * @property {"http" | "https"} [transport] the way to the server, plain unless told
 * @property {string} [query] further parameters of the client's URL
 * @property {string} [endpoint] where the client believes the server to be, if it is not where it listens
 * @property {string[]} [subprotocols] what the client offers
 * @property {Record<string, string>} [headers] further headers of the client's request
 */

export class Hub {
  /** See `Stage`, which sets it once the server listens. */
  transports;

  constructor(settings) {
    this.name = `hub${randomUUID().replaceAll("-", "")}`;
    this.settings = settings;
  }

  /** A service client over plain HTTP. */
  get service() {
    return this.serviceOver("http");
  }

  serviceOver(transport) {
    const { connectionString, ca } = this.transports[transport];
    return new WebPubSubServiceClient(connectionString, this.name, {
      allowInsecureConnection: transport === "http",
      retryOptions: { maxRetries: 0 },
      tlsOptions: { ca },
    });
  }

  /** The server's endpoint as its connection string names it. */
  endpoint(transport) {
    return /Endpoint=([^;]+);/.exec(this.transports[transport].connectionString)[1].replace(/\/$/, "");
  }

  /** URL for a client, with a token that carries `userId`, `roles`, `groups`. */
  async clientUrl(token = {}, { transport = "http", query, endpoint } = {}) {
    const issuer = endpoint
      ? new WebPubSubServiceClient(endpoint, new AzureKeyCredential(PRIMARY_KEY), this.name)
      : this.serviceOver(transport);
    const url = new URL((await issuer.getClientAccessToken(token)).url);
    const server = new URL(this.endpoint(transport));
    url.host = server.host;
    url.protocol = server.protocol.replace("http", "ws");
    return query ? `${url}&${query}` : url.href;
  }

  /**
   * A client of the JSON subprotocol, after its `connected` message.
   *
   * @param {ClientOptions} options
   */
  async connect(t, token = {}, options = {}) {
    const socket = await this.#open(t, token, { subprotocols: [JSON_SUBPROTOCOL], ...options });
    await socket.connected();
    return socket;
  }

  /**
   * A client without a subprotocol of the service: its messages are bare content.
   *
   * @param {ClientOptions} options
   */
  connectSimple(t, token = {}, options = {}) {
    return this.#open(t, token, { subprotocols: [], ...options });
  }

  /** A started client of `@azure/web-pubsub-client`, on the JSON subprotocol unless told. */
  async start(t, token = {}, protocol = undefined) {
    const client = new SdkClient(await this.clientUrl(token), protocol);
    t.after(() => client.stop());
    await client.start();
    return client;
  }

  async #open(t, token, options) {
    const url = await this.clientUrl(token, options);
    const headers = options.endpoint ? { Host: new URL(options.endpoint).host, ...options.headers } : options.headers;
    const { ca } = this.transports[options.transport ?? "http"];
    const socket = await Socket.open(url, options.subprotocols, { headers, ca });
    t.after(() => socket.drop());
    return socket;
  }
}
