// `handleUserEvent` of `@azure/web-pubsub-express`: what it gets of a client's event, and what becomes of its answer.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ExpressStage } from "./support/express-stage.js";

const stage = new ExpressStage();

const ofClient = ({ id }) => ({ context }) => context.connectionId === id;
const bytes = (...values) => new Uint8Array(values).buffer;

describe("what a client sends arrives", () => {
  const hub = stage.handled({ handleUserEvent: (request, response) => response.success() });

  const contents = [
    { dataType: "text", data: "héllo 你好" },
    { dataType: "text", data: "" },
    { dataType: "json", data: { a: [1, null, "ü"] } },
    { dataType: "json", data: [1, 2.5] },
    { dataType: "json", data: "a string" },
    { dataType: "json", data: 0 },
    { dataType: "json", data: false },
    { dataType: "binary", data: bytes(0, 255, 16) },
    { dataType: "binary", data: bytes() },
  ];
  for (const { dataType, data } of contents) {
    const shown = data instanceof ArrayBuffer ? `${data.byteLength} bytes` : JSON.stringify(data);
    test(`as ${dataType} ${shown}, from the client package`, async (t) => {
      const client = await hub.start(t, { userId: "ann" });
      assert.equal((await client.sendEvent("order.created", data, dataType)).isDuplicated, false);
      const request = await hub.journal.next("handleUserEvent", ofClient(client));
      assert.equal(request.dataType, dataType);
      assert.deepEqual(plain(request.data), plain(data));
      const { eventName, connectionId, userId, hub: hubName, origin } = request.context;
      assert.deepEqual([eventName, connectionId, userId, hubName], ["order.created", client.id, "ann", hub.name]);
      assert.equal(origin, "127.0.0.1");
    });
  }

  test("under the name that the client wrote", async (t) => {
    const client = await hub.connect(t);
    for (const name of ["Order_1.Created-X", "connected", "message", "x".repeat(128)]) {
      assert.equal(await client.do({ type: "event", event: name, dataType: "text", data: "" }), true);
      assert.equal((await hub.journal.next("handleUserEvent", ofClient(client))).context.eventName, name);
    }
  });

  test("from a simple client as the event message", async (t) => {
    const client = await hub.connectSimple(t, { userId: "simple" });
    const ofUser = ({ context }) => context.userId === "simple";
    client.send("héllo");
    const text = await hub.journal.next("handleUserEvent", ofUser);
    client.send(Buffer.from([1, 2]));
    const binary = await hub.journal.next("handleUserEvent", ofUser);
    assert.deepEqual([text.context.eventName, text.dataType, text.data], ["message", "text", "héllo"]);
    assert.deepEqual([binary.context.eventName, binary.dataType, plain(binary.data)], ["message", "binary", [1, 2]]);
  });

  test("with a user id of any letters, as the bytes of its UTF-8", async (t) => {
    const client = await hub.connect(t, { userId: "zoë 你好" });
    assert.equal(await client.do({ type: "event", event: "e", dataType: "text", data: "" }), true);
    const { userId } = (await hub.journal.next("handleUserEvent", ofClient(client))).context;
    // Node reads header bytes as Latin-1, and the middleware hands on what Node read.
    assert.equal(Buffer.from(userId, "latin1").toString("utf8"), "zoë 你好");
  });

  test("with metadata as headers of the request", async (t) => {
    const client = await hub.connect(t);
    const metadata = { Trace: "a1,b2", "x-y": "" };
    assert.equal(await client.do({ type: "event", event: "marked", dataType: "text", data: "", metadata }), true);
    const ofEvent = ({ headers }) => headers["ce-eventname"] === "marked";
    const { headers } = await stage.requests.next("request", ofEvent);
    assert.equal(headers["x-webpubsub-metadata-trace"], "a1,b2");
    assert.equal(headers["x-webpubsub-metadata-x-y"], "");
  });
});

