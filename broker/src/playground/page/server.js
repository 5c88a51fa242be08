// The server that this page comes from, as its application would know it: signs tokens with the access key, builds
// client URLs and makes REST calls. The key stays in this tab.

/** The endpoint, without a slash at its end. */
export const ENDPOINT = new URL(".", document.baseURI).href.replace(/\/$/, "");

/** The access key that a server for development has unless it is given another; everybody knows it. */
export const PUBLIC_DEVELOPMENT_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

const REST_MINUTES = 60;

/** A fault that is told to the person as it stands. */
export class Problem extends Error {}

/** Whether this browser can sign here. It does so on pages of https and of this machine only. */
export function canSign() {
  return globalThis.crypto?.subtle !== undefined;
}

/** A connection string for this server. */
export function connectionString(key) {
  return `Endpoint=${ENDPOINT};AccessKey=${key};Version=1.0;`;
}

/**
 * Reads what the person entered: a connection string, or an access key alone.
 *
 * @returns {{key: string, otherEndpoint?: string}} `otherEndpoint` where the connection string names another server
 */
export function readConnectionString(text) {
  const trimmed = text.trim();
  const part = (name) => new RegExp(`(?:^|;)\\s*${name}=([^;]*)`, "i").exec(trimmed)?.[1].trim();
  const endpoint = part("Endpoint")?.replace(/\/$/, "");
  const key = part("AccessKey") ?? (endpoint === undefined ? trimmed : "");
  const isOther = endpoint !== undefined && endpoint.toLowerCase() !== ENDPOINT.toLowerCase();
  return isOther ? { key, otherEndpoint: endpoint } : { key };
}

/** A JWT for `audience`, signed with HS256. */
export async function sign(key, audience, { minutes = REST_MINUTES, ...claims } = {}) {
  if (!canSign()) {
    throw new Problem("This browser signs tokens only on https and on this machine: open the https address.");
  }
  if (!key) {
    throw new Problem("Enter the access key that the server printed at its start.");
  }
  const now = Math.floor(Date.now() / 1000);
  const payload = { aud: audience, iat: now, exp: now + Math.round(minutes * 60), ...claims };
  const text = `${base64url(JSON.stringify({ alg: "HS256", typ: "JWT" }))}.${base64url(JSON.stringify(payload))}`;
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const hmac = await crypto.subtle.importKey("raw", encode(key), algorithm, false, ["sign"]);
  return `${text}.${base64url(new Uint8Array(await crypto.subtle.sign("HMAC", hmac, encode(text))))}`;
}

/**
 * The URL with which a client connects.
 *
 * @param {string} key
 * @param {{hub: string, userId?: string, roles: string[], groups: string[], minutes: number,
 *   query: Record<string, string>}} client
 */
export async function clientAccessUrl(key, { hub, userId, roles, groups, minutes, query }) {
  const path = `/client/hubs/${encodeURIComponent(hub)}`;
  const claims = { minutes };
  if (userId) {
    claims.sub = userId;
  }
  if (roles.length > 0) {
    claims.role = roles;
  }
  if (groups.length > 0) {
    claims["webpubsub.group"] = groups;
  }
  const token = await sign(key, ENDPOINT + path, claims);
  const parameters = new URLSearchParams({ ...query, access_token: token });
  return `${ENDPOINT.replace(/^http/, "ws")}${path}?${parameters}`;
}

/**
 * Makes a REST call.
 *
 * @param {string} key
 * @param {{method: string, path: string, contentType?: string, body?: string | Uint8Array}} request
 * @returns {Promise<{status: number, text: string, url: string, token: string}>}
 */
export async function call(key, { method, path, contentType, body }) {
  const url = ENDPOINT + path;
  const token = await sign(key, url);
  const headers = { Authorization: `Bearer ${token}` };
  if (contentType) {
    headers["Content-Type"] = contentType;
  }
  const response = await fetch(url, { method, headers, body, cache: "no-store" }).catch(() => {
    throw new Problem("The server does not answer. Is it still running?");
  });
  return { status: response.status, text: await response.text(), url, token };
}

/**
 * Finds out why a client was not let in, which a browser does not tell: asks something harmless with the same key.
 *
 * @returns {Promise<string>} a sentence
 */
export async function whyRefused(key, hub) {
  try {
    const { status } = await call(key, { method: "HEAD", path: `/api/hubs/${encodeURIComponent(hub)}/groups/lobby` });
    switch (status) {
      case 401:
        return WRONG_KEY;
      case 400:
        return "The server does not accept the name of the hub: it has letters, digits and underscores, and begins with a letter.";
      default:
        return "The server refused the client, although the key is right. Look at its groups and at the log of the server.";
    }
  } catch (problem) {
    return problem.message;
  }
}

/** What is said when a key is not accepted. */
export const WRONG_KEY = "The server does not accept this access key. Enter the connection string that it printed at its start.";

/** Bytes as text in hex, two digits each. */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** The bytes that a text in hex means. */
export function fromHex(text) {
  const digits = text.replace(/\s+/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) {
    throw new Problem("Write bytes in hex, two digits each, such as 00 ff 10.");
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Bytes in base64. */
export function toBase64(bytes) {
  let text = "";
  for (const byte of bytes) {
    text += String.fromCharCode(byte);
  }
  return btoa(text);
}

function base64url(content) {
  const bytes = typeof content === "string" ? encode(content) : content;
  return toBase64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function encode(text) {
  return new TextEncoder().encode(text);
}
