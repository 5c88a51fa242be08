// Connection state through `setState` and `context.states` of `@azure/web-pubsub-express`: what one event stores, the
// next ones of the same connection see.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ExpressStage } from "./support/express-stage.js";

const stage = new ExpressStage();

const STATES = { count: 0, name: "zoë 你好 🙂", "clé": { nested: [1, null, "ü"] }, empty: "" };

const hub = stage.handled({
  handleConnect(request, response) {
    for (const [name, value] of Object.entries(STATES)) {
      response.setState(name, value);
    }
    response.success();
  },
  onConnected() {},
  handleUserEvent(request, response) {
    const { context, data } = request;
    if (data !== "look") {
      response.setState("count", context.states.count + 1);
      response.setState("last", data);
    }
    if (data === "fail") {
      response.fail(400);
    } else {
      response.success(JSON.stringify(context.states), "json");
    }
  },
  onDisconnected() {},
});

const say = async (client, data) => {
  client.sendJson({ type: "event", event: "say", dataType: "text", data });
  return (await client.next()).data;
};

describe("states", () => {
  for (const transport of ["http", "https"]) {
    test(`go from connect through all events to disconnected, over ${transport}`, async (t) => {
      const client = await hub.connect(t, {}, { transport });
      const ofClient = ({ context }) => context.connectionId === client.id;
      assert.deepEqual((await hub.journal.next("onConnected", ofClient)).context.states, STATES);

      assert.deepEqual(await say(client, "héllo"), { ...STATES, count: 1, last: "héllo" });
      assert.deepEqual(await say(client, "look"), { ...STATES, count: 1, last: "héllo" });
      assert.deepEqual(await say(client, "again"), { ...STATES, count: 2, last: "again" });

      client.drop();
      const { context } = await hub.journal.next("onDisconnected", ofClient);
      assert.deepEqual(context.states, { ...STATES, count: 2, last: "again" });
    });
  }

  test("of two connections of one user are apart", async (t) => {
    const first = await hub.connect(t, { userId: "ann" });
    const second = await hub.connect(t, { userId: "ann" });
    await say(first, "a");
    await say(first, "b");
    assert.deepEqual(await say(second, "c"), { ...STATES, count: 1, last: "c" });
  });

  test("of an event that fails are not kept", async (t) => {
    const client = await hub.connect(t);
    const failed = await client.do({ type: "event", event: "say", dataType: "text", data: "fail" });
    assert.equal(failed, "InternalServerError");
    assert.deepEqual(await say(client, "next"), { ...STATES, count: 1, last: "next" });
  });

  test("are empty until one is set", async (t) => {
    const client = await stateless.connect(t);
    client.drop();
    for (const kind of ["handleConnect", "onConnected", "onDisconnected"]) {
      assert.deepEqual((await stateless.journal.next(kind)).context.states, {});
    }
  });
});

const stateless = stage.handled({
  handleConnect: (request, response) => response.success(),
  onConnected() {},
  onDisconnected() {},
});
