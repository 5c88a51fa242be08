// The playground, used as a person uses it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchChromium } from "./chromium.js";

const ENDPOINT = /Endpoint=([^;]+)/.exec(process.env.HUBBUB_CONNECTION_STRING)[1];
const WRONG_KEY = "a-key-that-this-server-has-never-seen-99";

let browser;

before(async () => {
  browser = await launchChromium();
});

after(() => browser?.close());

test("clients join a group and read what others send to it", async (t) => {
  const page = await opened(t);
  const [ann, bob] = [await connect(page, "ann"), await connect(page, "bob")];
  await join(ann, "a1");
  await join(bob, "a1");
  await say(ann, "Hello <b>Bob</b> ✓");
  await frame(bob, "message in a1 from ann").getByText("Hello <b>Bob</b> ✓").waitFor();
  // The publisher is a member, and its ack says that all is done.
  await frame(ann, "message in a1 from ann").waitFor();
  await frame(ann, "ack 2").waitFor();

  await ann.getByLabel("No echo").check();
  await say(ann, "to others alone");
  await frame(ann, "ack 3").waitFor();
  assert.equal(await frames(ann).filter({ hasText: /^.*message in.*to others alone/s }).count(), 0);

  await bob.getByRole("button", { name: "Leave" }).click();
  await frame(bob, "ack 2").waitFor();
  await ann.getByLabel("Data type").selectOption("json");
  await say(ann, "not json");
  await ann.getByRole("alert").getByText("The data is not JSON.").waitFor();
});

test("a client without a subprotocol publishes to its group, in text and in bytes", async (t) => {
  const page = await opened(t);
  const ann = await connect(page, "ann");
  await join(ann, "a2");
  await page.getByLabel("Subprotocol").selectOption("sendToGroup");
  await page.getByLabel("Publishes to group").fill("a2");
  const raw = await connect(page, "bob");
  await say(raw, "just text");
  await frame(ann, "message in a2 from bob").getByText("just text").waitFor();
  await raw.getByRole("combobox", { name: "Send" }).selectOption("binary");
  await say(raw, "00 ff");
  await frame(ann, "message in a2 from bob").filter({ hasText: '"dataType":"binary","data":"AP8="' }).waitFor();
});

test("a reliable client says what it has received", async (t) => {
  const page = await opened(t);
  await page.getByLabel("Subprotocol").selectOption("jsonReliable");
  const ann = await connect(page, "ann");
  await join(ann, "a3");
  await say(ann, "numbered");
  await frame(ann, "message in a3 from ann").getByText('"sequenceId":1').waitFor();
  await frames(ann).getByText('{"type":"sequenceAck","sequenceId":1}').waitFor();
  // With the page alone its connection would live on for a while, as a member of its groups.
  await ann.getByRole("button", { name: "Disconnect" }).click();
  await frames(ann).getByText("1000").waitFor();
});

test("REST calls reach the clients, and their answers are shown", async (t) => {
  const page = await opened(t);
  const ann = await connect(page, "ann");
  const operation = page.getByLabel("Operation");
  const result = page.locator("#rest .result");
  const call = () => page.getByRole("button", { name: "Call" }).click();

  await page.getByRole("textbox", { name: "Body" }).fill("to everybody");
  await call();
  await frame(ann, "message from server").getByText("to everybody").waitFor();
  await result.getByText("202 ·").waitFor();
  await page.getByLabel("The same call with curl").getByText("/api/hubs/chat/:send").waitFor();

  const id = await page.locator("#connection-ids option").first().getAttribute("value");
  for (const [name, status] of [
    ["addConnection", "200"],
    ["groupExists", "200"],
    ["removeConnection", "204"],
    ["groupExists", "404"],
    ["connectionExists", "200"],
    ["closeConnection", "204"],
    ["connectionExists", "404"],
  ]) {
    await operation.selectOption(name);
    await fillIfShown(page.locator("#rest [name=connection]"), id);
    await fillIfShown(page.locator("#rest [name=group]"), "a3");
    await call();
    await result.filter({ hasText: new RegExp(`^${status} ·`) }).waitFor();
  }
  await frame(ann, "closed 1000").waitFor();
  await ann.getByRole("status").getByText("not connected").waitFor();
  await ann.getByRole("button", { name: "Reconnect" }).click();
  await ann.getByRole("status").getByText("connected", { exact: true }).waitFor();
});

