// Sentences for what comes as codes.

/** What a frame of a JSON subprotocol is, in a few words. */
export function kindOfMessage(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return "text";
  }
  switch (message?.type) {
    case "ack":
      return message.success ? `ack ${message.ackId}` : `ack ${message.ackId}: ${message.error?.name ?? "failed"}`;
    case "message":
      return message.from === "group"
        ? `message in ${message.group}${message.fromUserId ? ` from ${message.fromUserId}` : ""}`
        : `message from ${message.from}`;
    case "system":
      return `system: ${message.event}`;
    case "joinGroup":
    case "leaveGroup":
    case "sendToGroup":
      return `${message.type} ${message.group}`;
    case "event":
      return `event ${message.event}`;
    default:
      return typeof message?.type === "string" ? message.type : "text";
  }
}

const CLOSE_CODES = {
  1000: "closed in an orderly way",
  1001: "the server is stopping or the page was left",
  1002: "a frame broke the rules of WebSocket",
  1003: "the subprotocol does not take this kind of message",
  1005: "closed without a reason",
  1006: "the connection was lost",
  1007: "the server could not read a message",
  1008: "not permitted",
  1009: "a message was too large",
  1011: "the server could not handle a message; without an event handler, events end like this",
};

/** How a WebSocket ended. */
export function closeWords(code, reason) {
  const known = CLOSE_CODES[code];
  return [`closed ${code}`, known && `: ${known}`, reason && ` (“${reason}”)`].filter(Boolean).join("");
}

const CATEGORIES = {
  Normal: "left",
  ClosedByAppServer: "was closed by the application",
  BadRequest: "was closed, because it sent something that cannot be read",
  Unauthorized: "was closed, because it may not do what it tried",
  EventHandlerNotFound: "was closed, because nobody handles its events",
  ServiceTransientError: "was closed, because the server could not do its part",
  SlowClient: "was dropped, because it does not read what is sent to it",
  PingTimeout: "was dropped, because it does not answer pings",
  ServiceReload: "was sent away, because the server is stopping",
};

/**
 * What a record of the trace says.
 *
 * @returns {{text: string, failed: boolean}}
 */
export function recordWords(record) {
  switch (record.kind) {
    case "connected":
      return fine(`${who(record)} connected, ${record.protocol ?? "without a subprotocol"}`);
    case "ended":
      return {
        text: `${who(record)} ${CATEGORIES[record.category] ?? `was closed: ${record.category}`}`,
        failed: !["Normal", "ClosedByAppServer", "ServiceReload"].includes(record.category),
      };
    case "eventRaised":
      return fine(
        `${who(record)} raised ${record.event}, ${record.bytes} bytes of ${record.dataType}` +
          (record.payload ? `: ${record.payload}` : ""),
      );
    case "handlerCalled":
      return handlerWords(record);
    default:
      return fine(`${record.kind}`);
  }
}

function handlerWords({ event, url, answered, failed, attempts, milliseconds }) {
  const tries = attempts > 1 ? ` after ${attempts} attempts` : "";
  const call = `handler of ${event} at ${url}`;
  if (!answered) {
    return { text: `${call} failed${tries}, ${milliseconds} ms: ${failed}`, failed: true };
  }
  const { status, contentType, bytes } = answered;
  const content = bytes > 0 ? `, ${bytes} bytes${contentType ? ` of ${contentType}` : ""}` : "";
  return { text: `${call} answered ${status}${tries}, ${milliseconds} ms${content}`, failed: status >= 400 };
}

/** What the answer to a REST call means. */
export function statusWords(status, text) {
  if (status === 200) return "Done; where existence was asked, it exists";
  if (status === 202) return "Accepted";
  if (status === 204) return "Done";
  try {
    const { message } = JSON.parse(text);
    if (message) return message;
  } catch {
    // An answer to HEAD has no body, and a proxy's is not JSON.
  }
  return status === 404 ? "Not there" : "Refused";
}

function who({ user, connection }) {
  return user ?? connection;
}

function fine(text) {
  return { text, failed: false };
}
