// Groups, messages and events of `@azure/web-pubsub-client` on the JSON subprotocol.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Hub, HTTP, overEachTransport } from "./support/hub.js";
import { Recorder } from "./support/recorder.js";

const MEMBER = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

/** A serialized `google.protobuf.Any` of the type `t` with the value `v`. */
const ANY = new Uint8Array([0x0a, 1, 0x74, 0x12, 1, 0x76]).buffer;

const CONTENTS = [
  { dataType: "text", data: "héllo" },
  { dataType: "text", data: "" },
  { dataType: "json", data: { a: [1, null, "b"] } },
  { dataType: "json", data: [1, 2.5] },
  { dataType: "json", data: "a string" },
  { dataType: "json", data: 0 },
  { dataType: "json", data: false },
  { dataType: "binary", data: new Uint8Array([0, 255, 16]).buffer },
  { dataType: "binary", data: new ArrayBuffer(0) },
  { dataType: "protobuf", data: ANY },
];

overEachTransport((transport) => {
  for (const { dataType, data } of CONTENTS) {
    const shown = data instanceof ArrayBuffer ? `${data.byteLength} bytes` : JSON.stringify(data);
    test(`sendToGroup with ${dataType} ${shown} reaches every member, the sender included`, async (t) => {
      const hub = Hub.for(t, transport);
      const sender = await Recorder.start(hub, { userId: "ann", roles: MEMBER });
      const receiver = await Recorder.start(hub, { roles: MEMBER });
      assert.equal((await sender.client.joinGroup("room")).isDuplicated, false);
      await receiver.client.joinGroup("room");
      assert.equal((await sender.client.sendToGroup("room", data, dataType)).isDuplicated, false);
      for (const member of [sender, receiver]) {
        const { message } = await member.next("group-message");
        assert.deepEqual(
          { group: message.group, fromUserId: message.fromUserId, dataType: message.dataType, data: message.data },
          { group: "room", fromUserId: "ann", dataType, data },
        );
      }
    });
  }
});

test("noEcho leaves out the sending connection and no other of the same user", async (t) => {
  const hub = Hub.for(t, HTTP);
  const sender = await Recorder.start(hub, { userId: "ann", groups: ["room"], roles: MEMBER });
  const second = await Recorder.start(hub, { userId: "ann", groups: ["room"], roles: MEMBER });
  await sender.client.sendToGroup("room", "first", "text", { noEcho: true });
  await sender.client.sendToGroup("room", "second", "text");
  assert.equal((await sender.next("group-message")).message.data, "second");
  assert.equal((await second.next("group-message")).message.data, "first");
});

test("fireAndForget sends are delivered in order", async (t) => {
  const hub = Hub.for(t, HTTP);
  const sender = await Recorder.start(hub, { groups: ["room"], roles: MEMBER });
  for (let number = 0; number < 20; number++) {
    await sender.client.sendToGroup("room", number, "json", { fireAndForget: true });
  }
  for (let number = 0; number < 20; number++) {
    assert.equal((await sender.next("group-message")).message.data, number);
  }
});

test("a second message with the same ackId is reported as duplicate and not delivered", async (t) => {
  const hub = Hub.for(t, HTTP);
  const sender = await Recorder.start(hub, { groups: ["room"], roles: MEMBER });
  const results = [];
  for (const [data, ackId] of [["once", 77], ["again", 77], ["after", 78]]) {
    results.push(await sender.client.sendToGroup("room", data, "text", { ackId }));
  }
  assert.deepEqual(results, [
    { ackId: 77, isDuplicated: false },
    { ackId: 77, isDuplicated: true },
    { ackId: 78, isDuplicated: false },
  ]);
  assert.equal((await sender.next("group-message")).message.data, "once");
  assert.equal((await sender.next("group-message")).message.data, "after");
});

