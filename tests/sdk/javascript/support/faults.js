// What goes wrong on a network and when, as a sequence that a seed determines. Called by the proxy, which acts it out.

import { createHash } from "node:crypto";

/** What can happen to one link of a proxy. */
export const KINDS = ["kill", "halfClose", "stall", "delay"];

/** Of which these end a link. */
export const ENDS = ["kill", "halfClose"];

/** Milliseconds between two faults of a proxy. */
const PAUSE = [5, 55];
/** How many of the ends meet the oldest link, 0 to 1, so that all clients soon have their turn. The others meet any. */
const IN_TURN = 0.75;
/** Milliseconds for which nothing passes. Far below the time for which the server keeps a connection. */
const STALL = [100, 1000];
/** Milliseconds that each piece is late, and for how long this lasts. */
const LATENCY = [5, 80];
const LATE_FOR = [200, 1500];

/** The seed of this run: that of FAULT_SEED, by which a failure is replayed, or a new one. */
export function seedOfRun() {
  return process.env.FAULT_SEED ?? String(Math.floor(Math.random() * 1e9));
}

/**
 * An endless sequence of faults:
 * - `after`: milliseconds since the fault before
 * - `inTurn`: whether it meets the oldest link that is due for an end; otherwise
 * - `victim`: which of the links, as a part of all of them, 0 to 1
 * - `kind`: one of KINDS
 * - `direction`: `up` to the server or `down` from it; a `kill` ends both, after something passed in this one
 * - `part`: how much of the next piece still passes a `kill` or a `halfClose`, 0 to 1
 * - `lasting`: milliseconds of a `stall` or a `delay`
 * - `latency`: milliseconds of a `delay` for each piece
 */
export function* faults(seed) {
  let drawn = 0;
  const random = () => createHash("sha256").update(`${seed}/${drawn++}`).digest().readUInt32BE() / 2 ** 32;
  const between = ([low, high]) => low + random() * (high - low);
  for (;;) {
    const kind = KINDS[Math.floor(random() * KINDS.length)];
    yield {
      after: between(PAUSE),
      inTurn: ENDS.includes(kind) && random() < IN_TURN,
      victim: random(),
      kind,
      direction: random() < 0.5 ? "up" : "down",
      part: random(),
      lasting: between(kind === "stall" ? STALL : LATE_FOR),
      latency: between(LATENCY),
    };
  }
}
