// Clients of `@azure/web-pubsub-client` with everything they report kept in order, one queue for
// each of their events.

import { WebPubSubClient, WebPubSubJsonProtocol } from "@azure/web-pubsub-client";
import { Inbox, inTime } from "../../../support/inbox.js";

const EVENTS = ["connected", "disconnected", "stopped", "server-message", "group-message", "rejoin-group-failed"];

/**
 * A failure shows at once instead of after the package's own retries, and no keep-alive timer, which
 * outlives the client it belongs to, holds up the end of the tests.
 */
const BRISK = {
  messageRetryOptions: { maxRetries: 0 },
  reconnectRetryOptions: { retryDelayInMs: 50 },
  keepAliveIntervalInMs: 0,
  keepAliveTimeoutInMs: 0,
};

export class Recorder {
  #queues = new Map(EVENTS.map((event) => [event, new Inbox()]));

  constructor(credential, options = {}) {
    this.client = new WebPubSubClient(credential, { protocol: WebPubSubJsonProtocol(), ...BRISK, ...options });
    for (const [event, queue] of this.#queues) {
      this.client.on(event, (args) => queue.put(args));
    }
  }

  /** A started client of `hub`, after its `connected` event; it is stopped when the hub closes. */
  static async start(hub, token = {}, options = {}) {
    const recorder = hub.closeAtEnd(new Recorder(await hub.clientUrl(token), options));
    await recorder.client.start();
    recorder.id = (await recorder.next("connected")).connectionId;
    return recorder;
  }

  /** What came with the next event of that name; rejects when none came in time. */
  next(event) {
    return inTime(this.#queues.get(event).take(), `the event ${event}`);
  }

  close() {
    this.client.stop();
  }
}
