// One client: its WebSocket and the card that shows it.

import { clientSnippet } from "./code.js";
import { copy, fillSelect, showFields, valuesOf } from "./dom.js";
import { FrameLog } from "./frames.js";
import { acknowledgement, membership, queryOf } from "./protocols.js";
import { Problem, clientAccessUrl, whyRefused } from "./server.js";
import { closeWords } from "./words.js";

/**
 * @typedef {object} ClientSettings
 * @property {string} name what the card is called
 * @property {string} hub
 * @property {string} [userId]
 * @property {string[]} roles
 * @property {string[]} groups
 * @property {number} minutes how long a token is good
 * @property {string} publishTo group of a client that publishes all it sends
 * @property {import("./protocols.js").PROTOCOLS[number]} protocol
 */

export class Client {
  /** The card. */
  element;
  /** The id that the server told, if it did. */
  connectionId;

  #settings;
  #key;
  #onChange;
  #frames;
  #socket;
  /** Counts connects, so that one that was overtaken while its token was signed goes no further. */
  #attempt = 0;
  #nextAck = 1;

  /**
   * Makes the card and connects.
   *
   * @param {ClientSettings} settings
   * @param {() => string} key the access key as it is now
   * @param {() => void} onChange is called when the connection id has changed, or the client is gone
   */
  constructor(settings, key, onChange) {
    this.#settings = settings;
    this.#key = key;
    this.#onChange = onChange;
    this.element = document.querySelector("#card").content.firstElementChild.cloneNode(true);
    this.element.setAttribute("aria-label", `Client ${settings.name}`);
    this.#find("h3").textContent = settings.name;
    this.#frames = new FrameLog(this.#find(".frames"), settings.protocol.speaksJson);
    this.#find(".groups").hidden = !settings.protocol.speaksJson;
    fillSelect(this.#find("[name=what]"), settings.protocol.actions);
    this.#listen();
    this.#showAction();
    this.#about();
    this.connect();
  }

  /** Connects with a new token. */
  async connect() {
    const { hub, protocol } = this.#settings;
    const key = this.#key();
    const attempt = ++this.#attempt;
    this.#is("connecting", "connecting …");
    let socket;
    try {
      const url = await this.#url();
      if (attempt !== this.#attempt) {
        return;
      }
      socket = protocol.subprotocol ? new WebSocket(url, protocol.subprotocol) : new WebSocket(url);
    } catch (problem) {
      return this.#failed(problem.message);
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#is("connected", "connected");
      this.#frames.happened("note", `connected to ${hub}`);
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = async ({ code, reason }) => {
      if (this.#socket !== socket) {
        return;
      }
      this.#socket = undefined;
      this.#knows(undefined);
      if (!opened) {
        return this.#failed(await whyRefused(key, hub));
      }
      const words = closeWords(code, reason);
      this.#is("closed", "not connected");
      this.#frames.happened(code === 1000 || code === 1005 ? "note" : "failed", words);
    };
  }

  /** Disconnects and takes the card away. */
  remove() {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#attempt += 1;
    socket?.close(1000);
    this.element.remove();
    this.connectionId = undefined;
    this.#onChange();
  }

  #listen() {
    const on = (name, act) => this.#find(`[name=${name}]`).addEventListener("click", act);
    on("toggle", () => (this.#socket ? this.#socket.close(1000) : this.connect()));
    on("remove", () => this.remove());
    on("url", ({ target }) => this.#try(async () => copy(target, await this.#url())));
    on("code", ({ target }) =>
      this.#try(async () => copy(target, clientSnippet(await this.#url(), this.#settings.protocol))),
    );
    this.#find(".bar [name=clear]").addEventListener("click", () => this.#frames.clear());
    this.#find("[name=pretty]").addEventListener("change", ({ target }) => (this.#frames.pretty = target.checked));
    this.#find("[name=what]").addEventListener("change", () => this.#showAction());
    this.#find(".groups").addEventListener("submit", (event) => {
      event.preventDefault();
      const type = event.submitter?.name === "leave" ? "leaveGroup" : "joinGroup";
      this.#try(() => this.#send(membership(type, this.#group(), this.#ackId())));
    });
    this.#find(".send").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try(() => this.#sendForm(valuesOf(event.target)));
    });
    this.#find("[name=data]").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        this.#find(".send").requestSubmit();
      }
    });
  }

  #sendForm({ ack, ...input }) {
    const action = this.#action();
    const wantsAck = ack && action.fields.includes("ack");
    this.#send(action.write({ ...input, group: this.#group(), ackId: wantsAck ? this.#ackId() : undefined }));
  }

  #send(content) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      throw new Problem("This client is not connected. Press Reconnect.");
    }
    this.#socket.send(content);
    this.#frames.frame("sent", content);
  }

  #received(data) {
    const content = typeof data === "string" ? data : new Uint8Array(data);
    this.#frames.frame("received", content);
    const { speaksJson, acknowledges } = this.#settings.protocol;
    if (speaksJson && typeof data === "string" && this.connectionId === undefined) {
      this.#knows(valueIn(data, ({ type, event }) => type === "system" && event === "connected", "connectionId"));
    }
    if (acknowledges && typeof data === "string" && this.#socket?.readyState === WebSocket.OPEN) {
      const sequenceId = valueIn(data, ({ type }) => type === "message", "sequenceId");
      if (sequenceId !== undefined) {
        this.#send(acknowledgement(sequenceId));
      }
    }
  }

  #knows(connectionId) {
    if (connectionId !== this.connectionId) {
      this.connectionId = connectionId;
      this.#about();
      this.#onChange();
    }
  }

  #about() {
    const { hub, protocol } = this.#settings;
    const speaks = protocol.subprotocol ?? "no subprotocol";
    const id = this.connectionId ? ` · ${this.connectionId}` : "";
    this.#find(".about").textContent = `${hub} · ${speaks}${id}`;
  }

  #url() {
    const { protocol, publishTo } = this.#settings;
    return clientAccessUrl(this.#key(), { ...this.#settings, query: queryOf(protocol, publishTo) });
  }

  #group() {
    return this.#find(".groups [name=group]").value;
  }

  #ackId() {
    return this.#nextAck++;
  }

  #action() {
    const name = this.#find("[name=what]").value;
    return this.#settings.protocol.actions.find((action) => action.name === name);
  }

  #showAction() {
    showFields(this.#find(".send"), this.#action().fields);
  }

  #failed(text) {
    this.#is("failed", "not connected");
    this.#frames.happened("failed", text);
  }

  #is(state, text) {
    this.element.dataset.state = state;
    this.#find(".state").textContent = text;
    this.#find("[name=toggle]").textContent = state === "connected" || state === "connecting" ? "Disconnect" : "Reconnect";
  }

  /** Does something for the person; a problem is said below the form. */
  async #try(act) {
    const said = this.#find(".problem");
    said.textContent = "";
    try {
      await act();
    } catch (problem) {
      said.textContent = problem.message;
    }
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }
}

/** A property of a message of a certain kind. */
function valueIn(text, isKind, property) {
  try {
    const message = JSON.parse(text);
    return isKind(message) ? message[property] : undefined;
  } catch {
    return undefined;
  }
}
