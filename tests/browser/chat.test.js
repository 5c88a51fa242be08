// examples/chat, seen by tabs of a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchChromium } from "./chromium.js";
import { eventually } from "./eventually.js";
import { startPair } from "./pair.js";

const SECOND_KEY = "the-second-key-of-this-test-is-long-enough-0123456789";

let browser;

before(async () => {
  browser = await launchChromium();
});

after(() => browser?.close());

test("everybody reads lines with names, and the sender alone the answer", async (t) => {
  const pair = await startPair(t, { name: "chat", browser });
  const ann = await entered(pair, "Ann");
  await reads(ann, ["[System] Ann has joined."]);
  const zoe = await entered(pair, "Zoë");
  await reads(zoe, ["[System] Zoë has joined."]);
  await reads(ann, ["[System] Ann has joined.", "[System] Zoë has joined."]);

  await say(ann, "hello <b>all</b>");
  await reads(zoe, ["[System] Zoë has joined.", "[Ann] hello <b>all</b>"]);
  await ann.getByText("Your first line was sent.").waitFor();
  await say(ann, "is it late?");
  await ann.getByText("2 lines of yours were sent.").waitFor();
  await say(zoe, "not yet");
  await zoe.getByText("Your first line was sent.").waitFor();

  const said = ["[Ann] hello <b>all</b>", "[Ann] is it late?", "[Zoë] not yet"];
  await reads(zoe, ["[System] Zoë has joined.", ...said, "Your first line was sent."]);
  const answers = ["Your first line was sent.", "2 lines of yours were sent."];
  await reads(ann, ["[System] Ann has joined.", "[System] Zoë has joined.", ...said, ...answers]);
});

test("who leaves or closes the tab is said to have left", async (t) => {
  const pair = await startPair(t, { name: "chat", browser });
  const [ann, bob, cem] = [await entered(pair, "Ann"), await entered(pair, "Bob"), await entered(pair, "Cem")];
  await ann.getByText("[System] Cem has joined.").waitFor();

  await bob.getByRole("button", { name: "Leave" }).click();
  await bob.getByText("You have left.").waitFor();
  await ann.getByText("[System] Bob has left.").waitFor();
  await cem.close();
  await ann.getByText("[System] Cem has left.").waitFor();
});

test("the page says that a name was refused, and another one may be chosen", async (t) => {
  const pair = await startPair(t, { name: "chat", browser });
  const ann = await entered(pair, "Ann");
  const tab = await pair.openTab();
  for (const name of ["", "  ", "system", "a]b", "x".repeat(33)]) {
    await enter(tab, name);
    await tab.getByRole("status").getByText("You were not let in.").waitFor();
  }
  await enter(tab, " Bob ");
  await tab.getByRole("status").getByText("You are here as Bob.").waitFor();
  await reads(ann, ["[System] Ann has joined.", "[System] Bob has joined."]);
});

test("a line that is blank or too long is answered and goes to nobody", async (t) => {
  const pair = await startPair(t, { name: "chat", browser });
  const [ann, bob] = [await entered(pair, "Ann"), await entered(pair, "Bob")];
  await ann.getByText("[System] Bob has joined.").waitFor();
  await say(bob, " ");
  await say(bob, "x".repeat(501));
  await eventually(() => bob.getByText("Nobody got this").count(), 2);
  await say(bob, "now it fits");
  await reads(ann, ["[System] Ann has joined.", "[System] Bob has joined.", "[Bob] now it fits"]);
});

test("an application that has only the second key accepts what is signed with both", async (t) => {
  const pair = await startPair(t, {
    name: "chat",
    browser,
    flags: ["--secondary-key", SECOND_KEY],
    rewrite: (connectionString) => connectionString.replace(/AccessKey=[^;]+/, `AccessKey=${SECOND_KEY}`),
  });
  const ann = await entered(pair, "Ann");
  await say(ann, "hello");
  await ann.getByText("[Ann] hello").waitFor();
  await ann.getByText("Your first line was sent.").waitFor();
});

test("an application that gets a wrong code lets nobody in", async (t) => {
  const pair = await startPair(t, { name: "chat", browser, environment: { EVENT_CODE: "another" } });
  const tab = await pair.openTab();
  await enter(tab, "Ann");
  await tab.getByRole("status").getByText("You were not let in.").waitFor();
  assert.equal(await tab.getByLabel("Your line").isVisible(), false);
});

async function entered(pair, name) {
  const tab = await pair.openTab();
  await enter(tab, name);
  await tab.getByRole("status").getByText(`You are here as ${name}.`).waitFor();
  return tab;
}

async function enter(tab, name) {
  await tab.getByLabel("Your name").fill(name);
  await tab.getByRole("button", { name: "Enter" }).click();
}

async function say(tab, line) {
  await tab.getByLabel("Your line").fill(line);
  await tab.getByRole("button", { name: "Send" }).click();
}

/** Waits until the tab shows these lines. An answer and the line that it answers may change places. */
function reads(tab, lines) {
  const read = async () => (await tab.getByRole("log").getByRole("listitem").allTextContents()).sort();
  return eventually(read, [...lines].sort());
}