describe("the answer", () => {
  const hub = stage.handled({
    handleUserEvent(request, response) {
      const { data, type } = ANSWERS[request.data];
      response.success(data, type);
    },
  });

  const object = { a: [1, "ü"] };
  const json = (data) => ({ text: JSON.stringify(data) });
  const cases = {
    "a text": { data: "héllo", type: "text", message: ["text", "héllo"], frame: { text: "héllo" } },
    "an object": { data: '{"a":[1,"ü"]}', type: "json", message: ["json", object], frame: json(object) },
    "a JSON string": { data: '"quoted"', type: "json", message: ["json", "quoted"], frame: json("quoted") },
    "a JSON number": { data: "1.5", type: "json", message: ["json", 1.5], frame: json(1.5) },
    bytes: { data: Buffer.from([0, 255]), type: "binary", message: ["binary", [0, 255]], frame: { binary: [0, 255] } },
    "content without a type": { data: "ab", message: ["binary", [97, 98]], frame: { binary: [97, 98] } },
  };
  const ANSWERS = {
    ...cases,
    nothing: {},
    "an empty text": { data: "", type: "text" },
    last: { data: "the last", type: "text" },
  };

  for (const [name, { message, frame }] of Object.entries(cases)) {
    test(`${name} reaches the client package`, async (t) => {
      const client = await hub.start(t);
      await client.sendEvent("ask", name, "text");
      assert.deepEqual(await client.message(), message);
    });
    test(`${name} reaches a simple client`, async (t) => {
      const client = await hub.connectSimple(t);
      client.send(name);
      assert.deepEqual(await client.next(), frame);
    });
  }

  test("reaches the client before the ack, and nobody else", async (t) => {
    const bystander = await hub.connect(t, { userId: "ann" });
    const client = await hub.connect(t, { userId: "ann" });
    const ackId = client.request({ type: "event", event: "ask", dataType: "text", data: "a text" });
    assert.deepEqual(await client.next(), { type: "message", from: "server", dataType: "text", data: "héllo" });
    assert.deepEqual(await client.next(), { type: "ack", ackId, success: true });
    bystander.sendJson({ type: "ping" });
    assert.deepEqual(await bystander.next(), { type: "pong" });
  });

  for (const name of ["nothing", "an empty text"]) {
    test(`if it is ${name}: the ack alone, and no frame`, async (t) => {
      const client = await hub.connect(t);
      const ackId = client.request({ type: "event", event: "ask", dataType: "text", data: name });
      assert.deepEqual(await client.next(), { type: "ack", ackId, success: true });
      const simple = await hub.connectSimple(t);
      simple.send(name);
      simple.send("last");
      assert.deepEqual(await simple.next(), { text: "the last" });
    });
  }
});

describe("a failure", { concurrency: true }, () => {
  const answering = () =>
    stage.handled({
      handleUserEvent(request, response) {
        const code = Number(request.data);
        if (code === 0) {
          throw new Error("a fault of the application");
        }
        code === 200 ? response.success("fine", "text") : response.fail(code, "a secret reason");
      },
    });
  const hub = answering();

  const faults = { "fail(400)": "400", "fail(401)": "401", "fail(500)": "500", "an exception": "0" };
  for (const [name, data] of Object.entries(faults)) {
    const event = { type: "event", event: "try", dataType: "text", data };
    // Hubs of their own: the server leaves a handler alone for a while that fails again and again.
    const acked = answering();
    const unacked = answering();
    const simple = answering();

    test(`by ${name}: a client gets a failed ack that says nothing of the reason, and stays`, async (t) => {
      const client = await acked.connect(t);
      const ackId = client.request(event);
      const error = { name: "InternalServerError", message: "Internal server error" };
      assert.deepEqual(await client.next(), { type: "ack", ackId, success: false, error });
      assert.equal(await client.do({ ...event, data: "200" }), true);
    });

    test(`by ${name}: a client that wants no ack hears nothing, and stays`, async (t) => {
      const client = await unacked.connect(t);
      client.sendJson(event);
      client.sendJson({ type: "ping" });
      assert.deepEqual(await client.next(), { type: "pong" });
    });

    test(`by ${name}: a simple client is closed with 1011`, async (t) => {
      const client = await simple.connectSimple(t);
      client.send(data);
      assert.deepEqual(await client.ended(), { code: 1011, reason: "Internal server error" });
    });
  }

  test("shows in the client package as a failed send", async (t) => {
    const client = await hub.start(t);
    await assert.rejects(client.sendEvent("try", "400", "text"), (error) => {
      assert.equal(error.errorDetail.name, "InternalServerError");
      return true;
    });
  });

  test("may be tried again under the same ack id, a success may not", async (t) => {
    const client = await hub.connect(t);
    const attempt = (data) => client.sendJson({ type: "event", event: "try", dataType: "text", data, ackId: 77 });
    attempt("400");
    assert.equal((await client.next()).success, false);
    attempt("200");
    assert.equal((await client.next()).data, "fine");
    assert.equal((await client.next()).success, true);
    attempt("200");
    assert.equal((await client.next()).error.name, "Duplicate");
  });
});

