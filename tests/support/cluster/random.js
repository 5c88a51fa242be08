// Choices that a seed determines, so that a run can be repeated. Called by the balancer.

import { createHash } from "node:crypto";

/** Gives a function that draws whole numbers from 0 to below `limit`, the same ones for the same seed. */
export function randomOf(seed) {
  let drawn = 0;
  return (limit) => createHash("sha256").update(`${seed}/${drawn++}`).digest().readUInt32BE() % limit;
}
