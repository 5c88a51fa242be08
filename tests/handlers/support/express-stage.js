// An Express application with one `WebPubSubEventHandler` for each hub that is declared, and the server that calls it.

import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";
import { Journal } from "./journal.js";
import { Listening } from "./listening.js";
import { ALL_EVENTS, Stage } from "./stage.js";

export class ExpressStage extends Stage {
  #express = express();
  #listening = this.add(new Listening(this.#express));

  /**
   * Each request that the application gets: `{ method, url, headers }`, of the kind `request`, and once more of the
   * kind `withdrawn` if it is taken back before it has been answered.
   */
  requests = new Journal();

  constructor(flags) {
    super(flags);
    // Express shows an error's stack on the console unless it believes to be under test.
    this.#express.set("env", "test");
    this.#express.use((request, response, next) => {
      const { method, url, headers } = request;
      this.requests.put("request", { method, url, headers });
      response.once("close", () => {
        if (!response.writableFinished) {
          this.requests.put("withdrawn", { method, url, headers });
        }
      });
      next();
    });
  }

  /** Where the application listens; known to the settings of hubs. */
  get origin() {
    return this.#listening.origin;
  }

  /**
   * Adds a hub whose events go to a handler of this application. The hub's `journal` has a request for each call of
   * one of the handler's functions, under the name of that function.
   *
   * @param {object | (() => object)} options of `WebPubSubEventHandler`; as a function, once the server listens
   * @param {object} [handler] further settings of the event handler
   * @param {object} [settings] further settings of the hub
   */
  handled(options, handler = {}, settings = {}) {
    const hub = this.hub(() => ({
      ...settings,
      eventHandlers: [{ urlTemplate: `${this.origin}/eventhandler/{hub}/{event}`, ...ALL_EVENTS, ...handler }],
    }));
    const path = `/eventhandler/${hub.name}`;
    if (typeof options === "function") {
      this.onStart(() => this.use(hub, { path, ...options() }));
    } else {
      this.use(hub, { path, ...options });
    }
    return hub;
  }

  /** Puts the middleware for a hub into the application. */
  use(hub, options) {
    hub.journal = new Journal();
    const handler = new WebPubSubEventHandler(hub.name, journaled(options, hub.journal));
    this.#express.use(handler.getMiddleware());
  }

  /** Puts any middleware into the application. */
  useMiddleware(middleware) {
    this.#express.use(middleware);
  }
}

/** The options with each call of their functions written into a journal, before the function has its turn. */
function journaled(options, journal) {
  const wrap = (name, handle) => (request, response) => {
    journal.put(name, request);
    return handle(request, response);
  };
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name, typeof value === "function" ? wrap(name, value) : value]),
  );
}
