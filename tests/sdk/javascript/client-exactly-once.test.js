// Clients of `@azure/web-pubsub-client` without options, on reliable JSON, behind a network that kills, half-closes,
// stalls and delays their sockets at random: whatever is published, each member of a group sees it once and in the
// order of its publisher.
//
// In the end there must have been faults of each kind, and clients that came back from them.
//
// MESSAGES is how many are published in all; FAULT_SEED replays the faults of an earlier run, as far as the timing is
// the same.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { WebPubSubClient } from "@azure/web-pubsub-client";
import { inTime } from "../../support/inbox.js";
import { ENDS, faults, KINDS, seedOfRun } from "./support/faults.js";
import { Hub, HTTP } from "./support/hub.js";
import { Backlog, room } from "./support/pace.js";
import { Proxy } from "./support/proxy.js";

const MESSAGES = Number(process.env.MESSAGES ?? 50_000);
const GROUPS = 48;
/** Clients that publish; each second one is behind the proxy. */
const CLIENT_PUBLISHERS = 22;
/** Callers of the service API that publish. */
const SERVICE_PUBLISHERS = 2;
const PUBLISHERS = CLIENT_PUBLISHERS + SERVICE_PUBLISHERS;
/** Each publisher sends to so many groups, in turn. Over a Redis Cluster there is an order for each group alone. */
const GROUPS_OF_PUBLISHER = process.env.REDIS === "cluster" ? 1 : 4;
/** Messages that a publisher sends before it looks what became of them. */
const BATCH = 20;
/** Milliseconds without any message after which nothing more is expected. */
const PATIENCE = 40_000;
/** A run of no more messages than this is too short to judge its faults. */
const TOO_SHORT = 10_000;
/** Messages beyond that in whose time at least one link is ended, and another client comes back, until all have. */
const MESSAGES_PER_END = 600;

/** How many messages each publisher sends, numbered from 0. */
const SHARE = Math.ceil(MESSAGES / PUBLISHERS);
/** Between the first groups of a publisher and of the next one; so each group has publishers of several kinds. */
const STRIDE = Math.floor(GROUPS / PUBLISHERS);

const groupName = (group) => `group-${group}`;
const groupOf = (publisher, number) => (publisher * STRIDE + (number % GROUPS_OF_PUBLISHER)) % GROUPS;

test(`${MESSAGES} messages through a faulty network arrive once each and in order`, async (t) => {
  const seed = seedOfRun();
  t.diagnostic(`FAULT_SEED=${seed} MESSAGES=${MESSAGES}`);
  const run = new Run();
  const proxy = await Proxy.start(HTTP);
  t.after(() => proxy.close());
  const near = Hub.for(t, HTTP);
  const far = Hub.for(t, proxy.transport, near.name);

  const receivers = await all(GROUPS, (index) => Receiver.start(run, far, index));
  const publishers = [
    ...(await all(CLIENT_PUBLISHERS, (index) => startPublisher(run, index % 2 === 0 ? far : near, index))),
    ...Array.from({ length: SERVICE_PUBLISHERS }, () => serviceSender(near)),
  ];
  const suffering = proxy.suffer(faults(seed), () => run.isOver);
  const publishing = publishers.map((send, publisher) => publish(run, receivers, publisher, send));
  await Promise.all([run.complete(receivers), ...publishing]);
  await suffering;

  // What would come once more comes before this.
  await near.service.sendToAll("the end", { contentType: "text/plain" });
  await inTime(Promise.all(receivers.map((receiver) => receiver.end)), "the end", PATIENCE);
  assert.equal(run.failure, undefined);
  const recoveries = run.clients.filter(({ hub }) => hub === far).map(({ client }) => client.recoveries);
  t.diagnostic(`faults: ${JSON.stringify(proxy.counts)}, recoveries of each client behind the proxy: ${recoveries}`);
  expectTrouble(proxy.counts, recoveries);
});

/**
 * There were faults of each kind, many of them ended a link, and each client behind the proxy has come back; or some of
 * them have, if fewer messages were published.
 */
function expectTrouble(counts, recoveries) {
  if (MESSAGES <= TOO_SHORT) {
    return;
  }
  const expectAtLeast = (least, count, what) => assert.ok(count >= least, `only ${count} ${what}, not ${least}`);
  for (const kind of KINDS) {
    expectAtLeast(1, counts[kind], `faults of kind ${kind}`);
  }
  const least = Math.floor((MESSAGES - TOO_SHORT) / MESSAGES_PER_END);
  expectAtLeast(least, ENDS.reduce((sum, kind) => sum + counts[kind], 0), "links that were ended");
  const returned = recoveries.filter((count) => count > 0).length;
  expectAtLeast(Math.min(least, recoveries.length), returned, "clients that came back");
}

/** How it goes: the first failure ends it. */
class Run {
  isOver = false;
  failure;
  /** Those that were started, each with its hub. */
  clients = [];
  #lastMessage = performance.now();

  fail(why) {
    this.failure ??= why;
    this.isOver = true;
  }

  heard() {
    this.#lastMessage = performance.now();
  }

  /** Waits until all receivers have all messages, or something has failed. */
  async complete(receivers) {
    for (;;) {
      assert.equal(this.failure, undefined);
      const missing = receivers.filter((receiver) => !receiver.hasAll);
      if (missing.length === 0) {
        this.isOver = true;
        return;
      }
      if (performance.now() - this.#lastMessage > PATIENCE) {
        this.fail(`nothing came for ${PATIENCE} ms; ${missing.map((receiver) => receiver.missing()).join("; ")}`);
      }
      await delay(50);
    }
  }
}

