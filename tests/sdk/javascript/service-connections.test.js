// Existence and closing of connections, users and groups through `@azure/web-pubsub`.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Hub, HTTP, overEachTransport } from "./support/hub.js";

const CLOSES = {
  closeConnection: (hub, member, options) => hub.service.closeConnection(member.id, options),
  closeUserConnections: (hub, member, options) => hub.service.closeUserConnections("ann", options),
  "group.closeAllConnections": (hub, member, options) => hub.service.group("room").closeAllConnections(options),
  closeAllConnections: (hub, member, options) => hub.service.closeAllConnections(options),
};

overEachTransport((transport) => {
  test("a connection, its user and its group exist while it is open and no longer", async (t) => {
    const hub = Hub.for(t, transport);
    const member = await hub.connect({ userId: "ann", groups: ["room"] });
    const exist = () =>
      Promise.all([
        hub.service.connectionExists(member.id),
        hub.service.userExists("ann"),
        hub.service.groupExists("room"),
      ]);
    assert.deepEqual(await exist(), [true, true, true]);
    await hub.service.closeConnection(member.id);
    await member.ended();
    assert.deepEqual(await exist(), [false, false, false]);
  });

  for (const [name, close] of Object.entries(CLOSES)) {
    for (const [reason, message] of [
      [undefined, "Application server closed the connection."],
      ["", "Application server closed the connection."],
      ["done & dusted ✓", "Application server closed the connection. Reason: done & dusted ✓"],
      ["x".repeat(200), `Application server closed the connection. Reason: ${"x".repeat(200)}`],
    ]) {
      test(`${name} with reason ${JSON.stringify(reason)} says so and closes with 1000`, async (t) => {
        const hub = Hub.for(t, transport);
        const member = await hub.connect({ userId: "ann", groups: ["room"] });
        await close(hub, member, { reason });
        assert.deepEqual(await member.next(), { type: "system", event: "disconnected", message });
        assert.deepEqual(await member.ended(), { code: 1000, reason: "" });
      });
    }
  }
});

test("a client without a subprotocol gets only the close frame", async (t) => {
  const hub = Hub.for(t, HTTP);
  const member = await hub.connectRaw({ userId: "ann" });
  await hub.service.closeUserConnections("ann", { reason: "done" });
  assert.deepEqual(await member.ended(), { code: 1000, reason: "" });
});

describe("closing touches only its target", () => {
  const cases = [
    { name: "closeConnection", closed: ["first"] },
    { name: "closeUserConnections", closed: ["first", "sameUser"] },
    { name: "group.closeAllConnections", closed: ["first", "sameGroup"] },
    { name: "closeAllConnections", closed: ["first", "sameUser", "sameGroup", "unrelated"] },
  ];
  for (const { name, closed } of cases) {
    test(`${name} closes ${closed.join(", ")}`, async (t) => {
      const hub = Hub.for(t, HTTP);
      const sockets = {
        first: await hub.connect({ userId: "ann", groups: ["room"] }),
        sameUser: await hub.connect({ userId: "ann" }),
        sameGroup: await hub.connect({ userId: "bob", groups: ["room"] }),
        unrelated: await hub.connect(),
      };
      await CLOSES[name](hub, sockets.first, {});
      await Promise.all(closed.map((socket) => sockets[socket].ended()));
      for (const [socket, { id }] of Object.entries(sockets)) {
        assert.equal(await hub.service.connectionExists(id), !closed.includes(socket), socket);
      }
    });
  }
});

describe("excluded connections survive a close", () => {
  // The package passes `excluded` on although its types do not declare it for these operations.
  for (const name of ["closeUserConnections", "group.closeAllConnections", "closeAllConnections"]) {
    test(name, async (t) => {
      const hub = Hub.for(t, HTTP);
      const gone = await hub.connect({ userId: "ann", groups: ["room"] });
      const kept = await hub.connect({ userId: "ann", groups: ["room"] });
      await CLOSES[name](hub, gone, { excluded: [kept.id, "unknown"] });
      await gone.ended();
      assert.equal(await hub.service.connectionExists(kept.id), true);
    });
  }
});
