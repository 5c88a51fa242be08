// The events that nobody waits for, in `@azure/web-pubsub-express`: connected, disconnected, joined and left. And what
// a handler may do to clients from within.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ExpressStage } from "./support/express-stage.js";

const stage = new ExpressStage();

const LOST = "The connection ended.";
const TEXT = { contentType: "text/plain" };
const ofClient = (id) => ({ context }) => context.connectionId === id;

describe("onConnected and onDisconnected", () => {
  const hub = stage.handled({
    handleConnect: (request, response) => response.success({ userId: "zoë 你" }),
    onConnected() {},
    onDisconnected() {},
  });

  for (const transport of ["http", "https"]) {
    test(`are called once each, with the user that connect gave, over ${transport}`, async (t) => {
      const client = await hub.connect(t, { userId: "ann" }, { transport });
      const connected = await hub.journal.next("onConnected");
      client.close(1000, "bye");
      const disconnected = await hub.journal.next("onDisconnected");
      for (const [{ context }, eventName] of [[connected, "connected"], [disconnected, "disconnected"]]) {
        assert.deepEqual([context.eventName, context.connectionId, context.hub], [eventName, client.id, hub.name]);
        assert.equal(Buffer.from(context.userId, "latin1").toString("utf8"), "zoë 你");
        assert.equal(context.origin, new URL(hub.endpoint(transport)).hostname);
      }
      // A second call for the first client would stand before those for a later one.
      const later = await hub.connect(t);
      later.drop();
      assert.equal((await hub.journal.next("onConnected")).context.connectionId, later.id);
      assert.equal((await hub.journal.next("onDisconnected")).context.connectionId, later.id);
    });
  }

  const reasons = [
    { name: "a close frame of the client", end: (client) => client.close(1000, "bye ü"), reason: "bye ü" },
    { name: "a close frame without a reason", end: (client) => client.close(1000), reason: "" },
    { name: "a close frame of another code", end: (client) => client.close(4000, "mine"), reason: LOST },
    { name: "the loss of the socket", end: (client) => client.drop(), reason: LOST },
    {
      name: "a close over REST",
      end: (client) => hub.service.closeConnection(client.id),
      reason: "Application server closed the connection.",
    },
    {
      name: "a close over REST with a reason",
      end: (client) => hub.service.closeConnection(client.id, { reason: "moving house" }),
      reason: "Application server closed the connection. Reason: moving house",
    },
    {
      name: "a message that is none",
      end: (client) => client.send("{"),
      reason: "The client message is not a valid JSON protocol message.",
    },
  ];
  for (const { name, end, reason } of reasons) {
    test(`onDisconnected tells the reason of ${name}`, async (t) => {
      const client = await hub.connect(t);
      await end(client);
      assert.equal((await hub.journal.next("onDisconnected", ofClient(client.id))).reason, reason);
    });
  }

  test("onDisconnected tells of a client of the client package that stopped", async (t) => {
    const client = await hub.start(t);
    client.stop();
    const { context } = await hub.journal.next("onDisconnected", ofClient(client.id));
    assert.equal(context.eventName, "disconnected");
  });

  const refusing = stage.handled({
    handleConnect: ({ queries }, response) => (queries.admit ? response.success() : response.fail(401)),
    onConnected() {},
    onDisconnected() {},
  });

  test("are not called for a client that connect refused", async (t) => {
    await assert.rejects(refusing.connect(t), { statusCode: 401 });
    const { connectionId } = (await refusing.journal.next("handleConnect")).context;
    const admitted = await refusing.connect(t, {}, { query: "admit=1" });
    admitted.drop();
    assert.equal((await refusing.journal.next("onConnected")).context.connectionId, admitted.id);
    assert.equal((await refusing.journal.next("onDisconnected")).context.connectionId, admitted.id);
    assert.notEqual(connectionId, admitted.id);
  });
});

