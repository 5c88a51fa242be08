// The panel that shows what happens in the node, as it happens: reads server-sent events with a token, which the
// browser's own reader cannot carry.

import { BoundedList, clock, element } from "./dom.js";
import { ENDPOINT, WRONG_KEY, sign } from "./server.js";
import { recordWords } from "./words.js";

const MOST_ROWS = 500;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export class Trace {
  #section;
  #key;
  #list;
  #records = [];
  #paused = false;
  #waiting = 0;
  #filter = "";
  #reading;
  #state = { text: "", sort: "" };

  /**
   * @param {HTMLElement} section the panel
   * @param {() => string} key the access key as it is now
   */
  constructor(section, key) {
    this.#section = section;
    this.#key = key;
    this.#list = new BoundedList(section.querySelector(".records"), MOST_ROWS, row);
    section.querySelector("[name=filter]").addEventListener("input", ({ target }) => {
      this.#filter = target.value.trim().toLowerCase();
      this.#show();
    });
    section.querySelector("[name=pause]").addEventListener("click", () => this.#pause(!this.#paused));
    section.querySelector("[name=clear]").addEventListener("click", () => {
      this.#records = [];
      this.#pause(false);
    });
  }

  /** Reads from now on, with the key as it is now; what was read with another is left. */
  async restart() {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    let wait = FIRST_WAIT_MS;
    while (!reading.signal.aborted) {
      const said = await this.#read(reading.signal, () => (wait = FIRST_WAIT_MS)).catch((error) => ({
        text: error.message,
      }));
      if (reading.signal.aborted) {
        return;
      }
      this.#say(said.final ? said.text : `${said.text} Trying again …`, "failed");
      if (said.final) {
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  /** Reads until the stream ends, and says why it did; `final` where another try would end the same. */
  async #read(signal, onStart) {
    const url = `${ENDPOINT}/playground/trace`;
    const token = await sign(this.#key(), url).catch((problem) => ({ problem }));
    if (token.problem) {
      return { text: token.problem.message, final: true };
    }
    let response;
    try {
      response = await fetch(url, { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", signal });
    } catch {
      return { text: "The server does not answer." };
    }
    if (response.status === 401) {
      return { text: WRONG_KEY, final: true };
    }
    if (!response.ok) {
      return { text: await response.text() };
    }
    onStart();
    this.#say("Watching.");
    try {
      for await (const event of eventsOf(response.body)) {
        this.#take(event);
      }
    } catch {
      return { text: "The connection to the server was lost." };
    }
    return { text: "The server ended the trace." };
  }

  #take({ name, data }) {
    const record =
      name === "missed" ? { kind: "missed", count: Number(data), time: Date.now() } : JSON.parse(data);
    this.#records.push(record);
    if (this.#records.length > MOST_ROWS) {
      this.#records.shift();
    }
    if (this.#paused) {
      this.#waiting += 1;
      this.#showState();
    } else if (this.#fits(record)) {
      this.#list.add(record);
    }
  }

  #pause(isPaused) {
    const button = this.#section.querySelector("[name=pause]");
    this.#paused = isPaused;
    this.#waiting = 0;
    button.textContent = isPaused ? "Go on" : "Pause";
    button.setAttribute("aria-pressed", String(isPaused));
    this.#showState();
    if (!isPaused) {
      this.#show();
    }
  }

  #show() {
    this.#list.replace(this.#records.filter((record) => this.#fits(record)));
  }

  #fits({ kind, hub, connection, user }) {
    return kind === "missed" || [hub, connection, user].some((name) => name?.toLowerCase().includes(this.#filter));
  }

  #say(text, sort = "") {
    this.#state = { text, sort };
    this.#showState();
  }

  #showState() {
    const { text, sort } = this.#state;
    const paused = this.#waiting > 0 ? ` Paused; ${this.#waiting} came since.` : " Paused.";
    const state = this.#section.querySelector(".state");
    state.textContent = this.#paused ? text + paused : text;
    state.className = `state ${sort}`.trim();
  }
}

function row(record) {
  if (record.kind === "missed") {
    const text = `${record.count} records came faster than this page took them, and are not shown`;
    return element(
      "li",
      { className: "failed" },
      element("time", {}, clock(record.time)),
      element("span"),
      element("span"),
      element("span", { className: "what" }, text),
    );
  }
  const { text, failed } = recordWords(record);
  return element(
    "li",
    { className: failed ? "failed" : "" },
    element("time", {}, clock(record.time)),
    element("span", { className: "hub", title: record.hub }, record.hub),
    element("span", { className: "connection", title: record.connection }, record.connection),
    element("span", { className: "what" }, text),
  );
}

/** The events of a stream, comments left out. */
async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      return;
    }
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const lines of events) {
      const field = (name) =>
        lines
          .split("\n")
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const data = field("data");
      if (data !== undefined) {
        yield { name: field("event"), data };
      }
    }
  }
}
