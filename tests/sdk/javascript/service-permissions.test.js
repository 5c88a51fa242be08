// Grant, revoke and check of permissions through `@azure/web-pubsub`, and their effect on a live
// client.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Hub, HTTP, overEachTransport } from "./support/hub.js";

const ACTIONS = {
  sendToGroup: { type: "sendToGroup", group: "room", dataType: "text", data: "hello", noEcho: true },
  joinLeaveGroup: { type: "joinGroup", group: "room" },
};

overEachTransport((transport) => {
  for (const permission of Object.keys(ACTIONS)) {
    test(`a grant of ${permission} acts at once, for its group alone, until it is revoked`, async (t) => {
      const hub = Hub.for(t, transport);
      const member = await hub.connect();
      const { grantPermission, hasPermission, revokePermission } = bound(hub.service, member.id, permission);

      assert.equal(await allowed(member, permission), "Forbidden");
      assert.equal(await hasPermission("room"), false);
      await grantPermission("room");
      await grantPermission("room");
      assert.equal(await allowed(member, permission), true);
      assert.deepEqual([await hasPermission("room"), await hasPermission("hall")], [true, false]);
      await revokePermission("room");
      await revokePermission("room");
      assert.equal(await allowed(member, permission), "Forbidden");
      assert.equal(await hasPermission("room"), false);
    });
  }
});

describe("permissions from roles", () => {
  const cases = [
    { roles: [], group: "room", expected: false },
    { roles: ["webpubsub.sendToGroup"], group: "room", expected: true },
    { roles: ["webpubsub.sendToGroup.room"], group: "room", expected: true },
    { roles: ["webpubsub.sendToGroup.room"], group: "Room", expected: false },
    { roles: ["webpubsub.sendToGroup.*"], group: "room", expected: false },
    { roles: ["webpubsub.sendToGroups.ro*"], group: "room", expected: true },
    { roles: ["webpubsub.sendToGroups.ro*"], group: "ro.om", expected: false },
    { roles: ["webpubsub.sendToGroups.ro**"], group: "ro.om", expected: true },
    { roles: ["webpubsub.joinLeaveGroup"], group: "room", expected: false },
  ];
  for (const { roles, group, expected } of cases) {
    test(`${roles.join() || "no role"} ${expected ? "covers" : "does not cover"} ${group}`, async (t) => {
      const hub = Hub.for(t, HTTP);
      const member = await hub.connect({ roles });
      const { hasPermission } = bound(hub.service, member.id, "sendToGroup");
      assert.equal(await hasPermission(group), expected);
    });
  }

  test("a revoke makes an exception to a role, a grant takes it back", async (t) => {
    const hub = Hub.for(t, HTTP);
    const member = await hub.connect({ roles: ["webpubsub.sendToGroup"] });
    const { grantPermission, hasPermission, revokePermission } = bound(hub.service, member.id, "sendToGroup");
    await revokePermission("room");
    assert.deepEqual([await hasPermission("room"), await hasPermission("hall")], [false, true]);
    await grantPermission("room");
    assert.equal(await hasPermission("room"), true);
  });

  test("a granted name is literal: * stands for no other group", async (t) => {
    const hub = Hub.for(t, HTTP);
    const member = await hub.connect();
    const { grantPermission, hasPermission } = bound(hub.service, member.id, "sendToGroup");
    await grantPermission("*");
    assert.deepEqual([await hasPermission("*"), await hasPermission("room")], [true, false]);
  });
});

test("the 1001st exception of a connection is refused with 409 and leaves the others", async (t) => {
  const hub = Hub.for(t, HTTP);
  const member = await hub.connect();
  const { grantPermission, hasPermission, revokePermission } = bound(hub.service, member.id, "sendToGroup");
  const names = Array.from({ length: 1000 }, (_, index) => `room ${index}`);
  for (let start = 0; start < names.length; start += 50) {
    await Promise.all(names.slice(start, start + 50).map(grantPermission));
  }
  await assert.rejects(grantPermission("one too many"), { statusCode: 409, code: "Error.Connection.Conflict" });
  await grantPermission(names[0]);
  await revokePermission(names[0]);
  await grantPermission("one too many");
  assert.deepEqual([await hasPermission(names[0]), await hasPermission("one too many")], [false, true]);
});

test("revoking joinLeaveGroup does not evict from the group", async (t) => {
  const hub = Hub.for(t, HTTP);
  const member = await hub.connect({ groups: ["room"], roles: ["webpubsub.joinLeaveGroup"] });
  await bound(hub.service, member.id, "joinLeaveGroup").revokePermission("room");
  assert.equal(await hub.service.groupExists("room"), true);
});

describe("refused with 400", () => {
  const cases = [
    { name: "without a group", permission: "sendToGroup", targetName: undefined },
    { name: "for a blank group", permission: "sendToGroup", targetName: " " },
    { name: "for a group name of 1025 characters", permission: "sendToGroup", targetName: "x".repeat(1025) },
    { name: "for an unknown permission", permission: "receive", targetName: "room" },
  ];
  for (const { name, permission, targetName } of cases) {
    for (const operation of ["grantPermission", "revokePermission", "hasPermission"]) {
      test(`${operation} ${name}`, async (t) => {
        const hub = Hub.for(t, HTTP);
        const member = await hub.connect();
        await assert.rejects(hub.service[operation](member.id, permission, { targetName }), { statusCode: 400 });
      });
    }
  }
});

test("a connection of another hub counts as missing", async (t) => {
  const hub = Hub.for(t, HTTP);
  const stranger = await Hub.for(t, HTTP).connect();
  const { grantPermission, hasPermission } = bound(hub.service, stranger.id, "sendToGroup");
  await assert.rejects(grantPermission("room"), { statusCode: 404, code: "Info.Connection.NotExisted" });
  assert.equal(await hasPermission("room"), false);
});

/** The three operations for one connection and permission, as functions of the group. */
function bound(service, connection, permission) {
  const operations = ["grantPermission", "hasPermission", "revokePermission"];
  return Object.fromEntries(
    operations.map((name) => [name, (targetName) => service[name](connection, permission, { targetName })]),
  );
}

let ackId = 0;

/** Tries the action as a client: true, or the name of the error in its ack. */
async function allowed(member, permission) {
  member.send({ ...ACTIONS[permission], ackId: ++ackId });
  const ack = await member.next();
  assert.equal(ack.ackId, ackId);
  return ack.success || ack.error.name;
}