test("the trace shows who comes and goes, as far as the filter lets it", async (t) => {
  const page = await opened(t);
  const trace = page.locator("#trace");
  const record = (text) => trace.locator(".records li", { hasText: text });
  await trace.getByText("Watching.").waitFor();
  await page.getByRole("textbox", { name: "Hub", exact: true }).fill("a4");
  const ann = await connect(page, "ann");
  await record("ann connected, json.webpubsub.azure.v1").waitFor();
  await trace.getByLabel("Show only").fill("another hub");
  await record("ann connected").waitFor({ state: "detached" });
  await trace.getByLabel("Show only").fill("A4");
  await record("ann connected").waitFor();

  await trace.getByRole("button", { name: "Pause" }).click();
  await ann.getByRole("button", { name: "Disconnect" }).click();
  await trace.getByText("Paused; 1 came since.").waitFor();
  assert.equal(await record("ann left").count(), 0);
  await trace.getByRole("button", { name: "Go on" }).click();
  await record("ann left").waitFor();
});

test("with a wrong key the page says so, and works with the right one", async (t) => {
  const page = await opened(t);
  const sentence = "The server does not accept this access key.";
  const key = page.getByLabel("Connection string or access key");
  const right = await key.inputValue();
  await key.fill(WRONG_KEY);
  await key.press("Tab");
  await page.locator("#trace").getByText(sentence).waitFor();
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  const ann = card(page, "ann");
  await ann.getByText(sentence).waitFor();

  await key.fill(right);
  await key.press("Tab");
  await page.locator("#trace").getByText("Watching.").waitFor();
  await ann.getByRole("button", { name: "Reconnect" }).click();
  await frame(ann, "system: connected").waitFor();
});

test("what others send is text, whatever it looks like", async (t) => {
  const page = await opened(t);
  const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
  const ann = await connect(page, hostile);
  await ann.getByLabel("Pretty JSON").check();
  await join(ann, hostile);
  await say(ann, hostile);
  await frame(ann, "ack 2").waitFor();
  await frame(ann, `message in ${hostile}`).waitFor();
  await page.locator("#trace .records").getByText(`${hostile} connected`).waitFor();
  assert.equal(await page.locator("img, .card script, #trace script").count(), 0);
  assert.equal(await page.title(), "Hubbub playground");
});

test("what was entered is remembered in this tab and nowhere else", async (t) => {
  const page = await opened(t);
  await page.getByRole("textbox", { name: "Hub", exact: true }).fill("a7");
  await page.reload();
  assert.equal(await page.getByRole("textbox", { name: "Hub", exact: true }).inputValue(), "a7");
  const other = await page.context().newPage();
  await other.goto(ENDPOINT);
  assert.equal(await other.getByRole("textbox", { name: "Hub", exact: true }).inputValue(), "chat");
  assert.equal(await page.evaluate(() => localStorage.length), 0);
});

test("code to take along connects as the client does", async (t) => {
  const page = await opened(t);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const ann = await connect(page, "ann");
  await ann.getByRole("button", { name: "Copy code" }).click();
  await ann.getByText("Copied").waitFor();
  const code = await page.evaluate(() => navigator.clipboard.readText());
  const said = page.waitForEvent("console", (message) => message.text().includes('"ackId":1,"success":true'));
  await page.evaluate(code);
  await said;
});

/** The page, in a tab of its own; a script that fails or is kept from something fails the test. */
async function opened(t) {
  const context = await browser.newContext();
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.message));
  const isKeptFrom = /Content Security Policy|violates|Trusted/;
  page.on("console", (message) => isKeptFrom.test(message.text()) && faults.push(message.text()));
  t.after(async () => {
    await context.close();
    assert.deepEqual(faults, []);
  });
  await page.goto(ENDPOINT);
  return page;
}

/** A new client with this user id; the form stands as the test left it. */
async function connect(page, userId) {
  await page.getByLabel("User id").first().fill(userId);
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  const made = card(page, userId);
  await made.getByRole("status").getByText("connected", { exact: true }).waitFor();
  await made.locator(".frames li").first().waitFor();
  return made;
}

async function join(client, group) {
  await client.getByRole("textbox", { name: "Group" }).fill(group);
  await client.getByRole("button", { name: "Join" }).click();
  await frame(client, "ack 1").waitFor();
}

async function say(client, text) {
  await client.getByRole("textbox", { name: "Data" }).fill(text);
  await client.getByRole("button", { name: "Send" }).click();
}

function card(page, name) {
  return page.getByRole("article", { name: `Client ${name}`, exact: true });
}

function frames(client) {
  return client.locator(".frames li");
}

/** The frame with this beginning of its kind. */
function frame(client, kind) {
  return frames(client).filter({ has: client.page().locator(".kind", { hasText: kind }) }).last();
}

async function fillIfShown(field, text) {
  if (await field.isVisible()) {
    await field.fill(text);
  }
}
