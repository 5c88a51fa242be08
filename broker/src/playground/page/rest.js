// The panel for REST calls: a form for the usual operations, the answer, and the same call with curl.

import { curlLine } from "./code.js";
import { copy, fillSelect, showFields, valuesOf } from "./dom.js";
import { Problem, call, fromHex } from "./server.js";
import { statusWords } from "./words.js";

const CONTENT = ["contentType", "body"];

const send = (name, label, fields, target) => ({
  name,
  label,
  fields: [...fields, ...CONTENT],
  method: "POST",
  path: (names) => `${target(names)}/:send`,
});

const all = () => "";
const group = (names) => `/groups/${part(names.group, "a group")}`;
const user = (names) => `/users/${part(names.user, "a user id")}`;
const connection = (names) => `/connections/${part(names.connection, "a connection id")}`;

/** `path` is below the hub. */
const OPERATIONS = [
  send("sendToAll", "Send to the hub", [], all),
  send("sendToGroup", "Send to a group", ["group"], group),
  send("sendToUser", "Send to a user", ["user"], user),
  send("sendToConnection", "Send to a connection", ["connection"], connection),
  {
    name: "addConnection",
    label: "Add a connection to a group",
    fields: ["group", "connection"],
    method: "PUT",
    path: (names) => group(names) + connection(names),
  },
  {
    name: "removeConnection",
    label: "Remove a connection from a group",
    fields: ["group", "connection"],
    method: "DELETE",
    path: (names) => group(names) + connection(names),
  },
  {
    name: "addUser",
    label: "Add a user to a group",
    fields: ["user", "group"],
    method: "PUT",
    path: (names) => user(names) + group(names),
  },
  {
    name: "removeUser",
    label: "Remove a user from a group",
    fields: ["user", "group"],
    method: "DELETE",
    path: (names) => user(names) + group(names),
  },
  {
    name: "closeConnection",
    label: "Close a connection",
    fields: ["connection"],
    method: "DELETE",
    path: connection,
  },
  { name: "connectionExists", label: "Is a connection there?", fields: ["connection"], method: "HEAD", path: connection },
  { name: "groupExists", label: "Has a group members?", fields: ["group"], method: "HEAD", path: group },
  { name: "userExists", label: "Is a user connected?", fields: ["user"], method: "HEAD", path: user },
];

/**
 * Lets the form make calls.
 *
 * @param {HTMLFormElement} form
 * @param {() => {key: string, hub: string}} server the access key and the hub as they are now
 */
export function startRest(form, server) {
  const select = form.elements.operation;
  const result = form.querySelector(".result");
  const curl = form.querySelector(".curl");
  let line = "";

  fillSelect(select, OPERATIONS);
  const show = () => showFields(form, chosen().fields);
  const chosen = () => OPERATIONS.find(({ name }) => name === select.value) ?? OPERATIONS[0];
  select.addEventListener("change", show);
  show();

  form.querySelector("[name=copy]").addEventListener("click", ({ target }) => copy(target, line));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    result.className = "result";
    result.textContent = "Calling …";
    try {
      const { key, hub } = server();
      const request = requestOf(chosen(), hub, valuesOf(form));
      const started = performance.now();
      const { status, text, url, token } = await call(key, request);
      const took = Math.round(performance.now() - started);
      result.textContent = `${status} · ${took} ms · ${statusWords(status, text)}`;
      result.classList.toggle("failed", status >= 400 && !(status === 404 && request.method === "HEAD"));
      line = curlLine(request, url, token);
      curl.querySelector("pre").textContent = curlLine(request, url, `${token.slice(0, 10)}…`);
      curl.hidden = false;
    } catch (problem) {
      result.textContent = problem.message;
      result.classList.add("failed");
    }
  });
}

function requestOf(operation, hub, values) {
  const { method } = operation;
  const path = `/api/hubs/${encodeURIComponent(hub)}${operation.path(values)}`;
  if (!operation.fields.includes("body")) {
    return { method, path };
  }
  const isBinary = values.contentType === "application/octet-stream";
  return { method, path, contentType: values.contentType, body: isBinary ? fromHex(values.body) : values.body };
}

function part(name, what) {
  if (!name) {
    throw new Problem(`Enter ${what}.`);
  }
  return encodeURIComponent(name);
}
