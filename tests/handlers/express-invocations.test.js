// `invokeEvent` of `@azure/web-pubsub-client` against `handleUserEvent` of `@azure/web-pubsub-express`.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvocationError, WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";
import { ExpressStage } from "./support/express-stage.js";

const stage = new ExpressStage();

const bytes = (...values) => new Uint8Array(values).buffer;
const plain = (data) => (data instanceof ArrayBuffer || Buffer.isBuffer(data) ? [...new Uint8Array(data)] : data);

/** What the middleware sends for content as it gave it. */
const BODIES = { text: (data) => data, json: (data) => JSON.stringify(data), binary: (data) => Buffer.from(data) };

/** What `invokeEvent` rejects with when the server says that it failed. */
const failed = (error) => {
  assert.ok(error instanceof InvocationError, error);
  assert.deepEqual(error.errorDetail, { name: "InternalServerError", message: "Internal server error" });
  return true;
};

const PROTOCOLS = { JSON: WebPubSubJsonProtocol, "reliable JSON": WebPubSubJsonReliableProtocol };

for (const [name, protocol] of Object.entries(PROTOCOLS)) {
  describe(`on ${name}, an invocation`, () => {
    const echo = stage.handled({
      handleUserEvent(request, response) {
        const { data, dataType } = request;
        response.success(BODIES[dataType](data), dataType);
      },
    });
    const contents = [
      { dataType: "text", data: "héllo 你好" },
      { dataType: "json", data: { a: [1, null, "ü"] } },
      { dataType: "json", data: "a string" },
      { dataType: "json", data: 0 },
      { dataType: "json", data: false },
      { dataType: "binary", data: bytes(0, 255, 16) },
    ];
    for (const { dataType, data } of contents) {
      const shown = data instanceof ArrayBuffer ? `${data.byteLength} bytes` : JSON.stringify(data);
      test(`is asked and answered with ${dataType} ${shown}`, async (t) => {
        const client = await echo.start(t, { userId: "ann" }, protocol());
        const result = await client.invokeEvent("order.created", data, dataType);
        const request = await echo.journal.next("handleUserEvent");
        assert.deepEqual([request.dataType, plain(request.data)], [dataType, plain(data)]);
        assert.deepEqual([request.context.eventName, request.context.userId], ["order.created", "ann"]);
        assert.deepEqual([result.dataType, plain(result.data)], [dataType, plain(data)]);
      });
    }

    const silent = stage.handled({ handleUserEvent: (request, response) => response.success() });
    test("is answered with nothing", async (t) => {
      const client = await silent.start(t, {}, protocol());
      const result = await client.invokeEvent("e", "hi", "text", { invocationId: "my own" });
      assert.deepEqual([result.invocationId, result.dataType, result.data], ["my own", undefined, undefined]);
    });

    const refusing = stage.handled({ handleUserEvent: (request, response) => response.fail(400, "a secret reason") });
    test("fails with a handler that fails", async (t) => {
      const client = await refusing.start(t, {}, protocol());
      await assert.rejects(client.invokeEvent("e", "hi", "text"), failed);
      await assert.rejects(client.invokeEvent("e", "hi", "text", { invocationId: "again" }), failed);
    });

    const selective = stage.handled({}, { userEventPattern: "other" });
    test("fails without a handler", async (t) => {
      const client = await selective.start(t, {}, protocol());
      await assert.rejects(client.invokeEvent("e", "hi", "text"), failed);
    });

    const waiting = stage.handled({
      handleUserEvent: (request, response) => request.data === "wait" || response.success("here", "text"),
    });
    test("that is aborted is taken back from the application, and its id is free", async (t) => {
      const client = await waiting.start(t, {}, protocol());
      const abort = new AbortController();
      const invocation = client.invokeEvent("e", "wait", "text", { invocationId: "x", abortSignal: abort.signal });
      const rejected = assert.rejects(invocation, /cancelled by abortSignal/);
      await waiting.journal.next("handleUserEvent");
      abort.abort();
      await rejected;
      const ofClient = ({ headers }) => headers["ce-connectionid"] === client.id;
      await stage.requests.next("withdrawn", ofClient);
      const { data } = await client.invokeEvent("e", "do not wait", "text", { invocationId: "x" });
      assert.equal(data, "here");
    });

    const held = [];
    const backwards = stage.handled({
      handleUserEvent(request, response) {
        held.push(() => response.success(`answer ${request.data}`, "text"));
        if (held.length === 50) {
          held.reverse().forEach((answer) => answer());
        }
      },
    });
    test("is one of many whose answers come in any order, while other requests pass", async (t) => {
      const client = await backwards.start(t, { roles: ["webpubsub.joinLeaveGroup"] }, protocol());
      const invoke = (number) => client.invokeEvent("e", `${number}`, "text");
      const first = Array.from({ length: 49 }, (_, number) => invoke(number));
      await client.joinGroup("g");
      const all = await Promise.all([...first, invoke(49)]);
      assert.deepEqual(all.map(({ data }) => data), all.map((_, number) => `answer ${number}`));
    });
  });
}
