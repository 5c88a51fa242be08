// Streams of `@azure/web-pubsub-client`, on the reliable JSON subprotocol and over a network that breaks.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { inTime, Inbox } from "../../support/inbox.js";
import { Hub, HTTP, overEachTransport } from "./support/hub.js";
import { Proxy } from "./support/proxy.js";
import { Recorder } from "./support/recorder.js";

const MEMBER = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
/** The client's own choice: the reliable subprotocol. */
const DEFAULT = { protocol: undefined };
const PARTS = 3000;
/** The network breaks after so many. */
const CUT_EVERY = 500;
/** So many are written at a time. */
const BURST = 50;
/** A client that is not told to go on waits for ever. */
const IN_TIME = { timeout: 30_000 };
/** Pause after that: the client acknowledges what it receives once a second, and may owe 1,000 messages. */
const PAUSE = 80;

/** A member of `room`, and the streams that it receives: each resolves with its parts, or why it broke off. */
async function listen(hub) {
  const { client } = await Recorder.start(hub, { groups: ["room"] }, DEFAULT);
  const streams = new Inbox();
  client.onGroupStream(
    async (stream) => {
      const parts = [];
      const ended = (async () => {
        for await (const part of stream) {
          parts.push(part);
        }
        return { parts };
      })().catch((error) => ({ parts, error }));
      streams.put({ id: stream.streamId, group: stream.groupName, ended });
    },
    { handleFromStart: true },
  );
  return { next: () => inTime(streams.take(), "a stream") };
}

/** Waits for the end of a stream. */
const endOf = (stream) => inTime(stream.ended, "the end of a stream", 60_000);

/**
 * Ends a stream, with `error` if it is given up. When the answer comes before the client's socket says that the
 * message is sent, the client reports its own success as an error.
 */
async function end(writer, error) {
  const ended = error === undefined ? writer.end() : writer.abort(error);
  await ended.catch((failure) => assert.match(failure.message, /^Stream '.*' is completed\.$/));
}

const publish = (hub, token = {}) => Recorder.start(hub, { userId: "ann", roles: MEMBER, ...token }, DEFAULT);

overEachTransport((transport) => {
  test("a stream reaches a member in order, with the types of its parts and its end", async (t) => {
    const hub = Hub.for(t, transport);
    const listener = await listen(hub);
    const publisher = await publish(hub);
    const writer = await publisher.client.openGroupStream("room");
    const contents = [
      ["text", "one"],
      ["json", { two: [2] }],
      ["binary", new Uint8Array([3]).buffer],
      ["text", "four"],
    ];
    for (const [dataType, data] of contents) {
      await writer.write(data, dataType);
    }
    await end(writer);
    const stream = await listener.next();
    assert.deepEqual([stream.id, stream.group], [writer.streamId, "room"]);
    const { parts, error } = await endOf(stream);
    assert.equal(error, undefined);
    assert.deepEqual(
      parts.map(({ dataType, data, fromUserId }) => [dataType, data, fromUserId]),
      contents.map(([dataType, data]) => [dataType, data, "ann"]),
    );
    assert.deepEqual(
      parts.map((part) => part.stream.streamSequenceId),
      [1, 2, 3, 4],
    );
  });
});

test("a stream that its publisher gives up breaks off with the error that it names", async (t) => {
  const hub = Hub.for(t, HTTP);
  const listener = await listen(hub);
  const publisher = await publish(hub);
  const writer = await publisher.client.openGroupStream("room");
  await writer.write("half", "text");
  await end(writer, { message: "out of words", userErrorCode: "E7" });
  const { parts, error } = await endOf(await listener.next());
  assert.deepEqual(
    parts.map((part) => part.data),
    ["half"],
  );
  assert.deepEqual([error.name, error.message, error.userErrorCode], ["UserError", "out of words", "E7"]);
});

