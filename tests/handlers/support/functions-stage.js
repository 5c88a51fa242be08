// Hosts of functions, and the server that calls them.

import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { FunctionsHost } from "./functions-host.js";
import { PRIMARY_KEY, SECONDARY_KEY } from "./keys.js";
import { ALL_EVENTS, Stage } from "./stage.js";

export const CODE = "a+b/c==";

export class FunctionsStage extends Stage {
  /** Adds a host; it knows both keys of the server unless `options` say otherwise. */
  host(options = {}) {
    const keys = [PRIMARY_KEY, SECONDARY_KEY];
    const accessKeys = { "127.0.0.1": keys, localhost: keys };
    return this.add(new FunctionsHost({ code: CODE, accessKeys, service: (hub) => this.#service(hub), ...options }));
  }

  /** Adds a hub whose events go to a host; `code` is what its settings give as the host's key. */
  hubOf(host, handler = {}, code = CODE) {
    return this.hub(() => ({ eventHandlers: [{ urlTemplate: host.url(code), ...ALL_EVENTS, ...handler }] }));
  }

  #service(hub) {
    return new WebPubSubServiceClient(this.transports.http.connectionString, hub, { allowInsecureConnection: true });
  }
}
