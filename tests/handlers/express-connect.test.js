// `handleConnect` of `@azure/web-pubsub-express`: what it learns of a client, and what its answer does to the client.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ExpressStage } from "./support/express-stage.js";
import { signature } from "./support/cloud-event.js";
import { PRIMARY_KEY, SECONDARY_KEY } from "./support/keys.js";
import { SdkClient } from "./support/sdk-client.js";
import { JSON_SUBPROTOCOL, Socket } from "./support/socket.js";

const stage = new ExpressStage();

/** The token that clients of this file come with, unless a test is about the token. */
const TOKEN = { userId: "ann", groups: ["from token"], roles: ["webpubsub.joinLeaveGroup.by-token"] };

for (const transport of ["http", "https"]) {
  describe(`over ${transport}`, () => {
    const plain = stage.handled({ handleConnect: (request, response) => response.success() });
    const changing = stage.handled({
      handleConnect(request, response) {
        response.success({ userId: "bob", groups: ["from handler"], roles: ["webpubsub.joinLeaveGroup.by-handler"] });
      },
    });
    const refusing = stage.handled({ handleConnect: (request, response) => response.fail(401, "a secret reason") });

    test("success without an argument leaves what the token says", async (t) => {
      const client = await plain.connect(t, TOKEN, { transport });
      assert.equal(client.userId, "ann");
      assert.equal(await plain.service.groupExists("from token"), true);
      assert.equal(await client.do({ type: "joinGroup", group: "by-token" }), true);
      assert.equal(await client.do({ type: "joinGroup", group: "by-handler" }), "Forbidden");
    });

    test("success with user, groups and roles replaces what the token says", async (t) => {
      const client = await changing.connect(t, TOKEN, { transport });
      assert.equal(client.userId, "bob");
      assert.equal(await changing.service.groupExists("from handler"), true);
      assert.equal(await changing.service.groupExists("from token"), false);
      assert.equal(await client.do({ type: "joinGroup", group: "by-handler" }), true);
      assert.equal(await client.do({ type: "joinGroup", group: "by-token" }), "Forbidden");
    });

    test("fail refuses the client with the status and without the detail", async (t) => {
      const refusal = { statusCode: 401, body: "The connect event handler rejected the connection." };
      await assert.rejects(refusing.connect(t, TOKEN, { transport }), refusal);
      assert.equal(await refusing.service.userExists("ann"), false);
    });

    test("the request shows where the client came from and what it said", async (t) => {
      const roles = ["webpubsub.sendToGroup", "webpubsub.joinLeaveGroup"];
      const client = await plain.connect(
        t,
        { userId: "eve", roles, groups: ["room"] },
        { transport, query: "tag=b&tag=a%20%C3%A9&empty=", headers: { "X-Custom": "a value" } },
      );
      const request = await plain.journal.next("handleConnect", ({ context }) => context.userId === "eve");
      assert.deepEqual(request.context, {
        signature: signature(client.id, [PRIMARY_KEY, SECONDARY_KEY]),
        userId: "eve",
        hub: plain.name,
        connectionId: client.id,
        eventName: "connect",
        origin: new URL(plain.endpoint(transport)).hostname,
        states: {},
        clientProtocol: "default",
      });
      assert.deepEqual(request.queries, { tag: ["b", "a é"], empty: [""] });
      assert.deepEqual(request.query, request.queries);
      assert.deepEqual(request.subprotocols, [JSON_SUBPROTOCOL]);
      assert.deepEqual(request.clientCertificates, []);

      const { sub, role, aud, exp, "webpubsub.group": groups } = request.claims;
      assert.deepEqual([sub, role, groups], [["eve"], roles, ["room"]]);
      assert.deepEqual(aud, [`${plain.endpoint(transport)}/client/hubs/${plain.name}`]);
      assert.match(exp[0], /^\d+$/);

      const headers = lowerCased(request.headers);
      assert.deepEqual(headers["x-custom"], ["a value"]);
      assert.deepEqual(headers.host, [new URL(plain.endpoint(transport)).host]);
    });
  });
}

describe("a token in the header", () => {
  const hub = stage.handled({ handleConnect: (request, response) => response.success() });

  test("is known by its claims and not shown itself", async (t) => {
    const { token, baseUrl } = await hub.service.getClientAccessToken({ userId: "ann" });
    const client = await Socket.open(baseUrl, [JSON_SUBPROTOCOL], { headers: { Authorization: `Bearer ${token}` } });
    t.after(() => client.drop());
    const request = await hub.journal.next("handleConnect");
    assert.deepEqual(request.claims.sub, ["ann"]);
    assert.equal(JSON.stringify(request).includes(token), false);
    assert.equal("authorization" in lowerCased(request.headers), false);
  });
});

