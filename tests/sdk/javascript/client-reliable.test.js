// `@azure/web-pubsub-client` as it is without options: on the reliable JSON subprotocol, over a network that breaks.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Hub, HTTP, overEachTransport } from "./support/hub.js";
import { Proxy } from "./support/proxy.js";
import { Recorder } from "./support/recorder.js";

const MEMBER = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
/** The client's own choice. */
const DEFAULT = { protocol: undefined };
const MESSAGES = 240;
/** The network breaks after so many. */
const CUT_EVERY = 40;

const numbers = Array.from({ length: MESSAGES }, (_, index) => index);

async function received(recorder) {
  const data = [];
  while (data.length < MESSAGES) {
    data.push((await recorder.next("group-message")).message.data);
  }
  return data;
}

/** A client behind a proxy, and the same hub without one. */
async function behindProxy(t) {
  const proxy = await Proxy.start(HTTP);
  const far = Hub.for(t, proxy.transport);
  t.after(() => proxy.close());
  const recorder = await Recorder.start(far, { userId: "ann", groups: ["room"], roles: MEMBER }, DEFAULT);
  return { proxy, recorder, near: Hub.for(t, HTTP, far.name) };
}

overEachTransport((transport) => {
  test("a client without options connects, joins, sends and receives", async (t) => {
    const hub = Hub.for(t, transport);
    const recorder = await Recorder.start(hub, { userId: "ann", roles: MEMBER }, DEFAULT);
    await recorder.client.joinGroup("room");
    await recorder.client.sendToGroup("room", "one", "text");
    await hub.service.sendToAll("two", { contentType: "text/plain" });
    const { message: first } = await recorder.next("group-message");
    const { message: second } = await recorder.next("server-message");
    assert.deepEqual([first.data, first.sequenceId, second.data, second.sequenceId], ["one", 1, "two", 2]);
  });
});

test("messages that flow while the network breaks arrive once each and in order", async (t) => {
  const { proxy, recorder, near } = await behindProxy(t);
  const arrived = received(recorder);
  for (const number of numbers) {
    await near.service.group("room").sendToAll(number);
    if (number % CUT_EVERY === CUT_EVERY - 1) {
      proxy.cut();
    }
  }
  assert.deepEqual(await arrived, numbers);
  assert.equal(await near.service.connectionExists(recorder.id), true, "it is the same connection");
});

test("what is sent while the client is away waits for it", async (t) => {
  const { proxy, recorder, near } = await behindProxy(t);
  proxy.cut();
  for (const number of numbers) {
    await near.service.group("room").sendToAll(number);
  }
  assert.deepEqual(await received(recorder), numbers);
});

test("a client that sends while its network breaks is heard once each", async (t) => {
  const { proxy, recorder, near } = await behindProxy(t);
  const watcher = await Recorder.start(near, { groups: ["room"] }, DEFAULT);
  const arrived = received(watcher);
  for (const number of numbers) {
    await sendUntilTaken(recorder.client, number);
    if (number % CUT_EVERY === CUT_EVERY - 1) {
      proxy.cut();
    }
  }
  assert.deepEqual(await arrived, numbers);
});

/** Sends under an ack id of its own, so that the server knows a repetition for what it is. */
async function sendUntilTaken(client, number) {
  for (;;) {
    try {
      return await client.sendToGroup("room", number, "json", { ackId: number + 1, noEcho: true });
    } catch {
      await delay(20);
    }
  }
}

test("a client that the application closed starts anew under another id", async (t) => {
  const hub = Hub.for(t, HTTP);
  const credential = { getClientAccessUrl: () => hub.clientUrl({ userId: "ann", roles: MEMBER }) };
  const recorder = hub.closeAtEnd(new Recorder(credential, DEFAULT));
  await recorder.client.start();
  const first = await recorder.next("connected");
  await recorder.client.joinGroup("room");
  await hub.service.closeConnection(first.connectionId);
  const second = await recorder.next("connected");
  assert.notEqual(second.connectionId, first.connectionId);
  await hub.service.group("room").sendToAll("welcome back");
  assert.equal((await recorder.next("group-message")).message.data, "welcome back");
});
