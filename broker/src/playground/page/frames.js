// The log of one client: every frame that it sent and received, newest last.

import { BoundedList, clock, element } from "./dom.js";
import { toHex } from "./server.js";
import { kindOfMessage } from "./words.js";

const MOST_ROWS = 500;
const MOST_CHARACTERS = 16_384;
const MOST_BYTES = 2_048;

const DIRECTIONS = { sent: "↑", received: "↓", note: "·", failed: "!" };

export class FrameLog {
  #rows = [];
  #list;
  #speaksJson;
  #pretty = false;

  constructor(list, speaksJson) {
    this.#speaksJson = speaksJson;
    this.#list = new BoundedList(list, MOST_ROWS, (row) => this.#render(row));
  }

  /** A frame in `direction`, "sent" or "received"; `content` is a string or bytes. */
  frame(direction, content) {
    const isText = typeof content === "string";
    const kind = isText ? (this.#speaksJson ? kindOfMessage(content) : "text") : `binary, ${content.length} bytes`;
    // A frame may be a megabyte, and there are many rows.
    const text = isText ? cut(content, MOST_CHARACTERS) : toHex(content.subarray(0, MOST_BYTES));
    const isCut = !isText && content.length > MOST_BYTES;
    this.#add({ direction, kind, text: isCut ? `${text} …` : text });
  }

  /** Something that happened to the client, as "note" or "failed". */
  happened(sort, text) {
    this.#add({ direction: sort, kind: text });
  }

  set pretty(isPretty) {
    this.#pretty = isPretty;
    this.#list.replace(this.#rows);
  }

  clear() {
    this.#rows = [];
    this.#list.replace([]);
  }

  #add(row) {
    row.time = Date.now();
    this.#rows.push(row);
    if (this.#rows.length > MOST_ROWS) {
      this.#rows.shift();
    }
    this.#list.add(row);
  }

  #render({ direction, kind, text, time }) {
    const row = element(
      "li",
      { className: direction },
      element("time", {}, clock(time)),
      element("span", { className: "direction", title: direction }, DIRECTIONS[direction]),
      element("span", { className: "kind" }, kind),
    );
    if (text !== undefined) {
      row.append(element("pre", {}, this.#pretty ? prettily(text) : text));
    }
    return row;
  }
}

function prettily(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most)} … (${text.length} characters)` : text;
}
