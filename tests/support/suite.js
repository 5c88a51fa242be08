// Runs the test files of one JavaScript suite in child processes beside one server. A child is
// needed because Node reads NODE_EXTRA_CA_CERTS only when it starts, and the authority exists only
// once the server does. Called by the `run.js` of each suite.

import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { startServer } from "./server.js";

/**
 * Starts a server, runs every `*.test.js` of the suite's folder with `node --test`, stops the
 * server, and sets this process's exit code.
 *
 * @param {object} suite
 * @param {string} suite.home `import.meta.url` of the caller
 * @param {string[]} [suite.flags] further flags of `hubbub dev`
 * @param {Record<string, string>} [suite.environment] further variables for the tests
 */
export async function runSuite({ home, flags = [], environment = {} }) {
  const folder = fileURLToPath(new URL(".", home));
  const named = process.argv.slice(2);
  const files = named.length > 0 ? named : (await readdir(folder)).filter((name) => name.endsWith(".test.js")).sort();

  let server;
  try {
    server = await startServer(flags);
    process.exitCode = await runTests(folder, files, {
      ...environment,
      HUBBUB_CONNECTION_STRING: server.connectionString,
      HUBBUB_TLS_CONNECTION_STRING: server.tlsConnectionString,
      NODE_EXTRA_CA_CERTS: server.certificateAuthority,
    });
    await server.stop();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}

function runTests(folder, files, environment) {
  // A client of the SDK that was stopped goes on trying to come back for half a minute, which nobody waits for.
  const runner = ["--test", "--test-force-exit", "--test-reporter=spec", ...files];
  const child = spawn(process.execPath, runner, {
    cwd: folder,
    stdio: "inherit",
    env: { ...process.env, ...environment },
  });
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => child.kill(signal));
  }
  return new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
}
