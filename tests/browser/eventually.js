// Waiting for what a page shows.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

const WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 50;

/**
 * Looks until `read` gives what is expected.
 *
 * @param {() => Promise<unknown>} read
 * @param {unknown} expected
 * @throws {assert.AssertionError} with the last difference, after 15 seconds
 */
export async function eventually(read, expected) {
  const deadline = Date.now() + WITHIN_MS;
  for (;;) {
    const seen = await read();
    try {
      assert.deepEqual(seen, expected);
      return;
    } catch (difference) {
      if (Date.now() > deadline) {
        throw difference;
      }
    }
    await pause(LOOK_EVERY_MS);
  }
}