test("streams of one publisher do not disturb each other", async (t) => {
  const hub = Hub.for(t, HTTP);
  const listener = await listen(hub);
  const publisher = await publish(hub);
  const writers = await Promise.all(["a", "b", "c"].map((streamId) => publisher.client.openGroupStream("room", { streamId })));
  for (let number = 0; number < 100; number++) {
    await Promise.all(writers.map((writer) => writer.write(`${writer.streamId}${number}`, "text")));
  }
  await Promise.all(writers.map((writer) => end(writer)));
  for (let count = 0; count < writers.length; count++) {
    const stream = await listener.next();
    const { parts } = await endOf(stream);
    const expected = Array.from({ length: 100 }, (_, number) => `${stream.id}${number}`);
    assert.deepEqual(
      parts.map((part) => part.data),
      expected,
    );
  }
});

test("both sides are told when nothing happens in a stream", async (t) => {
  const hub = Hub.for(t, HTTP);
  const listener = await listen(hub);
  const publisher = await publish(hub);
  const writer = await publisher.client.openGroupStream("room", { idleTimeoutInMs: 500 });
  const told = new Promise((resolve) => writer.onError(resolve));
  await writer.write("and then", "text");
  const { parts, error } = await endOf(await listener.next());
  assert.deepEqual([parts.length, error.name], [1, "IdleTimeout"]);
  assert.equal((await inTime(told, "the publisher's error")).name, "IdleTimeout");
});

test("a stream to a group that is not permitted is not opened", async (t) => {
  const hub = Hub.for(t, HTTP);
  const publisher = await publish(hub, { roles: [] });
  await assert.rejects(publisher.client.openGroupStream("room"), { name: "Forbidden" });
});

test("a permission that is revoked breaks a stream off on both sides", async (t) => {
  const hub = Hub.for(t, HTTP);
  const listener = await listen(hub);
  const publisher = await publish(hub);
  const writer = await publisher.client.openGroupStream("room");
  const told = new Promise((resolve) => writer.onError(resolve));
  await writer.write("until here", "text");
  const stream = await listener.next();
  await hub.service.revokePermission(publisher.id, "sendToGroup", { targetName: "room" });
  assert.equal((await endOf(stream)).error.name, "Forbidden");
  assert.equal((await inTime(told, "the publisher's error")).name, "Forbidden");
});

test("a long stream arrives whole, once and in order while publisher and member lose their network", IN_TIME, async (t) => {
  const proxy = await Proxy.start(HTTP);
  const far = Hub.for(t, proxy.transport);
  t.after(() => proxy.close());
  const near = Hub.for(t, HTTP, far.name);
  const listeners = [await listen(near), await listen(far)];
  const publisher = await publish(far);
  const writer = await publisher.client.openGroupStream("room");
  const failures = [];
  writer.onError((error) => failures.push(error));
  for (let number = 0; number < PARTS; number++) {
    await writer.write(number, "json");
    if (number % BURST === BURST - 1) {
      await delay(PAUSE);
    }
    if (number % CUT_EVERY === CUT_EVERY - 1) {
      proxy.cut();
    }
  }
  await end(writer);
  for (const listener of listeners) {
    const { parts, error } = await endOf(await listener.next());
    assert.equal(error, undefined);
    assert.deepEqual(
      parts.map((part) => part.data),
      Array.from({ length: PARTS }, (_, number) => number),
    );
  }
  assert.deepEqual(failures, []);
  assert.equal(await near.service.connectionExists(publisher.id), true, "it is the same connection");
});

test("a publisher that comes back after its stream has ended hears of that instead of waiting for ever", async (t) => {
  const proxy = await Proxy.start(HTTP);
  const far = Hub.for(t, proxy.transport);
  t.after(() => proxy.close());
  const near = Hub.for(t, HTTP, far.name);
  const listener = await listen(near);
  const publisher = await publish(far);
  const writer = await publisher.client.openGroupStream("room");
  const told = new Promise((resolve) => writer.onError(resolve));
  await writer.write("before", "text");
  const stream = await listener.next();
  // The client takes a while to come back, and the stream ends meanwhile.
  proxy.cut();
  await near.service.revokePermission(publisher.id, "sendToGroup", { targetName: "room" });
  assert.equal((await endOf(stream)).error.name, "Forbidden");
  await Promise.allSettled([inTime(writer.write("after", "text"), "the write")]);
  assert.equal((await inTime(told, "the publisher's error")).name, "Forbidden");
});
