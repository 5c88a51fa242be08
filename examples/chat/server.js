// The application of this example: it serves the page and answers the events of the hub `chatroom`.

import { fileURLToPath } from "node:url";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import express from "express";
import { chatFunctions } from "./functions.js";
import { webPubSubTrigger } from "./trigger.js";

const HUB = "chatroom";

/** What `hubbub dev` listens on when it is started without options; the key is public. */
const DEV_SERVER = "Endpoint=http://127.0.0.1:8080;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;";

/** The secret in the URL of our endpoint. This one stands in hubs.yaml, so it is public too. */
const DEV_CODE = "only-for-development";

const connectionString = process.env.WebPubSubConnectionString || DEV_SERVER;
const service = new WebPubSubServiceClient(connectionString, HUB, {
  // The package calls a server over plain HTTP only when told that this is meant.
  allowInsecureConnection: /(^|;)endpoint=http:/i.test(connectionString),
});
const trigger = webPubSubTrigger({
  hub: HUB,
  endpoint: service.endpoint,
  accessKey: /(?:^|;)accesskey=([^;]+)/i.exec(connectionString)[1],
  code: process.env.EVENT_CODE || DEV_CODE,
  functions: chatFunctions((line) => service.sendToAll(line, { contentType: "text/plain" })),
});

const app = express();
app.use("/runtime/webhooks/webpubsub", trigger);
app.use(express.static(fileURLToPath(new URL("public", import.meta.url))));

/** A URL, good for an hour, with which one browser may ask to connect. Who it is, is decided when it does. */
app.get("/negotiate", async (request, response) => {
  const { url } = await service.getClientAccessToken();
  response.json({ url });
});

const listener = app.listen(Number(process.env.PORT ?? 7072), "127.0.0.1", (error) => {
  if (error) {
    console.error(`Cannot listen: ${error.message}. Name another port in PORT, and in hubs.yaml.`);
    process.exitCode = 1;
    return;
  }
  console.log(`Open http://127.0.0.1:${listener.address().port} in two tabs.`);
});
