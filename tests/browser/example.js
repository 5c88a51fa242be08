// Starts an example of this repository on a free port and stops it again.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const STARTED_WITHIN_MS = 20_000;

/**
 * @param {string} name folder under `examples/`
 * @param {string} connectionString of the server that the example is to use
 * @param {Record<string, string>} [environment] further variables for the example
 * @returns {Promise<{url: string, stop: () => Promise<void>}>} once it printed its address
 */
export async function startExample(name, connectionString, environment = {}) {
  const child = spawn(process.execPath, ["server.js"], {
    cwd: fileURLToPath(new URL(`../../examples/${name}`, import.meta.url)),
    env: { ...process.env, ...environment, PORT: "0", WebPubSubConnectionString: connectionString },
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  let printed = "";
  const url = await new Promise((resolve, reject) => {
    const fail = (what) => reject(new Error(`the example ${name} ${what}:\n${printed}`));
    const timer = setTimeout(fail, STARTED_WITHIN_MS, "did not print its address");
    exited.then(() => fail("ended"));
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => {
        printed += text;
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(printed);
        if (found) {
          clearTimeout(timer);
          resolve(found[0]);
        }
      });
    }
  }).catch((error) => {
    child.kill();
    throw error;
  });
  const stop = async () => {
    child.kill();
    await exited;
  };
  return { url, stop };
}
