// What holds for every operation of `@azure/web-pubsub` alike: its status, what it does without its
// target, and how it is refused.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Hub, overEachTransport } from "./support/hub.js";
import { WRONG_KEY } from "./support/keys.js";
import { NOBODY, OPERATIONS } from "./support/operations.js";

const SUPPORTED_VERSIONS = "2021-10-01, 2022-11-01, 2023-07-01, 2024-01-01, 2024-12-01";

overEachTransport((transport) => {
  describe("each operation answers its own success status", () => {
    for (const { name, call, status } of OPERATIONS) {
      test(`${name}: ${status}`, async (t) => {
        const hub = Hub.for(t, transport);
        const roles = ["webpubsub.sendToGroup.room"];
        const member = await hub.connect({ userId: "ann", groups: ["room"], roles });
        let response;
        const target = { connection: member.id, user: "ann", group: "room" };
        await call(hub.service, target, { onResponse: (raw) => (response = raw) });
        assert.equal(response.status, status);
        assert.equal(response.headers.get("api-supported-versions"), SUPPORTED_VERSIONS);
      });
    }
  });

  describe("each operation has its answer to a target that does not exist", () => {
    for (const { name, call, missing } of OPERATIONS) {
      test(`${name}: ${JSON.stringify(missing) ?? "succeeds"}`, async (t) => {
        const hub = Hub.for(t, transport);
        if (missing?.statusCode !== undefined) {
          await assert.rejects(call(hub.service, NOBODY, {}), { name: "RestError", ...missing });
          return;
        }
        const answer = await call(hub.service, NOBODY, {});
        if (missing !== undefined) {
          assert.deepEqual(answer, missing);
        }
      });
    }
  });

  describe("each operation signed with a wrong key is refused with 401 and has no effect", () => {
    for (const { name, call } of OPERATIONS) {
      test(name, async (t) => {
        const hub = Hub.for(t, transport);
        const member = await hub.connect({ userId: "ann", groups: ["room"] });
        const target = { connection: member.id, user: "ann", group: "room" };
        const intruder = hub.serviceWith({ key: WRONG_KEY });
        await assert.rejects(call(intruder, target, {}), { name: "RestError", statusCode: 401 });
        assert.deepEqual(await hub.received(member), []);
        assert.equal(await hub.service.groupExists("room"), true);
      });
    }
  });

  describe("each operation on a hub with an invalid name is refused with 400", () => {
    for (const { name, call } of OPERATIONS) {
      test(name, async (t) => {
        const service = Hub.for(t, transport).serviceWith({ name: "1-is-not-a-letter" });
        await assert.rejects(call(service, NOBODY, {}), { name: "RestError", statusCode: 400 });
      });
    }
  });
});
