// examples/presence, seen by tabs of a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Team } from "../../examples/presence/team.js";
import { launchChromium } from "./chromium.js";
import { eventually } from "./eventually.js";
import { startPair } from "./pair.js";

let browser;

before(async () => {
  browser = await launchChromium();
});

after(() => browser?.close());

test("every tab sees who comes and goes", async (t) => {
  const pair = await startPair(t, { name: "presence", browser });
  const ann = await online(pair, "Ann");
  await sees(ann, { Ann: "online", Bob: "away", Chloé: "away" });
  const chloe = await online(pair, "Chloé");
  const expected = { Ann: "online", Bob: "away", Chloé: "online" };
  await Promise.all([ann, chloe].map((tab) => sees(tab, expected)));
  await ann.close();
  await sees(chloe, { Ann: "away", Bob: "away", Chloé: "online" });
});

test("a user with two tabs is online until the last one closes", async (t) => {
  const pair = await startPair(t, { name: "presence", browser });
  const bob = await online(pair, "Bob");
  const [first, second] = [await online(pair, "Ann"), await online(pair, "Ann")];
  await sees(bob, { Ann: "online in 2 tabs", Bob: "online", Chloé: "away" });
  await sees(first, { Ann: "online in 2 tabs", Bob: "online", Chloé: "away" });
  await first.close();
  await sees(bob, { Ann: "online", Bob: "online", Chloé: "away" });
  await second.close();
  await sees(bob, { Ann: "away", Bob: "online", Chloé: "away" });
});

test("whom the application refuses is told so, and nobody sees anything", async (t) => {
  const pair = await startPair(t, { name: "presence", browser });
  const ann = await online(pair, "Ann");
  const tab = await pair.openTab();
  for (const name of ["", "Mallory"]) {
    await come(tab, name);
    await tab.getByRole("status").getByText("You were not let in").waitFor();
    assert.deepEqual(await team(tab), {});
  }
  await come(tab, "Bob");
  await Promise.all([ann, tab].map((each) => sees(each, { Ann: "online", Bob: "online", Chloé: "away" })));
});

test("after a restart the application knows who is still there", async (t) => {
  const pair = await startPair(t, { name: "presence", browser });
  const [ann, other, bob, chloe] = [
    await online(pair, "Ann"),
    await online(pair, "Ann"),
    await online(pair, "Bob"),
    await online(pair, "Chloé"),
  ];
  await sees(ann, { Ann: "online in 2 tabs", Bob: "online", Chloé: "online" });

  await pair.stopExample();
  // Nobody is there who could be told that Chloé leaves.
  await chloe.close();
  await pair.startExample();
  // How many tabs Ann has cannot be known any more.
  await sees(ann, { Ann: "online", Bob: "online", Chloé: "away" });
  await other.close();
  await bob.close();
  await sees(ann, { Ann: "online", Bob: "away", Chloé: "away" });

  const again = await online(pair, "Bob");
  await ann.close();
  await sees(again, { Ann: "away", Bob: "online", Chloé: "away" });
});

test("a connection that has ended stays so, even when the event of its start is late or repeated", () => {
  const team = new Team(["Ann", "Bob"]);
  team.leave("Ann", "early");
  team.arrive("Ann", "early");
  team.arrive("Bob", "here");
  team.arrive("Bob", "here");
  team.arrive("Mallory", "stranger");
  assert.deepEqual(team.list(), [
    { name: "Ann", online: false, tabs: 0 },
    { name: "Bob", online: true, tabs: 1 },
  ]);
});

async function online(pair, name) {
  const tab = await pair.openTab();
  await come(tab, name);
  await tab.getByRole("status").getByText(`You are online as ${name}.`).waitFor();
  return tab;
}

async function come(tab, name) {
  await tab.getByLabel("Your name").fill(name);
  await tab.getByRole("button", { name: "Come online" }).click();
}

/** Waits until the tab shows this for each name. */
function sees(tab, expected) {
  return eventually(() => team(tab), expected);
}

async function team(tab) {
  const rows = tab.getByRole("list", { name: "Team" }).getByRole("listitem");
  return Object.fromEntries(
    await rows.evaluateAll((items) => items.map((item) => [item.firstChild.textContent, item.lastChild.textContent])),
  );
}
