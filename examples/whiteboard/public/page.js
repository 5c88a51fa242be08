// The page: what is drawn goes to the application, which keeps it, and then to everybody else.

import { Connection } from "./connection.js";
import { Drawing } from "./drawing.js";
import { isShape } from "./shape.js";

const GROUP = "draw";

const status = document.querySelector("#status");
const error = document.querySelector("#error");
const people = document.querySelector("#people");
const color = document.querySelector("#color");

const drawing = new Drawing(document.querySelector("#board"), () => color.value, keep);
/** Shapes that the application has not confirmed yet, by id. */
const unconfirmed = new Map();
/** Shapes of this edition of the board that are known to be on it, by id. */
const known = new Set();
let edition = 0;

const connection = new Connection({ connected, failed, message });

document.querySelector("#clear").addEventListener("click", () => attempt("The board was not cleared", "clear"));

function connected() {
  show("connected", "Connected: draw with the pointer.");
  attempt("The board could not be read", "board");
}

function failed(reason) {
  show("failed", reason);
  people.textContent = "";
}

/** Has the application keep a shape. Only then it goes to the others, so that nobody who comes late can miss it. */
async function keep(shape) {
  unconfirmed.set(shape.id, shape);
  await attempt("Your last line was not kept", "add", shape);
  unconfirmed.delete(shape.id);
  drawing.keepOnly(visible());
}

function message(data) {
  switch (data?.kind) {
    case "people":
      people.textContent = data.count === 1 ? "1 person" : `${Number(data.count)} people`;
      break;
    case "board":
      turnTo(data.edition);
      data.shapes.forEach(add);
      break;
    case "kept":
      confirm(data);
      break;
    case "shape":
      // It may have been on its way while the board was cleared.
      if (turnTo(data.edition)) {
        add(data.shape);
      }
      break;
    case "cleared":
      turnTo(data.edition);
      break;
  }
}

function confirm({ edition, id }) {
  const shape = unconfirmed.get(id);
  if (shape && turnTo(edition)) {
    known.add(id);
    connection.sendToGroup(GROUP, { kind: "shape", edition, shape });
  }
}

/** Starts a clean board when this edition is newer than ours. False for one that has been cleared. */
function turnTo(other) {
  if (!Number.isSafeInteger(other) || other < edition) {
    return false;
  }
  if (other > edition) {
    edition = other;
    known.clear();
    drawing.keepOnly(visible());
  }
  return true;
}

function add(shape) {
  if (isShape(shape)) {
    known.add(shape.id);
    drawing.show(shape);
  }
}

function visible() {
  return new Set([...known, ...unconfirmed.keys()]);
}

/** Raises an event; what goes wrong is shown after `trouble`. */
async function attempt(trouble, event, data) {
  try {
    await connection.raise(event, data);
    error.textContent = "";
  } catch (failure) {
    error.textContent = `${trouble}. ${failure.message}`;
  }
}

function show(state, text) {
  status.dataset.state = state;
  status.textContent = text;
}