describe("which events are handled", () => {
  const handled = { handleUserEvent: (request, response) => response.success("seen", "text") };
  const some = stage.handled(handled, { userEventPattern: "order.created, MESSAGE" });
  const none = stage.handled(handled, { userEventPattern: undefined });
  const unhandled = stage.handled({});

  test("those that the pattern names, whatever their case", async (t) => {
    const client = await some.connect(t);
    for (const event of ["order.created", "Order.Created", "message"]) {
      assert.equal(await client.do({ type: "event", event, dataType: "text", data: "" }), true);
      assert.equal((await some.journal.next("handleUserEvent")).context.eventName, event);
    }
  });

  test("all others fail without a call", async (t) => {
    for (const [hub, event] of [[some, "order"], [some, "order.created.more"], [none, "message"]]) {
      const client = await hub.connect(t);
      assert.equal(await client.do({ type: "event", event, dataType: "text", data: "" }), "InternalServerError");
      assert.equal(hub.journal.count("handleUserEvent"), 0);
    }
    const simple = await none.connectSimple(t);
    simple.send("x");
    assert.equal((await simple.ended()).code, 1011);
  });

  test("an application without handleUserEvent takes them all and answers nothing", async (t) => {
    const client = await unhandled.connect(t);
    const ackId = client.request({ type: "event", event: "any", dataType: "text", data: "" });
    assert.deepEqual(await client.next(), { type: "ack", ackId, success: true });
  });
});

describe("a slow answer", () => {
  const waiting = new Map();
  const hub = stage.handled({ handleUserEvent: (request, response) => waiting.set(request.data, response) });

  test("holds up the further events of its client and of nobody else", async (t) => {
    const client = await hub.connect(t);
    const other = await hub.connect(t);
    const event = (data) => ({ type: "event", event: "e", dataType: "text", data });
    const first = client.request(event("first"));
    const second = client.request(event("second"));
    await hub.journal.next("handleUserEvent", ({ data }) => data === "first");
    const elsewhere = other.request(event("elsewhere"));
    await hub.journal.next("handleUserEvent", ({ data }) => data === "elsewhere");
    assert.equal(waiting.has("second"), false);

    waiting.get("elsewhere").success();
    assert.equal((await other.next()).ackId, elsewhere);
    waiting.get("first").success();
    assert.equal((await client.next()).ackId, first);
    await hub.journal.next("handleUserEvent", ({ data }) => data === "second");
    waiting.get("second").success();
    assert.equal((await client.next()).ackId, second);
  });
});

/** Bytes as an array of numbers, anything else as it is. */
function plain(data) {
  return data instanceof ArrayBuffer || Buffer.isBuffer(data) ? [...new Uint8Array(data)] : data;
}
