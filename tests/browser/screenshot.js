// Takes the picture of the playground that the README shows: `HUBBUB=<binary> npm run screenshot`.
// Two clients talk with each other, and the application with both.

import { fileURLToPath } from "node:url";
import { startServer } from "../support/server.js";
import { launchChromium } from "./chromium.js";

const PICTURE = fileURLToPath(new URL("../../docs/images/playground.png", import.meta.url));

const server = await startServer();
let browser;
try {
  browser = await launchChromium();
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
  await page.goto(new URL(/Endpoint=([^;]+)/.exec(server.connectionString)[1]).href);
  await page.locator("#trace").getByText("Watching.").waitFor();
  await talk(page);
  await page.screenshot({ path: PICTURE });
} finally {
  await browser?.close();
  await server.stop();
}

async function talk(page) {
  for (const name of ["ann", "bob"]) {
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    const card = page.getByRole("article", { name: `Client ${name}` });
    await card.getByText("system: connected").waitFor();
    await card.getByRole("button", { name: "Join" }).click();
    await card.getByText("ack 1").waitFor();
  }
  const [ann, bob] = ["ann", "bob"].map((name) => page.getByRole("article", { name: `Client ${name}` }));
  await say(ann, "Hello Bob, is the build green?");
  await bob.getByText("Hello Bob").waitFor();
  await say(bob, "It is. Shall we ship it?");
  await ann.getByText("Shall we ship it?").waitFor();

  await page.getByLabel("Operation").selectOption("sendToGroup");
  await page.getByRole("textbox", { name: "Body" }).fill("Deployment has begun");
  await page.getByRole("button", { name: "Call" }).click();
  await page.getByText("202 ·").waitFor();
  for (const card of [ann, bob]) {
    await card.getByText("Deployment has begun").waitFor();
  }
}

async function say(card, text) {
  await card.getByRole("textbox", { name: "Data" }).fill(text);
  await card.getByLabel("No echo").check();
  await card.getByRole("button", { name: "Send" }).click();
}
