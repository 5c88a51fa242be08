// The server against the checks of `webPubSubTrigger`: what the functions host wants it gets, and what it refuses fails
// as it should.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CODE, FunctionsStage } from "./support/functions-stage.js";
import { signature } from "./support/cloud-event.js";
import { PRIMARY_KEY, SECONDARY_KEY, WRONG_KEY } from "./support/keys.js";
import { JSON_SUBPROTOCOL } from "./support/socket.js";

const stage = new FunctionsStage();
const host = stage.host();

const MESSAGE = { type: "event", event: "message", dataType: "text", data: "hello" };
const FAILED = { code: 1011, reason: "Internal server error" };

describe("the URL of the webhook", () => {
  const hub = stage.hubOf(host);
  host.on(hub.name, "system", "connect", () => {});
  host.on(hub.name, "user", "message", () => {});
  const stranger = stage.hubOf(host, {}, "wrong");
  const strangerToEvents = stage.hubOf(host, { systemEvents: [] }, "wrong");

  test("keeps its code in validation and in events", async (t) => {
    const client = await hub.connect(t);
    assert.equal(await client.do(MESSAGE), true);
    const path = `/runtime/webhooks/webpubsub?code=${encodeURIComponent(CODE)}`;
    for (const event of ["connect", "message"]) {
      const request = await host.journal.next("request", ({ headers }) =>
        headers["ce-hub"] === hub.name && headers["ce-eventname"] === event);
      assert.deepEqual([request.method, request.url, request.status], ["POST", path, 200]);
    }
    const asked = await host.journal.next("request", ({ method }) => method === "OPTIONS");
    assert.deepEqual([asked.url, asked.status], [path, 200]);
  });

  test("with a wrong code: a client that connects gets 500", async (t) => {
    await assert.rejects(stranger.connect(t), { statusCode: 500 });
  });

  test("with a wrong code: user events fail", async (t) => {
    const client = await strangerToEvents.connect(t);
    assert.equal(await client.do(MESSAGE), "InternalServerError");
    const simple = await strangerToEvents.connectSimple(t);
    simple.send("hello");
    assert.deepEqual(await simple.ended(), FAILED);
  });
});

describe("validation", () => {
  const byGet = stage.host({ asksByGet: true });
  const hub = stage.hubOf(byGet);
  byGet.on(hub.name, "system", "connect", () => ({ userId: "admitted" }));
  const trusting = stage.host({ accessKeys: undefined });
  const trusted = stage.hubOf(trusting);
  trusting.on(trusted.name, "system", "connect", () => ({ userId: "admitted" }));
  const other = stage.host({ accessKeys: { "rt.example.com": [PRIMARY_KEY] } });
  const refused = stage.hubOf(other);
  other.on(refused.name, "system", "connect", () => {});

  test("goes by GET where OPTIONS is not known", async (t) => {
    assert.equal((await hub.connect(t)).userId, "admitted");
    const methods = [];
    while (methods.at(-1) !== "POST") {
      methods.push((await byGet.journal.next("request")).method);
    }
    assert.deepEqual(methods, ["OPTIONS", "GET", "POST"]);
  });

  test("takes a host without a connection string, which allows everybody", async (t) => {
    assert.equal((await trusted.connect(t)).userId, "admitted");
  });

  test("by a host that is configured for another server fails: the client gets 500", async (t) => {
    await assert.rejects(refused.connect(t), { statusCode: 500 });
    assert.equal((await other.journal.next("request")).status, 400);
  });
});

describe("an event that no function is for", () => {
  const hub = stage.hubOf(host);
  host.on(hub.name, "system", "connect", () => {});
  host.on(hub.name, "user", "connected", () => ({ data: "a user event", dataType: "text" }));
  const noConnect = stage.hubOf(host);

  test("is answered with 404: a simple client is closed with 1011", async (t) => {
    const simple = await hub.connectSimple(t);
    simple.send("hello");
    assert.deepEqual(await simple.ended(), FAILED);
  });

  test("is answered with 404: an ack says InternalServerError, and the client stays", async (t) => {
    const client = await hub.connect(t);
    assert.equal(await client.do(MESSAGE), "InternalServerError");
    assert.equal(await client.do({ ...MESSAGE, event: "CONNECTED" }), true);
  });

  test("is answered with 404: a client that connects gets that", async (t) => {
    await assert.rejects(noConnect.connect(t), { statusCode: 404 });
  });

  test("only notifies: nobody minds", async (t) => {
    const client = await hub.connect(t);
    const told = await host.journal.next("request", ({ headers }) =>
      headers["ce-type"] === "azure.webpubsub.sys.connected" && headers["ce-connectionid"] === client.id);
    assert.equal(told.status, 404);
    client.sendJson({ type: "ping" });
    assert.deepEqual(await client.next(), { type: "pong" });
  });

  test("is not mixed up with the system event of the same name", async (t) => {
    const client = await hub.connect(t);
    client.sendJson({ ...MESSAGE, event: "connected" });
    assert.equal((await client.next()).data, "a user event");
  });
});

describe("the signature", () => {
  const of = (...keys) => {
    const keyed = stage.host({ accessKeys: { "127.0.0.1": keys } });
    const hub = stage.hubOf(keyed);
    keyed.on(hub.name, "system", "connect", () => ({ userId: "admitted" }));
    return { keyed, hub };
  };
  const accepted = { primary: of(PRIMARY_KEY), secondary: of(SECONDARY_KEY) };
  const wrong = of(WRONG_KEY);

  for (const [name, { keyed, hub }] of Object.entries(accepted)) {
    test(`is accepted by a host that knows the ${name} key alone`, async (t) => {
      const client = await hub.connect(t);
      assert.equal(client.userId, "admitted");
      const { headers } = await keyed.journal.next("request", ({ method }) => method === "POST");
      assert.equal(headers["ce-signature"], signature(client.id, [PRIMARY_KEY, SECONDARY_KEY]));
    });
  }

  test("is refused by a host with another key: the client gets 401", async (t) => {
    await assert.rejects(wrong.hub.connect(t), { statusCode: 401 });
  });
});

