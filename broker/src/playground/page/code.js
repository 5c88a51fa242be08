// What the page does, as code to take along.

/** JavaScript that connects as a client does and shows what it receives. */
export function clientSnippet(url, protocol) {
  const subprotocol = protocol.subprotocol ? `, ${JSON.stringify(protocol.subprotocol)}` : "";
  const greeting = protocol.speaksJson
    ? `socket.onopen = () => socket.send(JSON.stringify({ type: "joinGroup", group: "lobby", ackId: 1 }));`
    : `socket.onopen = () => socket.send("hello");`;
  const received = protocol.acknowledges
    ? `socket.onmessage = (event) => {
  console.log(event.data);
  const { sequenceId } = JSON.parse(event.data);
  if (sequenceId) socket.send(JSON.stringify({ type: "sequenceAck", sequenceId }));
};`
    : "socket.onmessage = (event) => console.log(event.data);";
  return `const socket = new WebSocket(${JSON.stringify(url)}${subprotocol});
${received}
socket.onclose = (event) => console.log("closed", event.code, event.reason);
${greeting}
`;
}

/**
 * The curl line of a REST call.
 *
 * @param {{method: string, contentType?: string, body?: string | Uint8Array}} request
 * @param {string} url
 * @param {string} token
 */
export function curlLine({ method, contentType, body }, url, token) {
  const parts = ["curl -i"];
  if (method === "HEAD") {
    parts[0] = "curl -I";
  } else {
    parts.push(`-X ${method}`);
  }
  parts.push(quoted(url), `-H ${quoted(`Authorization: Bearer ${token}`)}`);
  if (contentType) {
    parts.push(`-H ${quoted(`Content-Type: ${contentType}`)}`);
  }
  if (typeof body === "string") {
    parts.push(`--data-raw ${quoted(body)}`);
    return parts.join(" ");
  }
  if (body) {
    const octal = Array.from(body, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
    return `printf ${quoted(octal)} | ${parts.join(" ")} --data-binary @-`;
  }
  return parts.join(" ");
}

/** One word of a shell. */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
