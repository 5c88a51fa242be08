// The life of a `@azure/web-pubsub-client` on the JSON subprotocol: start, stop, being closed,
// reconnecting and rejoining.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Hub, HTTP, overEachTransport } from "./support/hub.js";
import { WRONG_KEY } from "./support/keys.js";
import { Recorder } from "./support/recorder.js";

const JOINER = ["webpubsub.joinLeaveGroup"];

overEachTransport((transport) => {
  test("start connects, stop disconnects, and the client may start again", async (t) => {
    const hub = Hub.for(t, transport);
    const recorder = hub.closeAtEnd(new Recorder(await hub.clientUrl({ userId: "ann" })));
    for (let round = 0; round < 2; round++) {
      await recorder.client.start();
      const { connectionId, userId } = await recorder.next("connected");
      assert.equal(userId, "ann");
      assert.equal(await hub.service.connectionExists(connectionId), true);

      recorder.client.stop();
      assert.deepEqual(await recorder.next("disconnected"), { connectionId, message: undefined });
      await recorder.next("stopped");
    }
  });

  test("a client that the server closed reconnects under a new id and rejoins its groups", async (t) => {
    const hub = Hub.for(t, transport);
    const credential = { getClientAccessUrl: () => hub.clientUrl({ userId: "ann", roles: JOINER }) };
    const recorder = hub.closeAtEnd(new Recorder(credential));
    await recorder.client.start();
    const first = await recorder.next("connected");
    await recorder.client.joinGroup("room");
    await recorder.client.joinGroup("hall");
    await recorder.client.leaveGroup("hall");

    await hub.service.closeConnection(first.connectionId, { reason: "moving house" });
    const { connectionId, message } = await recorder.next("disconnected");
    assert.equal(connectionId, first.connectionId);
    assert.equal(message.message, "Application server closed the connection. Reason: moving house");

    const second = await recorder.next("connected");
    assert.notEqual(second.connectionId, first.connectionId);
    await hub.service.group("hall").sendToAll("not for us");
    await hub.service.group("room").sendToAll("welcome back");
    assert.equal((await recorder.next("group-message")).message.data, "welcome back");
  });
});

test("a client whose reconnection lacks the role reports rejoin-group-failed", async (t) => {
  const hub = Hub.for(t, HTTP);
  let roles = JOINER;
  const credential = { getClientAccessUrl: () => hub.clientUrl({ roles }) };
  const recorder = hub.closeAtEnd(new Recorder(credential));
  await recorder.client.start();
  const { connectionId } = await recorder.next("connected");
  await recorder.client.joinGroup("room");

  roles = [];
  await hub.service.closeConnection(connectionId);
  const { group, error } = await recorder.next("rejoin-group-failed");
  assert.deepEqual([group, error.errorDetail.name], ["room", "Forbidden"]);
});

test("autoRejoinGroups off: a reconnected client is in no group", async (t) => {
  const hub = Hub.for(t, HTTP);
  const recorder = await Recorder.start(hub, { roles: JOINER }, { autoRejoinGroups: false });
  await recorder.client.joinGroup("room");
  await hub.service.closeConnection(recorder.id);
  await recorder.next("disconnected");
  await recorder.next("connected");
  assert.equal(await hub.service.groupExists("room"), false);
});

test("autoReconnect off: a client that the server closed is stopped", async (t) => {
  const hub = Hub.for(t, HTTP);
  const recorder = await Recorder.start(hub, {}, { autoReconnect: false });
  await hub.service.closeConnection(recorder.id);
  await recorder.next("disconnected");
  await recorder.next("stopped");
});

test("pings of the client are answered: a quiet connection outlives keepAliveTimeoutInMs", async (t) => {
  const hub = Hub.for(t, HTTP);
  const recorder = await Recorder.start(hub, {}, { keepAliveIntervalInMs: 100, keepAliveTimeoutInMs: 600 });
  const outcome = await Promise.race([recorder.next("disconnected"), delay(2000, "still connected")]);
  assert.equal(outcome, "still connected");
});

test("messages of the server arrive as server-message with their data type", async (t) => {
  const hub = Hub.for(t, HTTP);
  const recorder = await Recorder.start(hub, { userId: "ann" });
  await hub.service.sendToUser("ann", "text", { contentType: "text/plain" });
  await hub.service.sendToConnection(recorder.id, { a: 1 });
  await hub.service.sendToAll(new Uint8Array([1, 2]));
  const received = [];
  for (let count = 0; count < 3; count++) {
    const { dataType, data } = (await recorder.next("server-message")).message;
    received.push([dataType, data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data]);
  }
  assert.deepEqual(received, [["text", "text"], ["json", { a: 1 }], ["binary", [1, 2]]]);
});

describe("start fails", () => {
  const cases = [
    { name: "without a token", url: async (hub) => (await hub.service.getClientAccessToken()).baseUrl },
    { name: "with a token of a wrong key", url: async (hub) => (await hub.serviceWith({ key: WRONG_KEY }).getClientAccessToken()).url },
    { name: "with an expired token", url: (hub) => hub.clientUrl({ expirationTimeInMinutes: -10 }) },
  ];
  for (const { name, url } of cases) {
    test(`${name}: 401`, async (t) => {
      const recorder = new Recorder(await url(Hub.for(t, HTTP)));
      await assert.rejects(recorder.client.start(), /401/);
    });
  }
});