describe("a function of connect", () => {
  const hub = stage.hubOf(host);
  host.on(hub.name, "system", "connect", ({ request }) => {
    const answer = request.query.answer && JSON.parse(request.query.answer[0]);
    if (answer === "throw") {
      throw new Error("a fault of the function");
    }
    return answer;
  });
  const connect = (t, answer, options = {}) => {
    const query = answer && `answer=${encodeURIComponent(JSON.stringify(answer))}`;
    return hub.connect(t, { userId: "ann", roles: ["webpubsub.joinLeaveGroup"] }, { query, ...options });
  };

  test("that returns nothing lets the client in as it is", async (t) => {
    assert.equal((await connect(t)).userId, "ann");
  });

  test("sets user, groups and roles", async (t) => {
    const client = await connect(t, { userId: "zoë", groups: ["room"], roles: ["webpubsub.sendToGroup"] });
    assert.equal(client.userId, "zoë");
    assert.equal(await hub.service.groupExists("room"), true);
    assert.equal(await client.do({ type: "joinGroup", group: "hall" }), "Forbidden");
    assert.equal(await client.do({ type: "sendToGroup", group: "hall", data: 1 }), true);
  });

  test("leaves what it does not set, which is null in the answer", async (t) => {
    const client = await connect(t, { groups: ["room"] });
    assert.equal(client.userId, "ann");
    assert.equal(await client.do({ type: "joinGroup", group: "hall" }), true);
  });

  test("chooses the subprotocol", async (t) => {
    const query = `answer=${encodeURIComponent('{"subprotocol":"chat.v2"}')}`;
    const client = await hub.connectSimple(t, {}, { query, subprotocols: [JSON_SUBPROTOCOL, "chat.v2"] });
    assert.equal(client.subprotocol, "chat.v2");
  });

  for (const status of [400, 401, 500]) {
    test(`refuses with ${status}, and its text stays there`, async (t) => {
      await assert.rejects(connect(t, { error: "a secret reason", status }), (error) => {
        assert.equal(error.statusCode, status);
        assert.equal(error.body.includes("secret"), false);
        return true;
      });
    });
  }

  test("that throws refuses with 500", async (t) => {
    await assert.rejects(connect(t, "throw"), { statusCode: 500 });
  });
});

describe("a function of a user event", () => {
  const hub = stage.hubOf(host);
  host.on(hub.name, "system", "connect", () => ({ states: { events: 0, name: "zoë 你好" } }));
  host.on(hub.name, "system", "connected", ({ context }) => host.journal.put("connected", context));
  host.on(hub.name, "system", "disconnected", (call) => host.journal.put("disconnected", call));
  host.on(hub.name, "user", "echo", ({ data, dataType }) => ({ data, dataType }));
  host.on(hub.name, "user", "message", ({ data, dataType }) => ({ data, dataType }));
  host.on(hub.name, "user", "quiet", () => {});
  host.on(hub.name, "user", "refuse", ({ data }) => ({ error: "a secret reason", status: data }));
  host.on(hub.name, "user", "count", ({ context }) => {
    const states = { ...context.states, events: context.states.events + 1 };
    return { data: states, dataType: "json", states };
  });

  const contents = [
    { dataType: "text", data: "héllo" },
    { dataType: "json", data: { a: [1, "ü"] } },
    { dataType: "binary", data: "AP8=" },
  ];
  for (const { dataType, data } of contents) {
    test(`answers ${dataType} with the same`, async (t) => {
      const client = await hub.connect(t);
      client.sendJson({ type: "event", event: "Echo", dataType, data });
      assert.deepEqual(await client.next(), { type: "message", from: "server", dataType, data });
    });
  }

  test("answers frames of a simple client", async (t) => {
    const simple = await hub.connectSimple(t);
    simple.send("héllo");
    assert.deepEqual(await simple.next(), { text: "héllo" });
    simple.send(Buffer.from([0, 255]));
    assert.deepEqual(await simple.next(), { binary: [0, 255] });
  });

  test("that returns nothing: the ack alone", async (t) => {
    const client = await hub.connect(t);
    const ackId = client.request({ ...MESSAGE, event: "quiet" });
    assert.deepEqual(await client.next(), { type: "ack", ackId, success: true });
  });

  for (const status of [400, 401]) {
    test(`that answers ${status}: the event fails`, async (t) => {
      const client = await hub.connect(t);
      const event = { type: "event", event: "refuse", dataType: "json", data: status };
      assert.equal(await client.do(event), "InternalServerError");
    });
  }

  test("sees and sets the state of its connection, to the end", async (t) => {
    const client = await hub.connect(t);
    const other = await hub.connect(t);
    const ofClient = (context) => context.connectionId === client.id;
    assert.deepEqual((await host.journal.next("connected", ofClient)).states, { events: 0, name: "zoë 你好" });
    for (const events of [1, 2]) {
      client.sendJson({ ...MESSAGE, event: "count" });
      assert.deepEqual((await client.next()).data, { events, name: "zoë 你好" });
    }
    other.sendJson({ ...MESSAGE, event: "count" });
    assert.equal((await other.next()).data.events, 1);
    client.close(1000, "bye");
    const { context, request } = await host.journal.next("disconnected", (call) => ofClient(call.context));
    assert.deepEqual([context.states.events, request.reason], [2, "bye"]);
  });
});
