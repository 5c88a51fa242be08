// An application that answers as Azure Functions does whose functions have a `webPubSubTrigger`: the checks of the
// trigger in their order, its answers, and its bindings through `@azure/web-pubsub`. The real host is not needed, and
// nothing of it is here.

import { Buffer } from "node:buffer";
import { Journal } from "./journal.js";
import { signature } from "./cloud-event.js";
import { Listening } from "./listening.js";

const WEBHOOK = "/runtime/webhooks/webpubsub";
const NEEDED = ["ce-connectionid", "ce-hub", "ce-type", "ce-eventname", "webhook-request-origin"];
const SYSTEM = "azure.webpubsub.sys.";

const CONTENT_TYPES = { text: "text/plain", json: "application/json", binary: "application/octet-stream" };

/**
 * What a function is called with.
 *
 * @typedef {object} Trigger
 * @property {object} context `hub`, `connectionId`, `eventName`, `userId` if there is one, `states`
 * @property {object} [request] body of a system event
 * @property {string | object | Buffer} [data] content of a user event
 * @property {"text" | "json" | "binary"} [dataType]
 * @property {object[]} output actions that a function adds are carried out once it is done
 */

export class FunctionsHost extends Listening {
  #code;
  #accessKeys;
  #service;
  #asksByGet;
  #functions = new Map();
  #pages = new Map();

  /** Each request to the webhook: `{ method, url, headers, status }`, of the kind `request`; and each failed action. */
  journal = new Journal();

  /**
   * @param {object} options
   * @param {string} options.code the key without which nobody is let in
   * @param {Record<string, string[]>} [options.accessKeys] of the configured servers, by host; none: all are trusted
   * @param {(hub: string) => WebPubSubServiceClient} [options.service] for the output bindings
   * @param {boolean} [options.asksByGet] whether validation is answered to GET alone, and OPTIONS is not known
   */
  constructor({ code, accessKeys, service, asksByGet = false }) {
    super((request, response) => {
      this.#handle(request, response).catch((error) => {
        this.journal.put("fault", error);
        response.writeHead(500).end();
      });
    });
    this.#code = code;
    this.#accessKeys = accessKeys;
    this.#service = service;
    this.#asksByGet = asksByGet;
  }

  /** The URL for the settings of hubs. */
  url(code = this.#code) {
    return `${this.origin}${WEBHOOK}?code=${encodeURIComponent(code)}`;
  }

  /**
   * Registers a function with a trigger.
   *
   * @param {"system" | "user"} type
   * @param {(trigger: Trigger) => any} run returns the answer: for connect an object or `{ error, status }`, for a user
   *   event `{ data, dataType }`, both with `states` if the function sets them; or nothing
   */
  on(hub, type, event, run) {
    this.#functions.set(key(hub, type, event, "webPubSub"), run);
  }

  /** Registers a function with an HTTP trigger whose answer is JSON. */
  page(path, run) {
    this.#pages.set(path, run);
  }

  async #handle(request, response) {
    const url = new URL(request.url, this.origin);
    const page = this.#pages.get(url.pathname);
    if (page) {
      response.setHeader("Content-Type", "application/json").end(JSON.stringify(await page(url.searchParams)));
      return;
    }
    const body = await read(request);
    const answer = await this.#webhook(request, url, body);
    const { method, headers } = request;
    this.journal.put("request", { method, url: request.url, headers, status: answer.status });
    response.writeHead(answer.status, answer.headers).end(answer.body);
    for (const action of answer.actions ?? []) {
      await act(this.#service(headers["ce-hub"]), action).catch((error) => this.journal.put("fault", error));
    }
  }

  async #webhook(request, url, body) {
    if (url.pathname !== WEBHOOK) {
      return { status: 404 };
    }
    if (url.searchParams.get("code") !== this.#code) {
      return { status: 401 };
    }
    if (request.method === "POST") {
      return this.#event(request.headers, body);
    }
    const asking = this.#asksByGet ? ["GET"] : ["GET", "OPTIONS"];
    return asking.includes(request.method) ? this.#validation(request.headers) : { status: 404 };
  }

  #validation(headers) {
    const origin = headers["webhook-request-origin"];
    if (!origin) {
      return { status: 400 };
    }
    if (!this.#accessKeys) {
      return { status: 200, headers: { "WebHook-Allowed-Origin": "*" } };
    }
    const host = withoutPort(origin);
    return host in this.#accessKeys ? { status: 200, headers: { "WebHook-Allowed-Origin": host } } : { status: 400 };
  }

  async #event(headers, body) {
    if (NEEDED.some((name) => !headers[name])) {
      return { status: 400 };
    }
    const type = headers["ce-type"].toLowerCase().startsWith(SYSTEM) ? "system" : "user";
    const event = headers["ce-eventname"];
    const run = this.#functions.get(key(headers["ce-hub"], type, event, protocolOf(headers)));
    if (!run) {
      return { status: 404 };
    }
    if (!this.#isSigned(headers)) {
      return { status: 401 };
    }
    const states = statesOf(headers["ce-connectionstate"]);
    const content = type === "user" ? userContent(headers, body) : { request: JSON.parse(body.toString()) };
    if (!states || !content) {
      return { status: 400 };
    }
    const output = [];
    const userId = headers["ce-userid"] && Buffer.from(headers["ce-userid"], "latin1").toString("utf8");
    const { "ce-hub": hub, "ce-connectionid": connectionId } = headers;
    const context = { hub, connectionId, eventName: event, userId, states };
    let answer;
    try {
      answer = (await run({ context, ...content, output })) ?? {};
    } catch {
      return { status: 500 };
    }
    return { ...(type === "user" ? replyTo(answer) : connectAnswer(answer)), actions: output };
  }

  #isSigned(headers) {
    if (!this.#accessKeys) {
      return true;
    }
    const keys = this.#accessKeys[withoutPort(headers["webhook-request-origin"])] ?? [];
    // A part after a space is none of ours: the trigger splits at the comma and nowhere else.
    const parts = (headers["ce-signature"] ?? "").split(",").map((part) => part.toLowerCase());
    return keys.some((accessKey) => {
      const wanted = signature(headers["ce-connectionid"], [accessKey]);
      return parts.includes(wanted);
    });
  }
}

