// The application of this example: it tells browsers where to connect, and passes what is posted to
// it on to all of them. It holds no WebSocket itself; that is the work of the Hubbub server.

import { fileURLToPath } from "node:url";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import express from "express";

const HUB = "notifications";

/** What `hubbub dev` listens on when it is started without options; the key is public. */
const DEV_SERVER = "Endpoint=http://127.0.0.1:8080;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;";

const LONGEST_NOTIFICATION = 500;

const connectionString = process.env.WebPubSubConnectionString || DEV_SERVER;
const service = new WebPubSubServiceClient(connectionString, HUB, {
  // The package calls a server over plain HTTP only when told that this is meant.
  allowInsecureConnection: /(^|;)endpoint=http:/i.test(connectionString),
});

const app = express();
app.use(express.json());
app.use(express.static(fileURLToPath(new URL("public", import.meta.url))));

/** A URL, good for an hour, with which one browser may connect and receive. */
app.get("/negotiate", async (request, response) => {
  const { url } = await service.getClientAccessToken({ userId: request.query.user });
  response.json({ url });
});

/** Sends `{ "text": "..." }` to every connected browser. */
app.post("/broadcast", async (request, response) => {
  const text = request.body?.text;
  if (typeof text !== "string" || text.trim() === "" || text.length > LONGEST_NOTIFICATION) {
    response.status(400).json({ error: `Write a notification of 1 to ${LONGEST_NOTIFICATION} characters.` });
    return;
  }
  await service.sendToAll({ text, sentAt: new Date().toISOString() });
  response.status(202).end();
});

// Express hands over what a handler throws; the four parameters tell it that this handles errors.
app.use((error, request, response, next) => {
  const status = error.statusCode ?? error.code ?? "no answer";
  console.error(`${request.method} ${request.path} failed: ${error.message || status}`);
  const explanation = `The Hubbub server did not accept the call (${status}). Check WebPubSubConnectionString.`;
  response.status(502).json({ error: explanation });
});

const listener = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", (error) => {
  if (error) {
    console.error(`Cannot listen: ${error.message}. Name another port in PORT.`);
    process.exitCode = 1;
    return;
  }
  console.log(`Open http://127.0.0.1:${listener.address().port} in two tabs.`);
});
