// `getClientAccessToken` of `@azure/web-pubsub` with each of its options, what a client may do with
// the token, and which tokens and keys are refused.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { endpointOf, Hub, HTTP, HTTPS, overEachTransport } from "./support/hub.js";
import { SECONDARY_KEY, WRONG_KEY } from "./support/keys.js";
import { Socket } from "./support/socket.js";

overEachTransport((transport) => {
  test("a token without options admits a client without user and roles for an hour", async (t) => {
    const hub = Hub.for(t, transport);
    const token = await hub.service.getClientAccessToken();
    const claims = claimsOf(token);
    assert.equal(claims.exp - claims.iat, 3600);
    assert.equal(token.url, `${token.baseUrl}?access_token=${token.token}`);
    const member = hub.closeAtEnd(await Socket.openJson(token.url));
    assert.equal(member.userId, null);
    member.send({ type: "joinGroup", group: "room", ackId: 1 });
    assert.equal((await member.next()).error.name, "Forbidden");
  });

  test("userId, groups, roles and expirationTimeInMinutes all take effect", async (t) => {
    const hub = Hub.for(t, transport);
    const token = await hub.service.getClientAccessToken({
      userId: "ann 你",
      groups: ["room", "a/b"],
      roles: ["webpubsub.joinLeaveGroup.hall"],
      expirationTimeInMinutes: 5,
    });
    const claims = claimsOf(token);
    assert.equal(claims.exp - claims.iat, 300);
    const member = hub.closeAtEnd(await Socket.openJson(token.url));
    assert.equal(member.userId, "ann 你");
    assert.deepEqual([await hub.service.groupExists("room"), await hub.service.groupExists("a/b")], [true, true]);
    member.send({ type: "joinGroup", group: "hall", ackId: 1 });
    assert.deepEqual(await member.next(), { type: "ack", ackId: 1, success: true });
  });

  test("both keys are good for calls and for clients", async (t) => {
    const hub = Hub.for(t, transport);
    const service = hub.serviceWith({ key: SECONDARY_KEY });
    const { url } = await service.getClientAccessToken({ userId: "ann" });
    const member = hub.closeAtEnd(await Socket.openJson(url));
    assert.equal(await service.connectionExists(member.id), true);
    assert.equal(await hub.service.userExists("ann"), true);
  });
});

describe("a client is refused", () => {
  const cases = [
    { name: "without a token", status: 401, url: async (hub) => (await hub.service.getClientAccessToken()).baseUrl },
    { name: "with an empty token", status: 401, url: async (hub) => `${(await hub.service.getClientAccessToken()).baseUrl}?access_token=` },
    { name: "with a token that is none", status: 401, url: async (hub) => `${(await hub.service.getClientAccessToken()).baseUrl}?access_token=a.b.c` },
    { name: "with a token signed by another key", status: 401, url: (hub) => urlOf(hub.serviceWith({ key: WRONG_KEY })) },
    { name: "with a token that ended ten minutes ago", status: 401, url: (hub) => hub.clientUrl({ expirationTimeInMinutes: -10 }) },
    {
      name: "with a token of another hub",
      status: 401,
      url: async (hub) => {
        const { token } = await hub.serviceWith({ name: "another" }).getClientAccessToken();
        return `${(await hub.service.getClientAccessToken()).baseUrl}?access_token=${token}`;
      },
    },
    {
      name: "with a token of the MQTT endpoint",
      status: 401,
      url: async (hub) => {
        const { token } = await hub.service.getClientAccessToken({ clientProtocol: "mqtt" });
        return `${(await hub.service.getClientAccessToken()).baseUrl}?access_token=${token}`;
      },
    },
    { name: "whose token names a blank group", status: 400, url: (hub) => hub.clientUrl({ groups: ["room", " "] }) },
    { name: "whose token names a group of 1025 characters", status: 400, url: (hub) => hub.clientUrl({ groups: ["x".repeat(1025)] }) },
  ];
  for (const { name, status, url } of cases) {
    test(`${name}: ${status}`, async (t) => {
      const hub = Hub.for(t, HTTP);
      await assert.rejects(Socket.openJson(await url(hub)), { statusCode: status });
      await assert.rejects(Socket.openRaw(await url(hub)), { statusCode: status });
    });
  }
});

describe("a token credential has the server make the token", () => {
  test("with user, groups, roles and lifetime", async (t) => {
    const hub = Hub.for(t, HTTPS);
    const token = await entraService(hub).getClientAccessToken({
      userId: "ann",
      groups: ["room", "a,b"],
      roles: ["webpubsub.sendToGroup", "webpubsub.joinLeaveGroup.hall"],
      expirationTimeInMinutes: 7,
    });
    const claims = claimsOf(token);
    assert.equal(claims.exp - claims.nbf, 7 * 60);
    const member = hub.closeAtEnd(await Socket.openJson(token.url));
    assert.equal(member.userId, "ann");
    assert.equal(await hub.service.groupExists("a,b"), true);
    member.send({ type: "joinGroup", group: "hall", ackId: 1 });
    assert.equal((await member.next()).success, true);
  });

  test("for the MQTT endpoint, which does not open the WebSocket endpoint", async (t) => {
    const hub = Hub.for(t, HTTPS);
    const service = entraService(hub);
    const { token } = await service.getClientAccessToken({ clientProtocol: "mqtt" });
    const { baseUrl } = await service.getClientAccessToken();
    assert.match(claimsOf({ token }).aud, /\/clients\/mqtt\/hubs\//);
    await assert.rejects(Socket.openJson(`${baseUrl}?access_token=${token}`), { statusCode: 401 });
  });

  test("and may call the other operations too", async (t) => {
    const hub = Hub.for(t, HTTPS);
    const member = await hub.connect({ userId: "ann" });
    assert.equal(await entraService(hub).connectionExists(member.id), true);
  });

  const refused = [
    { name: "a lifetime of 0 minutes", options: { expirationTimeInMinutes: 0 } },
    { name: "a blank group", options: { groups: [" "] } },
    { name: "an unknown client protocol", options: { clientProtocol: "carrier pigeon" } },
  ];
  for (const { name, options } of refused) {
    test(`but not with ${name}: 400`, async (t) => {
      const service = entraService(Hub.for(t, HTTPS));
      await assert.rejects(service.getClientAccessToken(options), { statusCode: 400, code: "Error.BadRequest" });
    });
  }

  test("unless the credential itself has expired: 401", async (t) => {
    const service = entraService(Hub.for(t, HTTPS), { exp: now() - 600 });
    await assert.rejects(service.getClientAccessToken(), { statusCode: 401 });
  });
});

function claimsOf({ token }) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
}

async function urlOf(service) {
  return (await service.getClientAccessToken()).url;
}

/** A service client whose credential looks like one of the identity provider; nobody checks its signature. */
function entraService(hub, claims = {}) {
  const token = jwt({ aud: "https://webpubsub.azure.com", exp: now() + 3600, nbf: now() - 60, ...claims });
  const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const options = { ...hub.transport.options, retryOptions: { maxRetries: 0 } };
  return new WebPubSubServiceClient(endpointOf(hub.transport), credential, hub.name, options);
}

function jwt(claims) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const content = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${content}.${createHmac("sha256", "no one knows this key").update(content).digest("base64url")}`;
}

function now() {
  return Math.floor(Date.now() / 1000);
}
