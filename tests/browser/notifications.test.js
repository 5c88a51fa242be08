// examples/notifications, seen by two tabs of a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchChromium } from "./chromium.js";
import { startExample } from "./example.js";

const CONNECTION_STRING = process.env.HUBBUB_CONNECTION_STRING;

let browser;

before(async () => {
  browser = await launchChromium();
});

after(() => browser?.close());

test("what is posted to /broadcast appears in every open tab", async (t) => {
  const example = await opened(t, CONNECTION_STRING);
  const tabs = [await example.openTab(), await example.openTab()];
  await Promise.all(tabs.map((tab) => tab.waitForSelector("#status[data-state=connected]")));

  const text = "The build is green: <b>1 & 2</b> ✓";
  const response = await post(example.url, { text });
  assert.equal(response.status, 202);
  for (const tab of tabs) {
    await tab.waitForSelector("#notifications li");
    assert.deepEqual(await tab.locator("#notifications li span").allTextContents(), [text]);
  }
});

test("what is written in one tab appears in both", async (t) => {
  const example = await opened(t, CONNECTION_STRING);
  const tabs = [await example.openTab(), await example.openTab()];
  await Promise.all(tabs.map((tab) => tab.waitForSelector("#status[data-state=connected]")));

  await tabs[0].getByLabel("Tell everyone").fill("Lunch is ready");
  await tabs[0].getByRole("button", { name: "Send" }).click();
  for (const tab of tabs) {
    await tab.getByRole("log").getByText("Lunch is ready").waitFor();
  }
  // The notification may be there before the answer to the call that empties the field.
  await tabs[0].waitForFunction(() => document.querySelector("#broadcast").elements.text.value === "");
});

test("with a wrong key the page says that it cannot connect and cannot send", async (t) => {
  const wrong = CONNECTION_STRING.replace(/AccessKey=[^;]+/, "AccessKey=a-key-that-this-server-has-never-seen-99");
  const example = await opened(t, wrong);
  const tab = await example.openTab();
  await tab.getByRole("status").getByText("The Hubbub server refused the connection.").waitFor();

  await tab.getByLabel("Tell everyone").fill("Nobody will read this");
  await tab.getByRole("button", { name: "Send" }).click();
  await tab.getByRole("alert").getByText("did not accept the call (401)").waitFor();
  assert.equal(await tab.getByLabel("Tell everyone").inputValue(), "Nobody will read this");
  assert.equal((await post(example.url, { text: "nor this" })).status, 502);
});

test("a notification that is blank, too long or no text is refused", async (t) => {
  const example = await opened(t, CONNECTION_STRING);
  for (const body of [{ text: " " }, { text: "x".repeat(501) }, { text: 1 }, {}]) {
    assert.equal((await post(example.url, body)).status, 400);
  }
});

/** The example beside the server of `connectionString`, closed with its tabs when the test ends. */
async function opened(t, connectionString) {
  const { url, stop } = await startExample("notifications", connectionString);
  const context = await browser.newContext();
  context.setDefaultTimeout(15_000);
  t.after(async () => {
    await context.close();
    await stop();
  });
  const openTab = async () => {
    const tab = await context.newPage();
    await tab.goto(url);
    return tab;
  };
  return { url, openTab };
}

function post(url, body) {
  return fetch(`${url}/broadcast`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}
