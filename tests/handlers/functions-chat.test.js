// A chat without a server of its own: functions behind `webPubSubTrigger`, their output bindings, and browsers' bare
// WebSockets. In the shape of the official sample, with words of our own.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inTime } from "../support/inbox.js";
import { DEADLINE_MS } from "./support/journal.js";
import { FunctionsStage } from "./support/functions-stage.js";
import { Socket } from "./support/socket.js";

const stage = new FunctionsStage();
const host = stage.host();

for (const transport of ["http", "https"]) {
  describe(`over ${transport}`, () => {
    const hub = stage.hubOf(host);
    const negotiate = `/api/${hub.name}/negotiate`;
    host.page(negotiate, async (query) => {
      const service = hub.serviceOver(transport);
      const { baseUrl, url, token } = await service.getClientAccessToken({ userId: query.get("user") });
      return { baseUrl, url, accessToken: token };
    });
    host.on(hub.name, "system", "connect", ({ context }) => ({ userId: context.userId }));
    host.on(hub.name, "system", "connected", ({ context, output }) => {
      output.push(
        { actionName: "sendToAll", dataType: "text", data: `* ${context.userId} is here` },
        { actionName: "addUserToGroup", group: "lounge", userId: context.userId },
        { actionName: "sendToUser", userId: context.userId, dataType: "json", data: { welcome: context.userId } },
      );
    });
    host.on(hub.name, "user", "message", ({ context, data, output }) => {
      output.push({ actionName: "sendToGroup", group: "lounge", dataType: "text", data: `${context.userId}: ${data}` });
      return { data: `${data.length} letters`, dataType: "text" };
    });
    host.on(hub.name, "system", "disconnected", ({ context, output }) => {
      output.push({ actionName: "sendToAll", dataType: "text", data: `* ${context.userId} is gone` });
    });

    const enter = async (t, user) => {
      const answer = await fetch(`${host.origin}${negotiate}?user=${encodeURIComponent(user)}`);
      const { baseUrl, url, accessToken } = await answer.json();
      assert.equal(url, `${baseUrl}?access_token=${accessToken}`);
      const client = await Socket.open(url, [], { ca: stage.transports[transport].ca });
      t.after(() => client.drop());
      return client;
    };

    test("everybody sees who comes, what is said, and who goes", async (t) => {
      const ann = await enter(t, "ann");
      assert.deepEqual(await ann.next(), { text: "* ann is here" });
      assert.deepEqual(await ann.next(), { text: '{"welcome":"ann"}' });

      const zoë = await enter(t, "zoë 你好");
      assert.deepEqual(await zoë.next(), { text: "* zoë 你好 is here" });
      assert.deepEqual(await zoë.next(), { text: '{"welcome":"zoë 你好"}' });
      assert.deepEqual(await ann.next(), { text: "* zoë 你好 is here" });

      ann.send("good mörning");
      assert.deepEqual(await lines(ann, 2), ["12 letters", "ann: good mörning"]);
      assert.deepEqual(await zoë.next(), { text: "ann: good mörning" });
      zoë.send("hello");
      assert.deepEqual(await lines(zoë, 2), ["5 letters", "zoë 你好: hello"]);
      assert.deepEqual(await ann.next(), { text: "zoë 你好: hello" });

      ann.close(1000);
      assert.deepEqual(await zoë.next(), { text: "* ann is gone" });
      assert.equal(host.journal.count("fault"), 0);
    });
  });
}

describe("the output bindings", () => {
  const hub = stage.hubOf(host, { systemEvents: [] });
  host.on(hub.name, "user", "act", ({ context, data, output }) => {
    output.push({ connectionId: context.connectionId, userId: context.userId, group: "room", ...data });
  });

  /** Has an action done and waits for what `seen` waits for. */
  const act = (client, action) =>
    client.sendJson({ type: "event", event: "act", dataType: "json", data: action });
  const until = (condition) => inTime(poll(condition), "the effect of an action", DEADLINE_MS);

  test("send to a connection and to a group with exclusions and filter", async (t) => {
    const ann = await hub.connect(t, { userId: "ann", groups: ["room"] });
    const bob = await hub.connect(t, { userId: "bob", groups: ["room"] });
    act(ann, { actionName: "sendToConnection", dataType: "text", data: "only ann" });
    assert.equal((await ann.next()).data, "only ann");
    act(ann, { actionName: "sendToGroup", dataType: "json", data: { not: "ann" }, excluded: [ann.id] });
    assert.deepEqual((await bob.next()).data, { not: "ann" });
    act(ann, { actionName: "sendToAll", dataType: "binary", data: "AQ==", filter: "userId eq 'bob'" });
    assert.equal((await bob.next()).dataType, "binary");
    act(ann, { actionName: "sendToUser", dataType: "text", data: "the last" });
    assert.equal((await ann.next()).data, "the last");
  });

  test("put connections and users into groups and take them out", async (t) => {
    const client = await hub.connect(t, { userId: "carl" });
    const isMember = () => hub.service.groupExists("quiet room");
    const steps = [
      ["addConnectionToGroup", true],
      ["removeConnectionFromGroup", false],
      ["addUserToGroup", true],
      ["removeUserFromGroup", false],
      ["addUserToGroup", true],
      ["removeUserFromAllGroups", false],
    ];
    for (const [actionName, expected] of steps) {
      act(client, { actionName, group: "quiet room" });
      await until(async () => (await isMember()) === expected);
    }
  });

  test("grant and revoke permissions, and close", async (t) => {
    const client = await hub.connect(t, { userId: "dora" });
    const isAllowed = () => hub.service.hasPermission(client.id, "joinLeaveGroup", { targetName: "room" });
    const permission = { permission: "joinLeaveGroup", target: "room" };
    act(client, { actionName: "grantPermission", ...permission });
    await until(isAllowed);
    act(client, { actionName: "revokePermission", ...permission });
    await until(async () => !(await isAllowed()));
    act(client, { actionName: "closeClientConnection", reason: "enough" });
    const { message } = await client.next();
    assert.equal(message, "Application server closed the connection. Reason: enough");
    assert.equal((await client.ended()).code, 1000);
  });
});

/** The next lines of a simple client, sorted: reply and group message come by different ways. */
async function lines(client, count) {
  const texts = [];
  while (texts.length < count) {
    texts.push((await client.next()).text);
  }
  return texts.sort();
}

async function poll(condition) {
  while (!(await condition())) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
