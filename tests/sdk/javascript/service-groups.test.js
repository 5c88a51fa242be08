// Membership of connections and users in groups, and the list of members, through
// `@azure/web-pubsub`.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { odata } from "@azure/web-pubsub";
import { Hub, HTTP, overEachTransport } from "./support/hub.js";

const ODD_NAMES = ["room name", "room+part", "a/b", "%2F", "100%", "你好", "a?b#c", "quo'te\"", "Room", "*", "a\\b"];

overEachTransport((transport) => {
  test("a connection is added and removed, any number of times", async (t) => {
    const hub = Hub.for(t, transport);
    const member = await hub.connect();
    const room = hub.service.group("room");
    await room.addConnection(member.id);
    await room.addConnection(member.id);
    assert.deepEqual(await members(room), [member.id]);
    await room.removeConnection(member.id);
    await room.removeConnection(member.id);
    assert.deepEqual(await members(room), []);
  });

  test("a user is added and removed with every connection open at that time", async (t) => {
    const hub = Hub.for(t, transport);
    const first = await hub.connect({ userId: "ann" });
    const second = await hub.connect({ userId: "ann" });
    const room = hub.service.group("room");
    await room.addUser("ann");
    const late = await hub.connect({ userId: "ann" });
    assert.deepEqual(await members(room), [first.id, second.id].sort());
    await room.addConnection(late.id);
    await room.removeUser("ann");
    assert.deepEqual(await members(room), []);
  });

  test("the list is paged by maxPageSize, in order of connection ids", async (t) => {
    const { hub, ids } = await groupOfFive(t, transport);
    const pages = [];
    for await (const page of (await hub.service.group("room").listConnections({ maxPageSize: 2 })).byPage()) {
      pages.push(page.map((member) => member.connectionId));
    }
    assert.deepEqual(pages, [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  });
});

describe("leaving all groups", () => {
  test("removeConnectionFromAllGroups takes the connection out of each", async (t) => {
    const hub = Hub.for(t, HTTP);
    const member = await hub.connect({ groups: ["room", "hall"] });
    await hub.service.removeConnectionFromAllGroups(member.id);
    assert.equal(await hub.service.groupExists("room"), false);
    assert.equal(await hub.service.groupExists("hall"), false);
    assert.equal(await hub.service.connectionExists(member.id), true);
  });

  test("removeUserFromAllGroups takes every connection of the user out of each", async (t) => {
    const hub = Hub.for(t, HTTP);
    await hub.connect({ userId: "ann", groups: ["room", "hall"] });
    await hub.connect({ userId: "ann", groups: ["room"] });
    const other = await hub.connect({ userId: "bob", groups: ["room"] });
    await hub.service.removeUserFromAllGroups("ann");
    assert.deepEqual(await members(hub.service.group("room")), [other.id]);
    assert.equal(await hub.service.groupExists("hall"), false);
  });
});

describe("batches by filter", () => {
  test("addConnectionsToGroups adds the matching connections to each group", async (t) => {
    const hub = Hub.for(t, HTTP);
    const ann = await hub.connect({ userId: "ann" });
    const bob = await hub.connect({ userId: "bob", groups: ["staff"] });
    await hub.service.addConnectionsToGroups(["room", "a/b", "room"], odata`${"staff"} in groups`);
    assert.deepEqual(await members(hub.service.group("room")), [bob.id]);
    assert.deepEqual(await members(hub.service.group("a/b")), [bob.id]);
    await hub.service.addConnectionsToGroups(["everyone"], "");
    assert.deepEqual(await members(hub.service.group("everyone")), [ann.id, bob.id].sort());
  });

  test("removeConnectionsFromGroups removes only the matching connections", async (t) => {
    const hub = Hub.for(t, HTTP);
    const ann = await hub.connect({ userId: "ann", groups: ["room", "hall"] });
    const bob = await hub.connect({ userId: "bob", groups: ["room", "hall"] });
    await hub.service.removeConnectionsFromGroups(["room", "hall", "nowhere"], odata`userId eq ${"ann"}`);
    assert.deepEqual(await members(hub.service.group("room")), [bob.id]);
    assert.deepEqual(await members(hub.service.group("hall")), [bob.id]);
    assert.equal(await hub.service.connectionExists(ann.id), true);
  });

  const invalid = [
    { name: "no group", groups: [], filter: "" },
    { name: "a blank group name", groups: ["room", "kept", " "], filter: "" },
    { name: "a group name of 1025 characters", groups: ["room", "kept", "x".repeat(1025)], filter: "" },
    { name: "an invalid filter", groups: ["room", "kept"], filter: "userId" },
  ];
  for (const operation of ["addConnectionsToGroups", "removeConnectionsFromGroups"]) {
    for (const { name, groups, filter } of invalid) {
      test(`${operation} with ${name} is refused with 400 and changes nothing`, async (t) => {
        const hub = Hub.for(t, HTTP);
        await hub.connect({ groups: ["kept"] });
        const refusal = { statusCode: 400, code: "Error.BadRequest" };
        await assert.rejects(hub.service[operation](groups, filter), refusal);
        assert.equal(await hub.service.groupExists("room"), false);
        assert.equal(await hub.service.groupExists("kept"), true);
      });
    }
  }
});

describe("the list of members", () => {
  test("names the user of each connection, and none for a client without one", async (t) => {
    const hub = Hub.for(t, HTTP);
    const ann = await hub.connect({ userId: "ann", groups: ["room"] });
    const anonymous = await hub.connect({ groups: ["room"] });
    const listed = new Map();
    for await (const member of await hub.service.group("room").listConnections()) {
      listed.set(member.connectionId, member.userId ?? null);
    }
    assert.deepEqual(listed, new Map([[ann.id, "ann"], [anonymous.id, null]].sort()));
  });

  const tops = [
    { options: { top: 1 }, sizes: [1] },
    { options: { top: 3, maxPageSize: 2 }, sizes: [2, 1] },
    { options: { top: 5, maxPageSize: 5 }, sizes: [5] },
    { options: { top: 9, maxPageSize: 4 }, sizes: [4, 1] },
    { options: { maxPageSize: 200 }, sizes: [5] },
  ];
  for (const { options, sizes } of tops) {
    test(`with ${JSON.stringify(options)} comes in pages of ${sizes}`, async (t) => {
      const { hub } = await groupOfFive(t, HTTP);
      const found = [];
      for await (const page of (await hub.service.group("room").listConnections(options)).byPage()) {
        found.push(page.length);
      }
      assert.deepEqual(found, sizes);
    });
  }

  test("continues after a page although its last member has left and another has come", async (t) => {
    const { hub, ids } = await groupOfFive(t, HTTP);
    const room = hub.service.group("room");
    const pages = (await room.listConnections({ maxPageSize: 2 })).byPage();
    await pages.next();
    await room.removeConnection(ids[1]);
    const rest = [];
    for await (const page of pages) {
      rest.push(...page.map((member) => member.connectionId));
    }
    assert.deepEqual(rest, ids.slice(2));
  });

  test("starts from a continuationToken of an earlier list", async (t) => {
    const { hub, ids } = await groupOfFive(t, HTTP);
    const continuationToken = await tokenAfterFirstPage(hub, "room");
    const rest = [];
    for await (const member of await hub.service.group("room").listConnections({ continuationToken })) {
      rest.push(member.connectionId);
    }
    assert.deepEqual(rest, ids.slice(2));
  });

  const refused = [
    { target: "maxpagesize", options: () => ({ maxPageSize: 0 }) },
    { target: "maxpagesize", options: () => ({ maxPageSize: 201 }) },
    { target: "maxpagesize", options: () => ({ maxPageSize: 1.5 }) },
    { target: "top", options: () => ({ top: 0 }) },
    { target: "top", options: () => ({ top: 2147483648 }) },
    { target: "continuationToken", options: () => ({ continuationToken: "not-ours" }) },
    { target: "continuationToken", options: async (hub) => ({ continuationToken: altered(await tokenAfterFirstPage(hub, "room")) }) },
    { target: "continuationToken", options: async (hub) => ({ continuationToken: await tokenAfterFirstPage(hub, "hall") }) },
  ];
  for (const [index, { target, options }] of refused.entries()) {
    test(`refuses an invalid ${target} and names it (${index})`, async (t) => {
      const { hub } = await groupOfFive(t, HTTP);
      const iterator = await hub.service.group("room").listConnections(await options(hub));
      await assert.rejects(iterator.next(), (error) => {
        const body = JSON.parse(error.response.bodyAsText);
        assert.equal(error.statusCode, 400);
        assert.equal(error.code, "Error.BadRequest");
        assert.equal(error.response.headers.get("x-ms-error-code"), "Error.BadRequest");
        assert.deepEqual([body.code, typeof body.message, body.target], ["Error.BadRequest", "string", target]);
        return true;
      });
    });
  }
});

describe("names with unusual characters address what they name", () => {
  for (const name of ODD_NAMES) {
    test(`group ${name}`, async (t) => {
      const hub = Hub.for(t, HTTP);
      const member = await hub.connect({ userId: "ann" });
      const room = hub.service.group(name);
      await room.addConnection(member.id);
      await room.sendToAll("hello", { contentType: "text/plain" });
      assert.deepEqual((await hub.received(member)).map((message) => message.group), [name]);
      assert.deepEqual(await members(room), [member.id]);
      await room.removeUser("ann");
      assert.equal(await hub.service.groupExists(name), false);
    });

    test(`user ${name}`, async (t) => {
      const hub = Hub.for(t, HTTP);
      const member = await hub.connect({ userId: name });
      assert.equal(member.userId, name);
      assert.equal(await hub.service.userExists(name), true);
      await hub.service.group("room").addUser(name);
      await hub.service.sendToUser(name, "hello", { contentType: "text/plain" });
      assert.equal((await hub.received(member)).length, 1);
      assert.deepEqual(await members(hub.service.group("room")), [member.id]);
      await hub.service.closeUserConnections(name);
      await member.ended();
    });
  }

  test("group names differ in case, hub names do not", async (t) => {
    const hub = Hub.for(t, HTTP);
    const member = await hub.connect({ groups: ["room"] });
    assert.equal(await hub.service.groupExists("ROOM"), false);
    assert.equal(await hub.serviceWith({ name: hub.name.toUpperCase() }).connectionExists(member.id), true);
  });

  for (const [what, name] of [["blank", " "], ["too long", "x".repeat(1025)]]) {
    test(`a ${what} group name is refused with 400`, async (t) => {
      const hub = Hub.for(t, HTTP);
      const refusal = { statusCode: 400, code: "Error.BadRequest" };
      await assert.rejects(hub.service.group(name).sendToAll("hello", { contentType: "text/plain" }), refusal);
      await assert.rejects(hub.service.group(name).addUser("ann"), refusal);
      await assert.rejects(hub.service.groupExists(name), { statusCode: 400 });
    });
  }

  test("a group name of 1024 characters is fine", async (t) => {
    const hub = Hub.for(t, HTTP);
    const name = "x".repeat(1024);
    const member = await hub.connect({ groups: [name] });
    assert.deepEqual(await members(hub.service.group(name)), [member.id]);
  });
});

async function groupOfFive(t, transport) {
  const hub = Hub.for(t, transport);
  const sockets = await Promise.all(Array.from({ length: 5 }, () => hub.connect({ groups: ["room", "hall"] })));
  return { hub, ids: sockets.map((socket) => socket.id).sort() };
}

async function members(group) {
  const ids = [];
  for await (const member of await group.listConnections()) {
    ids.push(member.connectionId);
  }
  return ids;
}

/** The token that follows the first two members of the group. */
async function tokenAfterFirstPage(hub, group) {
  let body;
  const onResponse = (raw) => (body = raw.bodyAsText);
  await (await hub.service.group(group).listConnections({ maxPageSize: 2, onResponse })).byPage().next();
  return new URL(JSON.parse(body).nextLink).searchParams.get("continuationToken");
}

/** The same token with one character in its middle changed. */
function altered(token) {
  const middle = Math.floor(token.length / 2);
  const other = token[middle] === "A" ? "B" : "A";
  return token.slice(0, middle) + other + token.slice(middle + 1);
}
