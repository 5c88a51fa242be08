// One endpoint for all events of a hub, in the manner of the `webPubSubTrigger` of Azure Functions: it checks that an
// event is genuine, finds the function for it, and turns what that returns into the answer. No package but Express.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import express from "express";

/** Somewhat more than the largest message of a client. */
const LARGEST_PAYLOAD = "2mb";

const NEEDED_HEADERS = ["ce-connectionid", "ce-hub", "ce-type", "ce-eventname", "webhook-request-origin"];

const DATA_TYPES = { "text/plain": "text", "application/json": "json", "application/octet-stream": "binary" };

/** What a function throws to answer with a status of its own; from `connect`, it keeps the client out. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {object} options
 * @param {string} options.hub events of other hubs are refused
 * @param {string} options.endpoint URL of the Hubbub server: events of other servers are refused
 * @param {string} options.accessKey either key of the server; events are signed with both
 * @param {string} options.code the secret in the URL of this endpoint
 * @param {Record<string, (event: object) => Promise<object | void>>} options.functions by `system:<event>` or
 *   `user:<event>`, in lower case; each is called with `context` and, as `data`, what came with the event
 * @returns {express.Router} to be mounted at the path of the endpoint
 */
export function webPubSubTrigger({ hub, endpoint, accessKey, code, functions }) {
  const { hostname } = new URL(endpoint);
  const router = express.Router();

  router.use((request, response, next) => {
    need(isSame(digest(String(request.query.code)), digest(code)), 401, "The code is wrong.");
    need(request.get("webhook-request-origin"), 400, "The header webhook-request-origin is missing.");
    next();
  });

  /** The server asks, before it sends events here, whether that is wanted. */
  const validate = (request, response) => {
    need(request.get("webhook-request-origin").toLowerCase() === hostname, 400, "This server is not known here.");
    response.set("WebHook-Allowed-Origin", hostname).end();
  };
  router.options("/", validate);
  router.get("/", validate);

  const check = (request, response, next) => {
    for (const name of NEEDED_HEADERS) {
      need(request.get(name), 400, `The header ${name} is missing.`);
    }
    const type = /^azure\.webpubsub\.(sys|user)\./.exec(request.get("ce-type"))?.[1];
    const name = `${type === "sys" ? "system" : "user"}:${request.get("ce-eventname").toLowerCase()}`;
    const isKnown = type && request.get("ce-hub").toLowerCase() === hub && Object.hasOwn(functions, name);
    need(isKnown, 404, "No function takes this event.");
    need(isSigned(request, accessKey), 401, "The signature is wrong.");
    const dataType = DATA_TYPES[request.get("content-type")?.split(";")[0].trim().toLowerCase()];
    need(type === "sys" || dataType, 400, "The content type is not one of an event.");
    response.locals = { run: functions[name], dataType: type === "sys" ? "json" : dataType };
    next();
  };

  const call = async (request, response) => {
    const { run, dataType } = response.locals;
    const result = await run({ context: context(request), dataType, data: read(request.body, dataType) });
    answer(response, result ?? {});
  };

  router.post("/", check, express.raw({ type: () => true, limit: LARGEST_PAYLOAD }), call);

  // Express hands over what a handler throws; the four parameters tell it that this handles errors.
  router.use((error, request, response, next) => {
    const status = error instanceof Refusal ? error.status : (error.status ?? 500);
    if (status >= 500) {
      console.error(`The event ${request.get("ce-eventname")} failed: ${error.message || error.code}`);
    }
    response.status(status).type("text/plain").send(error instanceof Refusal ? error.message : "");
  });
  return router;
}

/** Whether one of the signatures is made with our key: the server signs with both of its keys, if it has two. */
function isSigned(request, accessKey) {
  const expected = createHmac("sha256", accessKey).update(request.get("ce-connectionid")).digest();
  return (request.get("ce-signature") ?? "").split(",").some((signature) => {
    const hex = /^sha256=([0-9a-f]{64})$/i.exec(signature)?.[1];
    return hex !== undefined && isSame(Buffer.from(hex, "hex"), expected);
  });
}

/** Compares two digests in a time that does not tell where they differ. */
function isSame(one, other) {
  return timingSafeEqual(one, other);
}

function digest(text) {
  return createHash("sha256").update(text).digest();
}

function context(request) {
  return {
    connectionId: request.get("ce-connectionid"),
    userId: utf8(request.get("ce-userid")),
    eventName: request.get("ce-eventname"),
    state: readState(request.get("ce-connectionstate")),
  };
}

/** Node reads headers as Latin-1, and a name of a user comes in UTF-8. */
function utf8(header) {
  return header && Buffer.from(header, "latin1").toString("utf8");
}

function read(body, dataType) {
  const payload = body ?? Buffer.alloc(0);
  switch (dataType) {
    case "binary":
      return payload;
    case "text":
      return payload.toString("utf8");
    default:
      try {
        return JSON.parse(payload.toString("utf8"));
      } catch {
        throw new Refusal(400, "The content is not JSON.");
      }
  }
}

/** What an earlier answer has attached to the connection: JSON in base64, as the official packages write it. */
function readState(header) {
  try {
    return { ...JSON.parse(Buffer.from(header ?? "", "base64").toString("utf8")) };
  } catch {
    return {};
  }
}

/** `text` or `json` becomes the body, `state` is attached to the connection. */
function answer(response, { text, json, state }) {
  if (state !== undefined) {
    response.set("ce-connectionState", Buffer.from(JSON.stringify(state)).toString("base64"));
  }
  if (json !== undefined) {
    response.json(json);
  } else if (text !== undefined) {
    response.type("text/plain").send(text);
  } else {
    response.end();
  }
}

function need(condition, status, message) {
  if (!condition) {
    throw new Refusal(status, message);
  }
}
