// A client of `@azure/web-pubsub-client` with what it reports kept in order, one queue for each of its events.

import { WebPubSubClient, WebPubSubJsonProtocol } from "@azure/web-pubsub-client";
import { Inbox, inTime } from "../../support/inbox.js";
import { DEADLINE_MS } from "./journal.js";

const EVENTS = ["connected", "disconnected", "server-message", "group-message"];

/** A failure shows at once instead of after the package's own retries, and no timer outlives the tests. */
const BRISK = {
  autoReconnect: false,
  messageRetryOptions: { maxRetries: 0 },
  keepAliveIntervalInMs: 0,
  keepAliveTimeoutInMs: 0,
};

export class SdkClient {
  #client;
  #queues = new Map(EVENTS.map((event) => [event, new Inbox()]));

  constructor(url, protocol = WebPubSubJsonProtocol()) {
    this.#client = new WebPubSubClient(url, { protocol, ...BRISK });
    for (const [event, queue] of this.#queues) {
      this.#client.on(event, (args) => queue.put(args));
    }
  }

  /** Resolves once the client is connected. */
  async start() {
    await this.#client.start();
    const { connectionId, userId } = await this.next("connected");
    this.id = connectionId;
    this.userId = userId;
  }

  stop() {
    this.#client.stop();
  }

  sendEvent(name, data, dataType) {
    return this.#client.sendEvent(name, data, dataType);
  }

  invokeEvent(name, data, dataType, options) {
    return this.#client.invokeEvent(name, data, dataType, options);
  }

  joinGroup(group) {
    return this.#client.joinGroup(group);
  }

  leaveGroup(group) {
    return this.#client.leaveGroup(group);
  }

  /** What came with the next event of that name; rejects when none came in time. */
  next(event) {
    return inTime(this.#queues.get(event).take(), `the event ${event}`, DEADLINE_MS);
  }

  /** The next message from the server as `[dataType, data]`; bytes as an array of numbers. */
  async message() {
    const { dataType, data } = (await this.next("server-message")).message;
    return [dataType, data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data];
  }
}
