// The stand-in for Azure Functions by itself: it must be as strict as the real trigger, or the other tests prove
// nothing.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { post, signature } from "./support/cloud-event.js";
import { FunctionsHost } from "./support/functions-host.js";
import { PRIMARY_KEY, SECONDARY_KEY, WRONG_KEY } from "./support/keys.js";

const KEYS = [PRIMARY_KEY, SECONDARY_KEY];
const host = new FunctionsHost({ code: "a code", accessKeys: { "rt.example.com": KEYS } });
before(() => host.start());
after(() => host.stop());

host.on("Chat", "system", "connect", ({ context, request }) => {
  return { userId: `${context.userId} ${request.query.tag[0]}` };
});
host.on("chat", "user", "message", ({ data, dataType }) => ({ data, dataType, states: { last: dataType } }));
host.on("chat", "user", "quiet", () => {});
host.on("chat", "user", "throw", () => {
  throw new Error("a fault of the function");
});

const MESSAGE = { hub: "chat", type: "user", name: "message", keys: KEYS, origin: "rt.example.com", body: "hello" };

describe("validation", () => {
  const ask = (method, headers, code) => fetch(host.url(code), { method, headers });
  const origin = { "WebHook-Request-Origin": "rt.example.com" };

  for (const method of ["OPTIONS", "GET"]) {
    test(`by ${method} names the configured host`, async () => {
      const answer = await ask(method, origin);
      assert.deepEqual([answer.status, answer.headers.get("WebHook-Allowed-Origin")], [200, "rt.example.com"]);
    });
  }

  const refused = [
    { name: "another host", headers: { "WebHook-Request-Origin": "elsewhere.example.com" }, status: 400 },
    { name: "no origin", headers: {}, status: 400 },
    { name: "a wrong code", headers: origin, code: "wrong", status: 401 },
  ];
  for (const { name, headers, code, status } of refused) {
    test(`refuses ${name}: ${status}`, async () => {
      assert.equal((await ask("OPTIONS", headers, code)).status, status);
    });
  }
});

describe("events", () => {
  test("a message is answered with its type and the state", async () => {
    const answer = await post(host.url(), MESSAGE);
    assert.deepEqual([answer.status, await answer.text()], [200, "hello"]);
    assert.equal(answer.headers.get("Content-Type"), "text/plain");
    assert.deepEqual(JSON.parse(atob(answer.headers.get("ce-connectionState"))), { last: "text" });
  });

  test("a connect is answered with an object whose unset members are null", async () => {
    const connect = { ...MESSAGE, type: "sys", name: "connect", body: '{"query":{"tag":["a"]}}' };
    const answer = await post(host.url(), connect, { "ce-userId": "ann" });
    assert.deepEqual(await answer.json(), { userId: "ann a", groups: null, subprotocol: null, roles: null });
  });

  test("one of the keys is enough, and capitals in its signature do no harm", async () => {
    assert.equal((await post(host.url(), { ...MESSAGE, keys: [WRONG_KEY, SECONDARY_KEY] })).status, 200);
    const capitals = signature("c-1", [PRIMARY_KEY]).toUpperCase().replace("SHA256", "sha256");
    assert.equal((await post(host.url(), MESSAGE, { "ce-signature": capitals })).status, 200);
  });

  const OTHER_TYPE = { "Content-Type": "text/html" };
  const SPACED = { "ce-signature": `sha256=0, ${signature("c-1", [PRIMARY_KEY])}` };
  const cases = [
    { name: "a wrong code", code: "wrong", status: 401 },
    { name: "no hub", headers: { "ce-hub": undefined }, status: 400 },
    { name: "no origin", headers: { "WebHook-Request-Origin": undefined }, status: 400 },
    { name: "no function for the event", event: { name: "other" }, status: 404 },
    { name: "no function for a system event of that name", event: { type: "sys" }, status: 404 },
    { name: "no function for the hub, before a wrong key", event: { hub: "other", keys: [WRONG_KEY] }, status: 404 },
    { name: "a wrong key, before a wrong type", event: { keys: [WRONG_KEY] }, headers: OTHER_TYPE, status: 401 },
    { name: "a signature after a space", headers: SPACED, status: 401 },
    { name: "another origin", event: { origin: "elsewhere.example.com" }, status: 401 },
    { name: "a content type that is none of the three", headers: OTHER_TYPE, status: 400 },
    { name: "a state that is no base64 of an object", headers: { "ce-connectionState": "plain" }, status: 400 },
    { name: "a function that throws", event: { name: "throw" }, status: 500 },
    { name: "a function that returns nothing", event: { name: "quiet" }, status: 200 },
  ];
  for (const { name, code, event, headers, status } of cases) {
    test(`${name}: ${status}`, async () => {
      const answer = await post(host.url(code), { ...MESSAGE, ...event }, headers);
      assert.deepEqual([answer.status, await answer.text()], [status, ""]);
    });
  }
});
