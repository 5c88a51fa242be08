// Puts the page together: the server's key and hub, the form for new clients, and the panels.

import { Client } from "./client.js";
import { element, fillSelect, showFields, valuesOf } from "./dom.js";
import { PROTOCOLS, protocolOf } from "./protocols.js";
import { startRest } from "./rest.js";
import { ENDPOINT, PUBLIC_DEVELOPMENT_KEY, canSign, connectionString, readConnectionString } from "./server.js";
import { Trace } from "./trace.js";

const REMEMBERED = "hubbub.playground";
const USERS = ["ann", "bob", "cleo", "dan", "eve", "finn"];
const HUB = "chat";

const server = document.querySelector("#server");
const newClient = document.querySelector("#new-client");
const notice = document.querySelector("#notice");
const cards = document.querySelector("#cards");
const clients = new Set();

let made = 0;

const key = () => readConnectionString(server.elements.key.value).key;
const hub = () => server.elements.hub.value.trim();

fillSelect(newClient.elements.protocol, PROTOCOLS);
newClient.elements.userId.value = USERS[0];
server.elements.key.value = connectionString(PUBLIC_DEVELOPMENT_KEY);
server.elements.hub.value = HUB;
recall();
showProtocol();
showNotice();

const trace = new Trace(document.querySelector("#trace"), key);
trace.restart();
startRest(document.querySelector("#rest"), () => ({ key: key(), hub: hub() }));

server.addEventListener("submit", (event) => event.preventDefault());
server.elements.key.addEventListener("change", () => trace.restart());
for (const form of [server, newClient]) {
  form.addEventListener("input", () => {
    remember();
    showNotice();
  });
}
newClient.elements.protocol.addEventListener("change", showProtocol);
// A field that is folded away cannot show what is wrong with it. The event does not bubble.
newClient.addEventListener("invalid", () => (newClient.querySelector("details").open = true), true);
newClient.addEventListener("submit", (event) => {
  event.preventDefault();
  const problem = newClient.querySelector(".problem");
  problem.textContent = hub() ? "" : "Enter a hub.";
  if (hub()) {
    connect(valuesOf(newClient));
  }
});

function connect({ protocol, userId, roles, groups, minutes, publishTo }) {
  made += 1;
  const settings = {
    name: userId || `client ${made}`,
    hub: hub(),
    userId,
    roles: words(roles, /[\s,]+/),
    groups: words(groups, ","),
    minutes: Number(minutes),
    publishTo,
    protocol: protocolOf(protocol),
  };
  const client = new Client(settings, key, () => {
    if (!client.element.isConnected) {
      clients.delete(client);
    }
    listConnections();
  });
  clients.add(client);
  cards.append(client.element);
  offerNextUser(userId);
}

/** The next of the usual names, unless the person has chosen one. */
function offerNextUser(userId) {
  const index = USERS.indexOf(userId);
  if (index >= 0) {
    newClient.elements.userId.value = USERS[(index + 1) % USERS.length];
    remember();
  }
}

/** Connection ids for the REST panel. */
function listConnections() {
  const ids = [...clients].map(({ connectionId }) => connectionId).filter(Boolean);
  document.querySelector("#connection-ids").replaceChildren(...ids.map((value) => element("option", { value })));
}

function showProtocol() {
  showFields(newClient, protocolOf(newClient.elements.protocol.value).publishes ? ["publishTo"] : []);
}

/** Says what is in the way of working here, if anything is. */
function showNotice() {
  const { otherEndpoint } = readConnectionString(server.elements.key.value);
  const [text, failed] = !canSign()
    ? ["This browser signs tokens only on https and on this machine. Open this page at the server's https address.", true]
    : otherEndpoint
      ? [`This page talks to ${ENDPOINT}, where it comes from, and uses the key alone. For ${otherEndpoint} open it there.`, false]
      : ["", false];
  notice.textContent = text;
  notice.hidden = text === "";
  notice.classList.toggle("failed", failed);
}

function remember() {
  sessionStorage.setItem(REMEMBERED, JSON.stringify({ server: valuesOf(server), newClient: valuesOf(newClient) }));
}

function recall() {
  let remembered;
  try {
    remembered = JSON.parse(sessionStorage.getItem(REMEMBERED));
  } catch {
    // Nothing that can be read is as good as nothing.
  }
  for (const [form, values] of [
    [server, remembered?.server],
    [newClient, remembered?.newClient],
  ]) {
    for (const [name, value] of Object.entries(values ?? {})) {
      if (form.elements[name] && typeof value === "string") {
        form.elements[name].value = value;
      }
    }
  }
}

function words(text, separator) {
  return text
    .split(separator)
    .map((word) => word.trim())
    .filter(Boolean);
}