describe("each part of the answer by itself", () => {
  const hub = stage.handled({
    handleConnect: (request, response) => response.success(JSON.parse(request.queries.answer[0])),
  });
  const connect = (t, answer, options = {}) =>
    hub.connect(t, TOKEN, { query: `answer=${encodeURIComponent(JSON.stringify(answer))}`, ...options });
  const connectSimple = (t, answer, options = {}) =>
    hub.connectSimple(t, TOKEN, { query: `answer=${encodeURIComponent(JSON.stringify(answer))}`, ...options });

  test("an empty answer changes nothing", async (t) => {
    const client = await connect(t, {});
    assert.equal(client.userId, "ann");
    assert.equal(await client.do({ type: "joinGroup", group: "by-token" }), true);
  });

  test("null members change nothing", async (t) => {
    const client = await connect(t, { userId: null, groups: null, roles: null, subprotocol: null });
    assert.equal(client.userId, "ann");
    assert.equal(client.subprotocol, JSON_SUBPROTOCOL);
    assert.equal(await client.do({ type: "joinGroup", group: "by-token" }), true);
  });

  test("an empty user id takes the user away", async (t) => {
    assert.equal((await connect(t, { userId: "" })).userId, null);
  });

  test("a user id of any letters is the connection's", async (t) => {
    const client = await connect(t, { userId: "zoë 你好 🙂" });
    assert.equal(client.userId, "zoë 你好 🙂");
    await hub.service.sendToUser("zoë 你好 🙂", "for you", { contentType: "text/plain" });
    assert.equal((await client.next()).data, "for you");
  });

  test("no roles take the roles of the token away", async (t) => {
    const client = await connect(t, { roles: [] });
    assert.equal(await client.do({ type: "joinGroup", group: "by-token" }), "Forbidden");
  });

  test("no groups leave those of the token", async (t) => {
    const client = await connect(t, { groups: [] });
    await hub.service.group("from token").sendToAll("for members", { contentType: "text/plain" });
    assert.equal((await client.next()).data, "for members");
  });

  test("a subprotocol of the service that the client offers is spoken", async (t) => {
    const client = await connect(t, { subprotocol: JSON_SUBPROTOCOL }, { subprotocols: ["chat.v2", JSON_SUBPROTOCOL] });
    assert.equal(client.subprotocol, JSON_SUBPROTOCOL);
  });

  test("a subprotocol of the application's own is chosen before the service's, and makes a simple client", async (t) => {
    const offered = [JSON_SUBPROTOCOL, "chat.v2"];
    const client = await connectSimple(t, { subprotocol: "chat.v2", userId: "own" }, { subprotocols: offered });
    assert.equal(client.subprotocol, "chat.v2");
    await hub.service.sendToUser("own", { bare: true });
    assert.deepEqual(await client.next(), { text: '{"bare":true}' });
  });

  const refused = [
    { name: "a subprotocol that the client does not offer", answer: { subprotocol: "chat.v2" } },
    { name: "a blank group", answer: { groups: ["room", " "] } },
    { name: "a group of 1025 characters", answer: { groups: ["x".repeat(1025)] } },
    { name: "a role that is null", answer: { roles: [null] } },
    { name: "an answer that is no object", answer: "yes" },
  ];
  for (const { name, answer } of refused) {
    test(`${name}: the client gets 500`, async (t) => {
      await assert.rejects(connect(t, answer), { statusCode: 500 });
    });
  }
});

describe("a client is refused", { concurrency: true }, () => {
  const failing = (code) => stage.handled({ handleConnect: (request, response) => response.fail(code) });
  const cases = [
    { name: "by fail(400)", hub: failing(400), status: 400 },
    { name: "by fail(401)", hub: failing(401), status: 401 },
    { name: "by fail(500), after further attempts", hub: failing(500), status: 500, calls: 4 },
    {
      name: "by failWith",
      hub: stage.handled({ handleConnect: (request, response) => response.failWith({ code: 401, detail: "no" }) }),
      status: 401,
    },
    {
      name: "when the handler throws",
      hub: stage.handled({
        handleConnect() {
          throw new Error("a fault of the application");
        },
      }),
      status: 500,
      calls: 4,
    },
  ];
  for (const { name, hub, status, calls = 1 } of cases) {
    test(`${name}: ${status}`, async (t) => {
      await assert.rejects(hub.connect(t, TOKEN), { statusCode: status });
      assert.equal(hub.journal.count("handleConnect"), calls);
      assert.equal(await hub.service.userExists("ann"), false);
    });
  }

  const refusing = failing(401);
  test("and so is one of the client package", async () => {
    await assert.rejects(new SdkClient(await refusing.clientUrl(TOKEN)).start(), /401/);
  });
});

describe("other clients", () => {
  const unhandled = stage.handled({});
  const anonymous = stage.handled(
    { handleConnect: (request, response) => response.success({ userId: request.queries.name[0] }) },
    {},
    { anonymousConnectPolicy: "allow" },
  );

  test("without handleConnect clients come in as their token says", async (t) => {
    assert.equal((await unhandled.connect(t, TOKEN)).userId, "ann");
  });

  test("a client without a token has no claims and no user, and may get one", async (t) => {
    const { baseUrl } = await anonymous.service.getClientAccessToken();
    const client = await Socket.open(`${baseUrl}?name=guest`, [JSON_SUBPROTOCOL], {});
    t.after(() => client.drop());
    await client.connected();
    const { context, claims } = await anonymous.journal.next("handleConnect");
    assert.deepEqual([context.userId, claims], [undefined, {}]);
    assert.equal(client.userId, "guest");
  });
});

function lowerCased(headers) {
  return Object.fromEntries(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), values]));
}
