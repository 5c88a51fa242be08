// The endpoint of examples/chat, asked by somebody who may not be a Hubbub server.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { startExample } from "./example.js";

const CONNECTION_STRING = process.env.HUBBUB_CONNECTION_STRING;
const KEY = /AccessKey=([^;]+)/.exec(CONNECTION_STRING)[1];
const OTHER_KEY = "a-key-that-this-application-has-never-seen-99";
const ORIGIN = new URL(/Endpoint=([^;]+)/.exec(CONNECTION_STRING)[1]).hostname;
const CODE = "?code=only-for-development";

let example;

before(async () => {
  example = await startExample("chat", CONNECTION_STRING);
});

after(() => example?.stop());

test("the question whether events are wanted is answered for the known server", async () => {
  for (const method of ["OPTIONS", "GET"]) {
    const response = await ask({ method, headers: { "WebHook-Request-Origin": ORIGIN } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("WebHook-Allowed-Origin"), ORIGIN);
  }
  const refused = [
    [400, { headers: { "WebHook-Request-Origin": "elsewhere.test" } }],
    [400, { headers: {} }],
    [401, { headers: { "WebHook-Request-Origin": ORIGIN }, code: "?code=wrong" }],
    [401, { headers: { "WebHook-Request-Origin": ORIGIN }, code: "" }],
  ];
  for (const [status, request] of refused) {
    const response = await ask({ method: "OPTIONS", ...request });
    assert.equal(response.status, status);
    assert.equal(response.headers.get("WebHook-Allowed-Origin"), null);
  }
});

test("an event that is not genuine is refused", async () => {
  const cases = [
    [401, message(), { code: "?code=wrong" }],
    [401, message({ "ce-signature": signed("c-1", OTHER_KEY) })],
    [401, message({ "ce-signature": signed("c-2", KEY) })],
    [401, message({ "ce-signature": "sha256=" })],
    [401, message({ "ce-signature": undefined })],
    [400, message({ "ce-connectionId": undefined })],
    [400, message({ "ce-hub": undefined })],
    [400, message({ "ce-type": undefined })],
    [400, message({ "ce-eventName": undefined })],
    [400, message({ "WebHook-Request-Origin": undefined })],
    [404, message({ "ce-hub": "other" })],
    [404, message({ "ce-eventName": "constructor", "ce-type": "azure.webpubsub.user.constructor" })],
    [404, message({ "ce-type": "azure.webpubsub.sys.message" })],
    [404, message({ "ce-type": "com.example.message" })],
    [400, message({ "Content-Type": "application/xml" })],
  ];
  for (const [status, headers, { code } = {}] of cases) {
    const response = await ask({ method: "POST", headers, body: "hello", code });
    assert.equal(response.status, status, JSON.stringify(headers));
  }
});

test("a genuine event is answered, whichever of two signatures is made with our key", async () => {
  const both = `${signed("c-1", OTHER_KEY)},${signed("c-1", KEY).toUpperCase().replace("SHA256", "sha256")}`;
  for (const changes of [{}, { "ce-signature": both }, { "ce-hub": "ChatRoom", "ce-eventName": "Message" }]) {
    const response = await ask({ method: "POST", headers: message(changes), body: "hello" });
    assert.equal(response.status, 200);
    assert.match(response.headers.get("Content-Type"), /^text\/plain/);
    assert.equal(await response.text(), "Your first line was sent.");
  }
});

test("what an answer attached to the connection is read from the next event", async () => {
  const first = await ask({ method: "POST", headers: message(), body: "hello" });
  const state = first.headers.get("ce-connectionState");
  const second = await ask({ method: "POST", headers: message({ "ce-connectionState": state }), body: "hello" });
  assert.equal(await second.text(), "2 lines of yours were sent.");
  for (const strange of ["%", "bnVsbA=="]) {
    const response = await ask({ method: "POST", headers: message({ "ce-connectionState": strange }), body: "hello" });
    assert.equal(await response.text(), "Your first line was sent.");
  }
});

test("whoever connects gets the name that the URL gives, or is refused", async () => {
  const accepted = await connect({ name: [" Zoë "] });
  assert.equal(accepted.status, 200);
  assert.deepEqual(await accepted.json(), { userId: "Zoë" });
  for (const query of [undefined, {}, { name: [] }, { name: [""] }, { name: ["SYSTEM"] }, { name: ["a\nb"] }]) {
    assert.equal((await connect(query)).status, 400);
  }
});

function connect(query) {
  const headers = message({
    "Content-Type": "application/json",
    "ce-type": "azure.webpubsub.sys.connect",
    "ce-eventName": "connect",
    "ce-userId": undefined,
  });
  return ask({ method: "POST", headers, body: JSON.stringify({ claims: {}, query, headers: {}, subprotocols: [] }) });
}

/** Headers of a line that Ann sends; a change to `undefined` takes a header away. */
function message(changes = {}) {
  const headers = {
    "Content-Type": "text/plain; charset=utf-8",
    "WebHook-Request-Origin": ORIGIN,
    "ce-specversion": "1.0",
    "ce-awpsversion": "1.0",
    "ce-type": "azure.webpubsub.user.message",
    "ce-source": "/hubs/chatroom/client/c-1",
    "ce-id": "2",
    "ce-time": "2026-04-05T06:07:08Z",
    "ce-hub": "chatroom",
    "ce-connectionId": "c-1",
    "ce-userId": "Ann",
    "ce-eventName": "message",
    "ce-signature": signed("c-1", KEY),
    ...changes,
  };
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}

function signed(connectionId, key) {
  return `sha256=${createHmac("sha256", key).update(connectionId).digest("hex")}`;
}

function ask({ code = CODE, ...request }) {
  return fetch(`${example.url}/runtime/webhooks/webpubsub${code}`, request);
}