test("joinGroup with an ackId of an earlier leaveGroup is a duplicate and does not join", async (t) => {
  const hub = Hub.for(t, HTTP);
  const member = await Recorder.start(hub, { groups: ["room"], roles: MEMBER });
  await member.client.leaveGroup("room", { ackId: 5 });
  assert.deepEqual(await member.client.joinGroup("room", { ackId: 5 }), { ackId: 5, isDuplicated: true });
  assert.equal(await hub.service.groupExists("room"), false);
});

test("leaveGroup ends delivery, and leaving again succeeds", async (t) => {
  const hub = Hub.for(t, HTTP);
  const member = await Recorder.start(hub, { roles: MEMBER });
  await member.client.joinGroup("room");
  await member.client.leaveGroup("room");
  await member.client.leaveGroup("room");
  await hub.service.group("room").sendToAll("nobody hears this");
  await hub.service.sendToAll("everyone hears this");
  assert.equal((await member.next("server-message")).message.data, "everyone hears this");
  assert.equal(await hub.service.groupExists("room"), false);
});

describe("without the role an operation fails with Forbidden, and its ackId may be used again", () => {
  const cases = [
    { name: "joinGroup", permission: "joinLeaveGroup", call: (client) => client.joinGroup("room", { ackId: 9 }) },
    { name: "leaveGroup", permission: "joinLeaveGroup", call: (client) => client.leaveGroup("room", { ackId: 9 }) },
    { name: "sendToGroup", permission: "sendToGroup", call: (client) => client.sendToGroup("room", "x", "text", { ackId: 9 }) },
  ];
  for (const { name, permission, call } of cases) {
    test(name, async (t) => {
      const hub = Hub.for(t, HTTP);
      const member = await Recorder.start(hub, { groups: ["room"] });
      await assert.rejects(call(member.client), (error) => {
        assert.deepEqual([error.name, error.ackId, error.errorDetail.name], ["SendMessageError", 9, "Forbidden"]);
        assert.match(error.errorDetail.message, /'room'/);
        return true;
      });
      await hub.service.grantPermission(member.id, permission, { targetName: "room" });
      assert.deepEqual(await call(member.client), { ackId: 9, isDuplicated: false });
    });
  }
});

describe("sendEvent has no event handler to go to", () => {
  for (const { dataType, data } of CONTENTS.filter(({ dataType }) => dataType !== "protobuf")) {
    test(`with ${dataType}, of ${typeof data}, it fails with InternalServerError and the connection stays`, async (t) => {
      const hub = Hub.for(t, HTTP);
      const member = await Recorder.start(hub);
      await assert.rejects(member.client.sendEvent("order.created", data, dataType), (error) => {
        assert.deepEqual(error.errorDetail, { name: "InternalServerError", message: "Internal server error" });
        return true;
      });
      assert.equal(await hub.service.connectionExists(member.id), true);
    });
  }

  test("with fireAndForget nobody is told and the connection stays", async (t) => {
    const hub = Hub.for(t, HTTP);
    const member = await Recorder.start(hub);
    assert.deepEqual(await member.client.sendEvent("created", "x", "text", { fireAndForget: true }), { isDuplicated: false });
    await assert.rejects(member.client.sendEvent("created", "x", "text"), { name: "SendMessageError" });
    assert.equal(await hub.service.connectionExists(member.id), true);
  });
});

describe("a message that breaks the protocol ends the connection", () => {
  const cases = [
    { name: "an event with an invalid name", call: (client) => client.sendEvent("1st", "x", "text") },
    { name: "a blank group", call: (client) => client.joinGroup(" ") },
  ];
  for (const { name, call } of cases) {
    test(name, async (t) => {
      const hub = Hub.for(t, HTTP);
      const member = await Recorder.start(hub, { roles: MEMBER }, { autoReconnect: false });
      await assert.rejects(call(member.client));
      await member.next("stopped");
      assert.equal(await hub.service.connectionExists(member.id), false);
    });
  }
});