function key(hub, type, event, protocol) {
  return [hub, type, event, protocol].join("\n").toLowerCase();
}

function protocolOf(headers) {
  const isMqtt = (headers["ce-subprotocol"] ?? "").toLowerCase().includes("mqtt");
  return isMqtt && headers["ce-physicalconnectionid"] ? "mqtt" : "webPubSub";
}

function withoutPort(origin) {
  return origin.toLowerCase().split(":")[0];
}

/** The object in a state header, an empty one without the header; nothing when it is no base64 of a JSON object. */
function statesOf(header) {
  if (header === undefined) {
    return {};
  }
  try {
    const states = JSON.parse(Buffer.from(header, "base64").toString());
    return typeof states === "object" && !Array.isArray(states) ? states : null;
  } catch {
    return null;
  }
}

function userContent(headers, body) {
  const mediaType = (headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
  switch (mediaType) {
    case "text/plain":
      return { dataType: "text", data: body.toString() };
    case "application/json":
      return { dataType: "json", data: JSON.parse(body.toString()) };
    case "application/octet-stream":
      return { dataType: "binary", data: body };
    default:
      return null;
  }
}

function connectAnswer({ error, status, states, ...connection }) {
  if (error !== undefined) {
    return { status, headers: { "Content-Type": "text/plain" }, body: error };
  }
  const headers = stateHeader(states);
  if (Object.keys(connection).length === 0) {
    return { status: 200, headers };
  }
  const unset = { userId: null, groups: null, subprotocol: null, roles: null };
  headers["Content-Type"] = "application/json";
  return { status: 200, headers, body: JSON.stringify({ ...unset, ...connection }) };
}

function replyTo({ data, dataType, error, status, states }) {
  if (error !== undefined) {
    return { status, headers: { "Content-Type": "text/plain" }, body: error };
  }
  const headers = stateHeader(states);
  if (data === undefined) {
    return { status: 200, headers };
  }
  headers["Content-Type"] = CONTENT_TYPES[dataType];
  return { status: 200, headers, body: dataType === "json" ? JSON.stringify(data) : data };
}

function stateHeader(states) {
  return states ? { "ce-connectionState": Buffer.from(JSON.stringify(states)).toString("base64") } : {};
}

/** Carries out one action of an output binding. */
function act(service, action) {
  const { actionName, dataType, group, userId, connectionId, excluded, filter, reason, permission, target } = action;
  // Actions are JSON for the host, so bytes are in base64.
  const data = dataType === "binary" ? Buffer.from(action.data, "base64") : action.data;
  const options = { contentType: CONTENT_TYPES[dataType], excludedConnections: excluded, filter };
  const closing = { reason, excludedConnections: excluded };
  switch (actionName) {
    case "sendToAll":
      return service.sendToAll(data, options);
    case "sendToGroup":
      return service.group(group).sendToAll(data, options);
    case "sendToUser":
      return service.sendToUser(userId, data, options);
    case "sendToConnection":
      return service.sendToConnection(connectionId, data, options);
    case "addUserToGroup":
      return service.group(group).addUser(userId);
    case "removeUserFromGroup":
      return service.group(group).removeUser(userId);
    case "removeUserFromAllGroups":
      return service.removeUserFromAllGroups(userId);
    case "addConnectionToGroup":
      return service.group(group).addConnection(connectionId);
    case "removeConnectionFromGroup":
      return service.group(group).removeConnection(connectionId);
    case "closeClientConnection":
      return service.closeConnection(connectionId, { reason });
    case "closeAllConnections":
      return service.closeAllConnections(closing);
    case "closeGroupConnections":
      return service.group(group).closeAllConnections(closing);
    case "grantPermission":
      return service.grantPermission(connectionId, permission, { targetName: target });
    case "revokePermission":
      return service.revokePermission(connectionId, permission, { targetName: target });
    default:
      return Promise.reject(new Error(`there is no action ${actionName}`));
  }
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
