// Who may call an application with `@azure/web-pubsub-express`, and by which URLs its handlers are reached.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ALL_EVENTS } from "./support/stage.js";
import { ExpressStage } from "./support/express-stage.js";

/** Names by which clients know the server besides its own address, as if a proxy stood before it. */
const PUBLIC = "https://rt.example.com";
const ODD_PORT = "https://odd.example.com:9443";
const ELSEWHERE = "https://elsewhere.example.com";

const stage = new ExpressStage(["--public-endpoint", PUBLIC, "--public-endpoint", ODD_PORT]);

const CALLS = {
  handleConnect: (request, response) => response.success({ userId: "admitted" }),
  handleUserEvent: (request, response) => response.success("handled", "text"),
};
const ANY_EVENT = { type: "event", event: "any", dataType: "text", data: "" };

describe("allowedEndpoints", () => {
  const cases = [
    { name: "the public name of the server", allowed: () => [PUBLIC], endpoint: PUBLIC },
    { name: "a public name with an unusual port", allowed: () => [ODD_PORT], endpoint: ODD_PORT },
    { name: "one of several names", allowed: () => [ELSEWHERE, PUBLIC], endpoint: PUBLIC },
    { name: "a name in other letters", allowed: () => ["https://RT.Example.com/"], endpoint: PUBLIC },
    { name: "the address without a port", allowed: () => ["http://127.0.0.1"] },
    { name: "the endpoint of the connection string", allowed: (hub) => [hub.endpoint("http")] },
    {
      name: "the endpoint of the connection string with TLS",
      allowed: (hub) => [hub.endpoint("https")],
      transport: "https",
    },
  ];
  for (const { name, allowed, ...client } of cases) {
    const hub = stage.handled(() => ({ ...CALLS, allowedEndpoints: allowed(hub) }));
    test(`accept ${name}`, async (t) => {
      const member = await hub.connect(t, {}, client);
      assert.equal(member.userId, "admitted");
      assert.equal(await member.do(ANY_EVENT), true);
      const origin = new URL(client.endpoint ?? hub.endpoint(client.transport ?? "http")).hostname;
      assert.equal((await hub.journal.next("handleConnect")).context.origin, origin);
      assert.equal((await hub.journal.next("handleUserEvent")).context.origin, origin);
    });
  }

  const closed = stage.handled({ ...CALLS, allowedEndpoints: [ELSEWHERE] });
  const closedToEvents = stage.handled({ ...CALLS, allowedEndpoints: [ELSEWHERE, PUBLIC] }, { systemEvents: [] });

  test("refuse any other: the client gets 500, and the application no event", async (t) => {
    await assert.rejects(closed.connect(t), { statusCode: 500 });
    await assert.rejects(closed.connect(t, {}, { endpoint: PUBLIC }), { statusCode: 500 });
    assert.equal(closed.journal.count("handleConnect"), 0);
  });

  test("refuse any other: a user event fails, and the application gets none", async (t) => {
    const client = await closedToEvents.connect(t);
    assert.equal(await client.do(ANY_EVENT), "InternalServerError");
    const simple = await closedToEvents.connectSimple(t);
    simple.send("hello");
    assert.deepEqual(await simple.ended(), { code: 1011, reason: "Internal server error" });
    assert.equal(closedToEvents.journal.count("handleUserEvent"), 0);
  });
});

describe("the path of a handler", () => {
  const cases = [
    { name: "its default", path: undefined, url: "/api/webpubsub/hubs/{hub}" },
    { name: "its default with a slash", path: undefined, url: "/api/webpubsub/hubs/{hub}/" },
    { name: "its default and the event", path: undefined, url: "/api/webpubsub/hubs/{hub}/{event}" },
    { name: "one of its own", path: "/hooks/plain", url: "/hooks/plain" },
    { name: "one of its own in other letters", path: "/Hooks/Letters/", url: "/hooks/LETTERS/{event}" },
    { name: "one with hub and event", path: "/hooks/both", url: "/hooks/both/{hub}/on-{event}" },
    { name: "one with a query", path: "/hooks/query", url: "/hooks/query?code=k%20%2B1&on={event}&hub={HUB}" },
  ];
  for (const { name, path, url } of cases) {
    const hub = stage.hub(() => ({ eventHandlers: [{ urlTemplate: stage.origin + url, ...ALL_EVENTS }] }));
    stage.use(hub, { path, ...CALLS });
    test(`may be ${name}`, async (t) => {
      const client = await hub.connect(t);
      assert.equal(await client.do({ ...ANY_EVENT, event: "Room.new" }), true);
      await hub.journal.next("handleUserEvent");

      const filled = (event) => url.replace(/\{hub\}/i, hub.name).replace("{event}", event);
      for (const event of ["connect", "Room.new"]) {
        const request = await stage.requests.next("request", ({ method, headers }) =>
          method === "POST" && headers["ce-hub"] === hub.name && headers["ce-eventname"] === event);
        assert.equal(request.url, filled(event));
      }
      const asked = await stage.requests.next("request", (request) =>
        request.method === "OPTIONS" && request.url === filled("validate"));
      assert.equal(asked.headers["webhook-request-origin"], "127.0.0.1");
      assert.equal(asked.headers["ce-awpsversion"], "1.0");
    });
  }
});

describe("several hubs", () => {
  const at = (path) => () => ({ eventHandlers: [{ urlTemplate: stage.origin + path, ...ALL_EVENTS }] });
  const first = stage.hub(at("/shared"));
  const second = stage.hub(at("/shared"));
  const unknown = stage.hub(at("/shared"));
  const nowhere = stage.hub(at("/no-such-path"));
  const greets = (userId) => ({
    path: "/shared",
    handleConnect: (request, response) => response.success({ userId }),
    handleUserEvent: (request, response) => response.success(userId, "text"),
  });
  stage.use(first, greets("of the first"));
  stage.use(second, greets("of the second"));

  test("have each their own handler in one application and under one path", async (t) => {
    for (const [hub, userId] of [[first, "of the first"], [second, "of the second"]]) {
      const client = await hub.connect(t);
      assert.equal(client.userId, userId);
      client.sendJson(ANY_EVENT);
      assert.equal((await client.next()).data, userId);
      assert.equal((await hub.journal.next("handleConnect")).context.hub, hub.name);
    }
    assert.equal(first.journal.count("handleConnect") + second.journal.count("handleConnect"), 0);
  });

  test("a hub that no handler of the application is for: the client gets the application's 404", async (t) => {
    await assert.rejects(unknown.connect(t), { statusCode: 404 });
  });

  test("a path that the application does not have: nobody says that events are wanted, hence 500", async (t) => {
    await assert.rejects(nowhere.connect(t), { statusCode: 500 });
  });

  test("the first handler of a hub that matches takes an event, and no other", async (t) => {
    const client = await split.connect(t);
    assert.equal(client.userId, "of the second");
    for (const [event, data] of [["chat", "of the first"], ["other", "of the second"]]) {
      client.sendJson({ ...ANY_EVENT, event });
      assert.equal((await client.next()).data, data);
    }
  });
  const split = stage.hub(() => ({
    eventHandlers: [
      { urlTemplate: `${stage.origin}/split/one`, userEventPattern: "chat" },
      { urlTemplate: `${stage.origin}/split/two`, ...ALL_EVENTS },
    ],
  }));
  stage.use(split, { ...greets("of the first"), path: "/split/one" });
  stage.use(split, { ...greets("of the second"), path: "/split/two" });
});