/** A client behind the proxy that is in two groups and checks what comes. */
class Receiver {
  backlog = new Backlog();

  constructor(run, index) {
    this.run = run;
    this.name = `receiver ${index}`;
    this.groups = [index, (index + 1) % GROUPS];
    this.expected = Array.from({ length: PUBLISHERS }, (_, publisher) => this.#following(publisher, -1));
    this.remaining = this.expected.filter((number) => number < SHARE).length;
  }

  static async start(run, hub, index) {
    const receiver = new Receiver(run, index);
    const { client, connected } = await startClient(run, hub, receiver, {
      userId: receiver.name,
      groups: receiver.groups.map(groupName),
    });
    client.on("group-message", ({ message }) => receiver.#take(message.data));
    receiver.end = new Promise((resolve) => client.on("server-message", resolve));
    await connected;
    return receiver;
  }

  get hasAll() {
    return this.remaining === 0;
  }

  missing() {
    const due = this.expected.map((number, publisher) => [publisher, number]).filter(([, number]) => number < SHARE);
    return `${this.name} waits for ${due.map(([publisher, number]) => `${number} of publisher ${publisher}`).join(", ")}`;
  }

  #take({ publisher, number }) {
    this.run.heard();
    this.backlog.received();
    const due = this.expected[publisher];
    if (number !== due) {
      const fault = number < due ? "again or too late" : `before ${due}`;
      this.run.fail(`${this.name} received number ${number} of publisher ${publisher} ${fault}`);
      return;
    }
    this.expected[publisher] = this.#following(publisher, number);
    if (this.expected[publisher] >= SHARE) {
      this.remaining -= 1;
    }
  }

  /** The number that comes after `number` from this publisher. */
  #following(publisher, number) {
    do {
      number += 1;
    } while (number < SHARE && !this.groups.includes(groupOf(publisher, number)));
    return number;
  }
}

/** The package's client, which counts here how often it has come back. */
class CountingClient extends WebPubSubClient {
  recoveries = 0;

  async _connectCore(url) {
    await super._connectCore(url);
    if (new URL(url).searchParams.has("awps_connection_id")) {
      this.recoveries += 1;
    }
  }
}

/** A started client. If it ever has to begin anew under another id, the run has failed. */
async function startClient(run, hub, { name, backlog }, token) {
  const client = new CountingClient(await hub.clientUrl(token), { messageRetryOptions: { maxRetries: 0 } });
  run.clients.push({ client, hub });
  hub.closeAtEnd({ close: () => client.stop() });
  const connected = new Promise((resolve) => client.on("connected", resolve));
  client.on("disconnected", ({ connectionId, message }) => {
    const { code, reason } = client._lastCloseEvent ?? {};
    run.fail(
      `${name} lost its connection ${connectionId} for good: its socket was closed last with ${code} "${reason}", ` +
        `the server said "${message?.message}", ${backlog?.unsettled ?? 0} messages were not settled`,
    );
  });
  await client.start();
  return { client, connected };
}

/** Starts a client that publishes; gives what sends a batch. */
async function startPublisher(run, hub, index) {
  const roles = ["webpubsub.sendToGroup"];
  const { client, connected } = await startClient(run, hub, { name: `publisher ${index}` }, { roles });
  await connected;
  return (batch) => sendUntilTaken(run, client, batch);
}

/**
 * Sends messages in order, each under an ack id of its own, until the server has answered all of them: it knows a
 * repetition by that id. What it has answered is always a first part of what was sent.
 */
async function sendUntilTaken(run, client, batch) {
  while (batch.length > 0 && !run.isOver) {
    const sent = batch.map(({ group, data }) =>
      client.sendToGroup(group, data, "json", { ackId: data.number + 1, noEcho: true }),
    );
    const outcomes = await Promise.allSettled(sent);
    const refused = outcomes.find(({ reason }) => reason?.errorDetail);
    assert.equal(refused, undefined);
    const taken = outcomes.findIndex(({ status }) => status === "rejected");
    batch = taken < 0 ? [] : batch.slice(taken);
    if (batch.length > 0) {
      await delay(20);
    }
  }
}

function serviceSender(hub) {
  return async (batch) => {
    for (const { group, data } of batch) {
      await hub.service.group(group).sendToAll(data);
    }
  };
}

/** Publishes what is one publisher's share, as fast as the receivers allow. */
async function publish(run, receivers, publisher, send) {
  for (let from = 0; from < SHARE && !run.isOver; from += BATCH) {
    const numbers = Array.from({ length: Math.min(BATCH, SHARE - from) }, (_, index) => from + index);
    const reached = (number) => receivers.filter(({ groups }) => groups.includes(groupOf(publisher, number)));
    const affected = [...new Set(numbers.slice(0, GROUPS_OF_PUBLISHER).flatMap(reached))];
    await room(affected, BATCH, () => run.isOver);
    numbers.flatMap(reached).forEach((receiver) => receiver.backlog.published());
    await send(
      numbers.map((number) => ({ group: groupName(groupOf(publisher, number)), data: { publisher, number } })),
    );
  }
}

function all(count, start) {
  return Promise.all(Array.from({ length: count }, (_, index) => start(index)));
}