describe("onGroupJoined and onGroupLeft", () => {
  const presence = { groupPresenceEvents: { eventNames: ["joined", "left"], groupFilters: ["room.*", "hall"] } };
  const calls = { onConnected() {}, onGroupJoined() {}, onGroupLeft() {}, onDisconnected() {} };
  const hub = stage.handled(calls, presence);
  const unfiltered = stage.handled(calls, { groupPresenceEvents: { eventNames: ["joined", "left"] } });
  const leftOnly = stage.handled(calls, { groupPresenceEvents: { eventNames: ["left"] } });
  const unasked = stage.handled(calls);
  const member = { userId: "ann", roles: ["webpubsub.joinLeaveGroup"] };

  test("are called for what the client does", async (t) => {
    const client = await hub.start(t, member);
    await client.joinGroup("room.1");
    const joined = await hub.journal.next("onGroupJoined");
    await client.leaveGroup("room.1");
    const left = await hub.journal.next("onGroupLeft");
    for (const [{ context, group }, eventName] of [[joined, "joined"], [left, "left"]]) {
      assert.equal(group, "room.1");
      assert.deepEqual([context.eventName, context.connectionId, context.userId], [eventName, client.id, "ann"]);
    }
  });

  test("are called for what is done over REST", async (t) => {
    const client = await hub.connect(t, member);
    await hub.service.group("hall").addConnection(client.id);
    assert.equal((await hub.journal.next("onGroupJoined")).group, "hall");
    await hub.service.group("hall").removeConnection(client.id);
    assert.equal((await hub.journal.next("onGroupLeft")).group, "hall");
    await hub.service.group("hall").addUser("ann");
    assert.equal((await hub.journal.next("onGroupJoined")).context.connectionId, client.id);
    await hub.service.removeUserFromAllGroups("ann");
    assert.equal((await hub.journal.next("onGroupLeft")).context.connectionId, client.id);
  });

  test("are called for groups of the token and for those that the end leaves, in the order of things", async (t) => {
    const client = await hub.connect(t, { ...member, groups: ["room.é"] });
    const joined = await hub.journal.next("onGroupJoined");
    assert.equal(joined.group, "room.é");
    client.drop();
    assert.equal((await hub.journal.next("onGroupLeft")).group, "room.é");
    await hub.journal.next("onDisconnected", ofClient(client.id));

    const ids = [];
    for (const name of ["connected", "joined", "left", "disconnected"]) {
      const { headers } = await stage.requests.next("request", (request) =>
        request.headers["ce-connectionid"] === client.id && request.headers["ce-eventname"] === name);
      ids.push(Number(headers["ce-id"]));
    }
    assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
  });

  test("are not called for other groups than the filters name, nor for what changes nothing", async (t) => {
    const client = await hub.start(t, member);
    await client.joinGroup("room.1.more");
    await client.joinGroup("kitchen");
    await client.joinGroup("room.2");
    await client.joinGroup("room.2");
    await client.leaveGroup("room.3");
    await client.joinGroup("hall");
    assert.equal((await hub.journal.next("onGroupJoined", ofClient(client.id))).group, "room.2");
    assert.equal((await hub.journal.next("onGroupJoined", ofClient(client.id))).group, "hall");
    await client.leaveGroup("hall");
    assert.equal((await hub.journal.next("onGroupLeft", ofClient(client.id))).group, "hall");
  });

  test("without filters are called for all groups", async (t) => {
    const client = await unfiltered.start(t, member);
    await client.joinGroup("any group / at all");
    assert.equal((await unfiltered.journal.next("onGroupJoined")).group, "any group / at all");
  });

  test("are called only where they are asked for", async (t) => {
    for (const [quiet, expected] of [[leftOnly, ["onGroupLeft"]], [unasked, []]]) {
      const client = await quiet.start(t, member);
      await client.joinGroup("room.1");
      await client.leaveGroup("room.1");
      client.stop();
      await quiet.journal.next("onDisconnected", ofClient(client.id));
      for (const name of expected) {
        await quiet.journal.next(name);
      }
      assert.equal(quiet.journal.count("onGroupJoined") + quiet.journal.count("onGroupLeft"), 0);
    }
  });
});

describe("a handler that calls the service", () => {
  const hub = stage.handled({
    async onConnected({ context }) {
      await hub.service.sendToAll({ arrived: context.userId });
    },
    async handleUserEvent({ context, data }, response) {
      const { connectionId, userId } = context;
      const actions = {
        join: () => hub.service.group("room").addConnection(connectionId),
        group: () => hub.service.group("room").sendToAll("to the group", TEXT),
        user: () => hub.service.sendToUser(userId, "to the user", TEXT),
        connection: () => hub.service.sendToConnection(connectionId, "to the connection", TEXT),
        grant: () => hub.service.grantPermission(connectionId, "joinLeaveGroup", { targetName: "granted" }),
        close: () => hub.service.closeConnection(connectionId, { reason: "as you asked" }),
      };
      await actions[data]();
      response.success();
    },
  });
  const ask = (client, data) => client.request({ type: "event", event: "ask", dataType: "text", data });

  test("reaches all clients from onConnected, over both listeners", async (t) => {
    const ann = await hub.connect(t, { userId: "ann" });
    assert.deepEqual((await ann.next()).data, { arrived: "ann" });
    const bob = await hub.connect(t, { userId: "bob" }, { transport: "https" });
    for (const client of [ann, bob]) {
      assert.deepEqual((await client.next()).data, { arrived: "bob" });
    }
  });

  test("acts on the client whose event it handles", async (t) => {
    const client = await hub.connect(t, { userId: "carl" });
    assert.deepEqual((await client.next()).data, { arrived: "carl" });
    assert.equal(await client.do({ type: "event", event: "ask", dataType: "text", data: "join" }), true);
    for (const [data, from] of [["user", "server"], ["connection", "server"], ["group", "group"]]) {
      ask(client, data);
      // Message and ack come by different ways.
      const both = [await client.next(), await client.next()];
      assert.equal(both.find(({ type }) => type === "ack").success, true);
      const message = both.find(({ type }) => type === "message");
      assert.deepEqual([message.from, message.data], [from, `to the ${data}`]);
    }

    assert.equal(await client.do({ type: "joinGroup", group: "granted" }), "Forbidden");
    assert.equal(await client.do({ type: "event", event: "ask", dataType: "text", data: "grant" }), true);
    assert.equal(await client.do({ type: "joinGroup", group: "granted" }), true);
  });

  test("may close the client whose event it handles", async (t) => {
    const client = await hub.connect(t, { userId: "dora" });
    await client.next();
    ask(client, "close");
    const { event, message } = await client.next();
    assert.equal(event, "disconnected");
    assert.equal(message, "Application server closed the connection. Reason: as you asked");
    assert.equal((await client.ended()).code, 1000);
  });
});
