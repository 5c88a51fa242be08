// Redis for a cluster of brokers: one server, or a Redis Cluster of three, with nothing kept on disk.

import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { inTime } from "../inbox.js";
import { Program } from "./program.js";

const SLOTS = 16384;
const SERVERS = 3;
const READY_WITHIN_MS = 10_000;
const LOOK_MS = 50;

/**
 * Starts one server.
 *
 * @param {string} directory for its files
 * @param {(fault: string) => void} onLost called when it ends by itself
 * @param {Program[]} programs gets it as soon as it is started
 * @returns {Promise<string[]>} its URL
 */
export async function startRedis(directory, onLost, programs) {
  const { url } = await startServer("redis", [], { directory, onLost, programs });
  return [url];
}

/** Starts a Redis Cluster of three without replicas in the same way. */
export async function startRedisCluster(directory, onLost, programs) {
  const servers = [];
  for (let number = 1; number <= SERVERS; number += 1) {
    const bus = await freePort();
    const flags = ["--cluster-enabled", "yes", "--cluster-port", String(bus), "--cluster-node-timeout", "2000"];
    servers.push({ ...(await startServer(`redis-${number}`, flags, { directory, onLost, programs })), bus });
  }
  const [first] = servers;
  for (const [index, { port, bus }] of servers.entries()) {
    const from = Math.floor((index * SLOTS) / SERVERS);
    const to = Math.floor(((index + 1) * SLOTS) / SERVERS) - 1;
    await ask(port, `CLUSTER ADDSLOTSRANGE ${from} ${to}`, "+OK");
    if (port !== first.port) {
      await ask(first.port, `CLUSTER MEET 127.0.0.1 ${port} ${bus}`, "+OK");
    }
  }
  for (const { port } of servers) {
    await eventually(`a Redis Cluster at port ${port}`, async () => {
      const info = await ask(port, "CLUSTER INFO", "$");
      return info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${SERVERS}`);
    });
  }
  return servers.map(({ url }) => url);
}

async function startServer(name, flags, { directory, onLost, programs }) {
  const home = join(directory, name);
  await mkdir(home);
  const port = await freePort();
  const usual = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", home];
  programs.push(new Program(name, "redis-server", [...usual, ...flags], { onLost }));
  await eventually(`an answer of ${name}`, () => ask(port, "PING", "+PONG").then(Boolean, () => false));
  return { port, url: `redis://127.0.0.1:${port}` };
}

/** A port that nobody listens on. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The beginning of the answer to a command, which must begin with `expected`. */
async function ask(port, command, expected) {
  const socket = connect(port, "127.0.0.1");
  try {
    socket.write(`${command}\r\n`);
    const [answer] = await inTime(once(socket, "data"), `the answer of Redis to ${command}`);
    if (!answer.toString().startsWith(expected)) {
      throw new Error(`Redis answers ${command} with ${answer}`);
    }
    return answer.toString();
  } finally {
    socket.destroy();
  }
}

async function eventually(what, look) {
  const end = Date.now() + READY_WITHIN_MS;
  while (!(await look())) {
    if (Date.now() > end) {
      throw new Error(`waited ${READY_WITHIN_MS} ms in vain for ${what}`);
    }
    await delay(LOOK_MS);
  }
}
