// The application of this example: it lets members of a team in, and tells every open page who of them is online.

import { fileURLToPath } from "node:url";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";
import { Team } from "./team.js";

const HUB = "presence";

/** What `hubbub dev` listens on when it is started without options; the key is public. */
const DEV_SERVER = "Endpoint=http://127.0.0.1:8080;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;";

const connectionString = process.env.WebPubSubConnectionString || DEV_SERVER;
const names = (process.env.TEAM || "Ann,Bob,Chloé").split(",").map((name) => name.trim());

const service = new WebPubSubServiceClient(connectionString, HUB, {
  // The package calls a server over plain HTTP only when told that this is meant.
  allowInsecureConnection: /(^|;)endpoint=http:/i.test(connectionString),
});
const team = new Team(names);
let lastCall = Promise.resolve();

const events = new WebPubSubEventHandler(HUB, {
  path: "/eventhandler",
  allowedEndpoints: [service.endpoint],

  /** The name stands in the URL with which the page connects. From now on it is the user of the connection. */
  handleConnect({ queries }, response) {
    const name = (queries?.name?.[0] ?? "").trim();
    if (team.has(name)) {
      response.success({ userId: name });
    } else {
      response.fail(401, "Only members of the team may see who is online.");
    }
  },

  onConnected({ context }) {
    team.arrive(utf8(context.userId), context.connectionId);
    inTurn(tellAll);
  },

  onDisconnected({ context }) {
    const name = utf8(context.userId);
    team.leave(name, context.connectionId);
    inTurn(async () => {
      if (team.hasOlder(name)) {
        await lookForOlder(name);
      }
      await tellAll();
    });
  },
});

const app = express();
// It reads the bodies of its requests itself, so nothing that parses bodies may stand before it.
app.use(events.getMiddleware());
app.use(express.static(fileURLToPath(new URL("public", import.meta.url))));

/** A URL, good for an hour, with which one browser may ask to connect. Who it is, is decided when it does. */
app.get("/negotiate", async (request, response) => {
  const { url } = await service.getClientAccessToken();
  response.json({ url });
});

const listener = app.listen(Number(process.env.PORT ?? 7073), "127.0.0.1", (error) => {
  if (error) {
    console.error(`Cannot listen: ${error.message}. Name another port in PORT, and in hubs.yaml.`);
    process.exitCode = 1;
    return;
  }
  console.log(`Open http://127.0.0.1:${listener.address().port} in two tabs.`);
});

// Whoever connected before we started is still there, and no event will tell us.
inTurn(async () => {
  for (const name of team.names) {
    await lookForOlder(name);
  }
  await tellAll();
});

async function lookForOlder(name) {
  team.setOlder(name, await service.userExists(name));
}

function tellAll() {
  return service.sendToAll({ team: team.list() });
}

/**
 * Makes calls of the Hubbub server one after the other: what is told last arrives last, and no answer to a question is
 * older than the event that followed it.
 */
function inTurn(call) {
  lastCall = lastCall.then(call).catch((error) => {
    console.error(`The Hubbub server did not accept a call: ${error.message || error.statusCode || error.code}`);
  });
}

/** The package hands over a name of a user as Node reads headers, in Latin-1; it comes in UTF-8. */
function utf8(header) {
  return Buffer.from(header ?? "", "latin1").toString("utf8");
}
