// examples/whiteboard, seen by tabs of a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Crowd } from "../../examples/whiteboard/crowd.js";
import { launchChromium } from "./chromium.js";
import { eventually } from "./eventually.js";
import { startPair } from "./pair.js";

let browser;

before(async () => {
  browser = await launchChromium();
});

after(() => browser?.close());

test("a line drawn in one tab appears in the other, after a reload, and to those who come late", async (t) => {
  const pair = await startPair(t, { name: "whiteboard", browser });
  const tabs = [await pair.openTab(), await pair.openTab()];
  await Promise.all(tabs.map((tab) => shows(tab, "2 people")));

  await tabs[0].getByLabel("Color").fill("#c01c28");
  await draw(tabs[0], [[50, 40], [120, 90], [60, 200]]);
  await tabs[1].locator("#board polyline").waitFor();
  const [line] = await lines(tabs[0]);
  assert.equal(line.color, "#c01c28");
  assert.equal(line.points.length, 6);
  assert.deepEqual(await lines(tabs[1]), [line]);

  await draw(tabs[1], [[300, 300]]);
  await eventually(async () => (await lines(tabs[0])).length, 2);
  const both = await lines(tabs[0]);
  await tabs[1].reload();
  await eventually(() => lines(tabs[1]), both);
  const late = await pair.openTab();
  await eventually(() => lines(late), both);
});

test("the number of people follows the tabs that open and close", async (t) => {
  const pair = await startPair(t, { name: "whiteboard", browser });
  const first = await pair.openTab();
  await shows(first, "1 person");
  const second = await pair.openTab();
  await Promise.all([first, second].map((tab) => shows(tab, "2 people")));
  await second.close();
  await shows(first, "1 person");
});

test("clearing the board clears it for everybody, and what is drawn then is seen", async (t) => {
  const pair = await startPair(t, { name: "whiteboard", browser });
  const tabs = [await pair.openTab(), await pair.openTab()];
  await Promise.all(tabs.map((tab) => shows(tab, "2 people")));
  await draw(tabs[0], [[50, 40], [120, 90]]);
  await tabs[1].locator("#board polyline").waitFor();

  await tabs[1].getByRole("button", { name: "Clear the board" }).click();
  await Promise.all(tabs.map((tab) => eventually(() => lines(tab), [])));
  await draw(tabs[0], [[10, 10], [20, 20]]);
  await eventually(async () => (await lines(tabs[1])).length, 1);
  await tabs[0].reload();
  await eventually(async () => (await lines(tabs[0])).length, 1);
});

test("whom the application refuses is told so, and let in when there is room", async (t) => {
  const pair = await startPair(t, { name: "whiteboard", browser, environment: { SEATS: "1" } });
  const first = await pair.openTab();
  await shows(first, "1 person");
  const second = await pair.openTab();
  await second.getByText("You were not let in: the board is full").waitFor();
  assert.equal(await first.locator("#people").textContent(), "1 person");

  await first.close();
  await shows(second, "1 person");
});

test("a client may send to its group alone, and what is no shape is not kept", async (t) => {
  const pair = await startPair(t, { name: "whiteboard", browser });
  const tab = await pair.openTab();
  await shows(tab, "1 person");
  const outcomes = await tab.evaluate(acknowledgements, [
    { type: "sendToGroup", group: "draw", dataType: "text", data: "hello" },
    { type: "sendToGroup", group: "other", dataType: "text", data: "hello" },
    { type: "event", event: "add", dataType: "json", data: { id: "a", color: "url(#x)", points: [1, 1] } },
    { type: "event", event: "add", dataType: "json", data: { id: "a", color: "#000000", points: [1, 1] } },
    { type: "event", event: "unknown", dataType: "text", data: "" },
  ]);
  assert.deepEqual(outcomes, ["success", "Forbidden", "InternalServerError", "success", "InternalServerError"]);
  await tab.reload();
  await eventually(async () => (await lines(tab)).map(({ color }) => color), ["#000000"]);
});

test("whoever has left stays away, even when the event of coming is late or repeated", () => {
  const crowd = new Crowd();
  crowd.arrive("here");
  crowd.leave("early");
  crowd.arrive("early");
  crowd.arrive("twice");
  crowd.leave("twice");
  crowd.leave("twice");
  crowd.arrive("twice");
  assert.equal(crowd.size, 1);
});

/** What each message is acknowledged with. Runs in the page. */
async function acknowledgements(messages) {
  const { url } = await (await fetch("negotiate")).json();
  const socket = new WebSocket(url, "json.webpubsub.azure.v1");
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onclose = reject;
  });
  const outcomes = [];
  const done = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      const { type, ackId, success, error } = JSON.parse(data);
      if (type === "ack") {
        outcomes[ackId] = success ? "success" : error.name;
        if (Object.keys(outcomes).length === messages.length) {
          resolve();
        }
      }
    };
  });
  messages.forEach((message, ackId) => socket.send(JSON.stringify({ ...message, ackId })));
  await done;
  return outcomes;
}

/** Waits until the tab shows how many people are there. */
function shows(tab, people) {
  return eventually(() => tab.locator("#people").textContent(), people);
}

/** Draws a line over these places, counted from the corner of the board in pixels. */
async function draw(tab, [first, ...others]) {
  const { x, y } = await tab.locator("#board").boundingBox();
  await tab.mouse.move(x + first[0], y + first[1]);
  await tab.mouse.down();
  for (const [right, down] of others) {
    await tab.mouse.move(x + right, y + down);
  }
  await tab.mouse.up();
}

function lines(tab) {
  return tab.locator("#board polyline").evaluateAll((elements) =>
    elements.map((element) => ({
      color: element.getAttribute("stroke"),
      points: element.getAttribute("points").split(" ").map(Number),
    })),
  );
}
