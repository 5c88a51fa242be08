// The four ways to send of `@azure/web-pubsub`, what receivers see of each kind of content, and the
// options that choose receivers.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { odata } from "@azure/web-pubsub";
import { Hub, HTTP, overEachTransport } from "./support/hub.js";

const TEXT = { contentType: "text/plain" };

const TARGETS = {
  "the hub": {
    send: (hub, member, message, options) => hub.service.sendToAll(message, options),
    seenAs: { from: "server" },
  },
  "a user": {
    send: (hub, member, message, options) => hub.service.sendToUser("ann", message, options),
    seenAs: { from: "server" },
  },
  "a connection": {
    send: (hub, member, message, options) => hub.service.sendToConnection(member.id, message, options),
    seenAs: { from: "server" },
  },
  "a group": {
    send: (hub, member, message, options) => hub.service.group("room").sendToAll(message, options),
    seenAs: { from: "group", group: "room", fromUserId: null },
  },
};

const CONTENTS = [
  { name: "text", message: "héllo", options: TEXT, seenAs: { dataType: "text", data: "héllo" } },
  { name: "empty text", message: "", options: TEXT, seenAs: { dataType: "text", data: "" } },
  { name: "an object", message: { a: [1, null] }, seenAs: { dataType: "json", data: { a: [1, null] } } },
  { name: "a string as JSON", message: "hello", seenAs: { dataType: "json", data: "hello" } },
  { name: "a number", message: 1.5, seenAs: { dataType: "json", data: 1.5 } },
  { name: "a boolean", message: false, seenAs: { dataType: "json", data: false } },
  { name: "bytes", message: new Uint8Array([0, 255, 16]), seenAs: { dataType: "binary", data: "AP8Q" } },
  { name: "no bytes", message: new Uint8Array(0), seenAs: { dataType: "binary", data: "" } },
  { name: "an ArrayBuffer", message: new Uint8Array([1, 2]).buffer, seenAs: { dataType: "binary", data: "AQI=" } },
];

overEachTransport((transport) => {
  for (const [target, { send, seenAs }] of Object.entries(TARGETS)) {
    describe(`a send to ${target} reaches a JSON client`, () => {
      for (const content of CONTENTS) {
        test(`with ${content.name}`, async (t) => {
          const hub = Hub.for(t, transport);
          const member = await hub.connect({ userId: "ann", groups: ["room"] });
          await send(hub, member, content.message, content.options);
          assert.deepEqual(await hub.received(member), [{ type: "message", ...seenAs, ...content.seenAs }]);
        });
      }
    });
  }
});

describe("a client without a subprotocol gets the bare content", () => {
  const cases = [
    { name: "text as a text frame", message: "hello", options: TEXT, frame: { text: "hello" } },
    { name: "JSON as a text frame", message: { a: "b" }, frame: { text: '{"a":"b"}' } },
    { name: "a JSON string with its quotes", message: "hello", frame: { text: '"hello"' } },
    { name: "bytes as a binary frame", message: new Uint8Array([0, 255]), frame: { binary: Buffer.from([0, 255]) } },
  ];
  for (const { name, message, options, frame } of cases) {
    test(name, async (t) => {
      const hub = Hub.for(t, HTTP);
      const member = await hub.connectRaw({ userId: "ann" });
      await hub.service.sendToUser("ann", message, options);
      assert.deepEqual(await member.next(), frame);
    });
  }
});

describe("excludedConnections leaves out exactly the named connections", () => {
  const sends = {
    "hub send": (hub, options) => hub.service.sendToAll("hello", { ...TEXT, ...options }),
    "group send": (hub, options) => hub.service.group("room").sendToAll("hello", { ...TEXT, ...options }),
  };
  for (const [name, send] of Object.entries(sends)) {
    test(name, async (t) => {
      const hub = Hub.for(t, HTTP);
      const out = await hub.connect({ groups: ["room"] });
      const alsoOut = await hub.connect({ groups: ["room"] });
      const kept = await hub.connect({ groups: ["room"] });
      const excluded = [out.id, alsoOut.id, alsoOut.id, "unknown"];
      await send(hub, { excludedConnections: excluded });
      assert.deepEqual(await counts(hub, [out, alsoOut, kept]), [0, 0, 1]);
    });
    test(`${name}: values joined by a comma name nobody`, async (t) => {
      const hub = Hub.for(t, HTTP);
      const first = await hub.connect({ groups: ["room"] });
      const second = await hub.connect({ groups: ["room"] });
      await send(hub, { excludedConnections: [`${first.id},${second.id}`, ` ${first.id}`] });
      assert.deepEqual(await counts(hub, [first, second]), [1, 1]);
    });
  }
});

