// An event as the server posts it, and its signature, made here a second time from their description. For the tests of
// the applications of this suite by themselves, and for what tests expect of the server.

import { createHmac, randomUUID } from "node:crypto";

/** Value of `ce-signature` for a connection: one part for each key, in their order. */
export function signature(connectionId, keys) {
  return keys.map((key) => `sha256=${createHmac("sha256", key).update(connectionId).digest("hex")}`).join(",");
}

/**
 * Posts an event. `event` has `hub`, `type` (`sys` or `user`), `name`, `connectionId`, `keys` and what else the test is
 * about; `headers` replaces headers, those that are undefined are left out.
 *
 * @returns {Promise<Response>}
 */
export function post(url, event, headers = {}) {
  const { hub, type, name, connectionId = "c-1", keys = [], origin = "127.0.0.1", body = "{}" } = event;
  const all = {
    "Content-Type": type === "user" ? "text/plain; charset=utf-8" : "application/json",
    "WebHook-Request-Origin": origin,
    "ce-specversion": "1.0",
    "ce-awpsversion": "1.0",
    "ce-type": `azure.webpubsub.${type}.${name}`,
    "ce-source": `/hubs/${hub}/client/${connectionId}`,
    "ce-id": "1",
    "ce-time": new Date().toISOString().replace(/\.\d+/, ""),
    "ce-hub": hub,
    "ce-connectionId": connectionId,
    "ce-eventName": name,
    "ce-signature": signature(connectionId, keys),
    "x-ms-client-request-id": randomUUID(),
    ...headers,
  };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  return fetch(url, { method: "POST", headers: Object.fromEntries(given), body });
}
