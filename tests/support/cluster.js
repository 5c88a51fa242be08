#!/usr/bin/env node
// Several brokers, linked by Redis and behind a load balancer, that look like one `hubbub dev`: same command line, same
// start-up lines, same end. Each request and each WebSocket goes to any node. With HUBBUB=<this file> every suite that
// starts `hubbub dev` runs over many nodes instead.
//
// Environment: HUBBUB_BINARY the program (target/release/hubbub); NODES (3) how many brokers; REDIS one server (`single`),
// a Redis Cluster of three (`cluster`), or none (`off`); SEED repeats the balancer's choices.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Balancer } from "./cluster/balancer.js";
import { makeCertificate } from "./cluster/certificate.js";
import { addressOf, readFlags } from "./cluster/flags.js";
import { Program } from "./cluster/program.js";
import { randomOf } from "./cluster/random.js";
import { startRedis, startRedisCluster } from "./cluster/redis.js";

const BINARY = process.env.HUBBUB_BINARY ?? fileURLToPath(new URL("../../target/release/hubbub", import.meta.url));
const NODES = Number(process.env.NODES ?? 3);
const REDIS = process.env.REDIS ?? "single";
const SEED = process.env.SEED ?? String(Math.floor(Math.random() * 1e9));

const READY_WITHIN_MS = 15_000;
const LOOK_MS = 50;
const PARENT_LOOK_MS = 1000;

const programs = { redis: [], brokers: [] };
let balancer;
let directory;
let ending;

/** Ends everything, once, and then this process. */
function end(fault) {
  ending ??= (async () => {
    if (fault !== undefined) {
      process.stderr.write(`error: ${fault}\n`);
    }
    const faults = fault === undefined ? [] : [fault];
    const stop = async (program) => {
      const how = await program.stop();
      if (how !== "status 0") {
        faults.push(`${program.name}: ${how}`);
        process.stderr.write(`error: ${program.name}: ${how}\n`);
      }
    };
    await Promise.all(programs.brokers.map(stop));
    balancer?.close();
    await Promise.all(programs.redis.map(stop));
    if (directory !== undefined) {
      await rm(directory, { recursive: true, force: true });
    }
    process.exit(faults.length === 0 ? 0 : 1);
  })();
}

// However this process ends, nothing that it started goes on.
process.on("exit", () => [...programs.brokers, ...programs.redis].forEach((program) => program.kill()));
process.on("uncaughtException", (error) => end(error.stack));

/** The start-up lines of `hubbub dev`, as far as a broker has them. */
function say(label, value) {
  process.stdout.write(`${label.padEnd(26)}${value}\n`);
}

async function startBroker(number, flags) {
  const id = `n${number}`;
  const own = ["--node-id", id, "--listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0"];
  const log = ["--log-level", "info", "--log-format", "json"];
  const program = new Program(id, BINARY, ["broker", ...own, ...log, ...flags], { onLost: end });
  programs.brokers.push(program);
  const listening = program.line((line) => {
    const entry = line.startsWith("{") ? JSON.parse(line) : {};
    return entry.message === "listening" ? entry : undefined;
  }, "its addresses");
  const entry = await Promise.race([listening, program.ended.then(() => undefined)]);
  if (entry === undefined) {
    throw new Error(`${id} did not start`);
  }
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await isReady(entry.operations))) {
    if (Date.now() > deadline) {
      throw new Error(`${id} was not ready in time`);
    }
    await delay(LOOK_MS);
  }
  return { id, operations: entry.operations, ...addressOf(entry.listen) };
}

async function isReady(operations) {
  const answer = await fetch(`http://${operations}/health/ready`).catch(() => undefined);
  await answer?.text();
  return answer?.status === 200;
}

async function start() {
  const { kept, accessKey, passed } = readFlags(process.argv.slice(2));
  directory = await mkdtemp(join(tmpdir(), "hubbub-cluster-"));
  process.stderr.write(`cluster: NODES=${NODES} REDIS=${REDIS} SEED=${SEED}\n`);

  const starters = { single: startRedis, cluster: startRedisCluster, off: async () => [] };
  const urls = await starters[REDIS](directory, end, programs.redis);
  const links = urls.flatMap((url) => ["--redis", url]);
  const flags = [...passed, ...links, "--trusted-proxy", "127.0.0.1"];
  const numbers = Array.from({ length: NODES }, (_, index) => index + 1);
  const nodes = await Promise.all(numbers.map((number) => startBroker(number, flags)));

  balancer = new Balancer(nodes, randomOf(SEED));
  const listen = addressOf(kept.listen, "127.0.0.1:8080");
  const tlsListen = addressOf(kept["tls-listen"], "127.0.0.1:8443");
  const port = await balancer.listen(listen);
  say("Connection string:", `Endpoint=http://${listen.host}:${port};AccessKey=${accessKey};Version=1.0;`);
  if (tlsListen !== undefined) {
    const certificate = await makeCertificate(directory);
    const port = await balancer.listen(tlsListen, certificate);
    say("Connection string (TLS):", `Endpoint=https://localhost:${port};AccessKey=${accessKey};Version=1.0;`);
    say("Certificate authority:", certificate.authority);
  }
  for (const { id, operations } of nodes) {
    say("Operations:", `http://${operations}   (node ${id})`);
  }
  process.stdout.write("Ready.\n");
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => (ending === undefined ? end() : process.exit(1)));
}
// Whoever started this may be killed; nothing shall outlive it.
const parent = process.ppid;
setInterval(() => process.ppid === parent || end("the process that started the cluster is gone"), PARENT_LOOK_MS).unref();

try {
  await start();
} catch (error) {
  end(error.message);
}