describe("a filter chooses the receivers", () => {
  const cases = [
    { filter: odata`userId eq ${"O'Brien"}`, receivers: ["O'Brien"] },
    { filter: odata`userId ne ${"O'Brien"}`, receivers: ["ann", null] },
    { filter: odata`userId eq ${null}`, receivers: [null] },
    { filter: odata`length(groups) gt ${1}`, receivers: ["ann"] },
    { filter: odata`${"room"} in groups`, receivers: ["ann", "O'Brien"] },
    { filter: odata`not (${"room"} in groups)`, receivers: [null] },
    { filter: odata`startswith(tolower(userId), ${"a"}) or userId eq ${undefined}`, receivers: ["ann", null] },
    { filter: "protocol eq 'json.webpubsub.azure.v1'", receivers: ["ann", "O'Brien", null] },
    { filter: "false", receivers: [] },
    { filter: "", receivers: ["ann", "O'Brien", null] },
  ];
  for (const { filter, receivers } of cases) {
    test(`hub send with ${filter || "an empty filter"}`, async (t) => {
      const hub = Hub.for(t, HTTP);
      const everyone = await threeClients(hub);
      await hub.service.sendToAll("hello", { ...TEXT, filter });
      assert.deepEqual(await whoReceived(hub, everyone), receivers);
    });
  }

  test("group send", async (t) => {
    const hub = Hub.for(t, HTTP);
    const everyone = await threeClients(hub);
    await hub.service.group("room").sendToAll("hello", { ...TEXT, filter: odata`userId ne ${"ann"}` });
    assert.deepEqual(await whoReceived(hub, everyone), ["O'Brien"]);
  });

  test("user send", async (t) => {
    const hub = Hub.for(t, HTTP);
    const inRoom = await hub.connect({ userId: "ann", groups: ["room"] });
    const outside = await hub.connect({ userId: "ann" });
    await hub.service.sendToUser("ann", "hello", { ...TEXT, filter: odata`${"room"} in groups` });
    assert.deepEqual(await counts(hub, [inRoom, outside]), [1, 0]);
  });
});

test("a user send reaches every connection of that user and nobody whose id differs in case", async (t) => {
  const hub = Hub.for(t, HTTP);
  const members = [
    await hub.connect({ userId: "ann" }),
    await hub.connect({ userId: "ann" }),
    await hub.connect({ userId: "Ann" }),
    await hub.connect(),
  ];
  await hub.service.sendToUser("ann", "hello", TEXT);
  assert.deepEqual(await counts(hub, members), [1, 1, 0, 0]);
});

test("a send does not reach the clients of another hub", async (t) => {
  const hub = Hub.for(t, HTTP);
  const other = Hub.for(t, HTTP);
  const stranger = await other.connect({ userId: "ann", groups: ["room"] });
  await hub.service.sendToAll("hello", TEXT);
  await hub.service.sendToUser("ann", "hello", TEXT);
  await hub.service.group("room").sendToAll("hello", TEXT);
  await hub.service.sendToConnection(stranger.id, "hello", TEXT);
  assert.deepEqual(await other.received(stranger), []);
});

test("sends awaited one after another arrive in that order whatever their targets", async (t) => {
  const hub = Hub.for(t, HTTP);
  const member = await hub.connect({ userId: "ann", groups: ["room"] });
  const expected = [];
  for (let round = 0; round < 10; round++) {
    for (const [target, { send }] of Object.entries(TARGETS)) {
      await send(hub, member, `${round} ${target}`, TEXT);
      expected.push(`${round} ${target}`);
    }
  }
  assert.deepEqual((await hub.received(member)).map((message) => message.data), expected);
});

describe("messageTtlSeconds", () => {
  for (const [target, { send }] of Object.entries(TARGETS)) {
    for (const messageTtlSeconds of [0, 1, 300]) {
      test(`of ${messageTtlSeconds} is accepted by a send to ${target}`, async (t) => {
        const hub = Hub.for(t, HTTP);
        const member = await hub.connect({ userId: "ann", groups: ["room"] });
        await send(hub, member, "hello", { ...TEXT, messageTtlSeconds });
        assert.equal((await hub.received(member)).length, 1);
      });
    }
    for (const messageTtlSeconds of [-1, 301, 1.5]) {
      test(`of ${messageTtlSeconds} is refused by a send to ${target}`, async (t) => {
        const hub = Hub.for(t, HTTP);
        const member = await hub.connect({ userId: "ann", groups: ["room"] });
        await assert.rejects(send(hub, member, "hello", { ...TEXT, messageTtlSeconds }), {
          statusCode: 400,
          code: "Error.BadRequest",
        });
        assert.deepEqual(await hub.received(member), []);
      });
    }
  }
});

describe("an invalid filter is refused with 400 and nothing is sent", () => {
  for (const filter of [" ", "userId", "userId eq 'a", 'userId eq "a"', "age gt 1", "length(userId) add 1 eq 2"]) {
    for (const target of ["the hub", "a group", "a user"]) {
      test(`${JSON.stringify(filter)} in a send to ${target}`, async (t) => {
        const hub = Hub.for(t, HTTP);
        const member = await hub.connect({ userId: "ann", groups: ["room"] });
        await assert.rejects(TARGETS[target].send(hub, member, "hello", { ...TEXT, filter }), {
          statusCode: 400,
          code: "Error.BadRequest",
        });
        assert.deepEqual(await hub.received(member), []);
      });
    }
  }
});

test("a body of one mebibyte is delivered, one byte more is refused", async (t) => {
  const hub = Hub.for(t, HTTP);
  const member = await hub.connect();
  const largest = "x".repeat(1024 * 1024);
  await hub.service.sendToAll(largest, TEXT);
  await assert.rejects(hub.service.sendToAll(`${largest}x`, TEXT), { statusCode: 400 });
  const received = await hub.received(member);
  assert.deepEqual(received.map((message) => message.data.length), [largest.length]);
});

async function threeClients(hub) {
  return [
    await hub.connect({ userId: "ann", groups: ["room", "hall"] }),
    await hub.connect({ userId: "O'Brien", groups: ["room"] }),
    await hub.connect(),
  ];
}

async function whoReceived(hub, sockets) {
  const numbers = await counts(hub, sockets);
  return sockets.filter((_, index) => numbers[index] > 0).map((socket) => socket.userId);
}

async function counts(hub, sockets) {
  const numbers = [];
  for (const socket of sockets) {
    numbers.push((await hub.received(socket)).length);
  }
  return numbers;
}
