// The application of this example: it lets people in, keeps the board for those who come late, and counts who is there.
// What people draw goes from page to page through the Hubbub server, without passing here.

import { fileURLToPath } from "node:url";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";
import { Board } from "./board.js";
import { Crowd } from "./crowd.js";
import { isShape } from "./public/shape.js";

const HUB = "whiteboard";
const GROUP = "draw";

/** What `hubbub dev` listens on when it is started without options; the key is public. */
const DEV_SERVER = "Endpoint=http://127.0.0.1:8080;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;";

const connectionString = process.env.WebPubSubConnectionString || DEV_SERVER;
const seats = Number(process.env.SEATS ?? 50);

const service = new WebPubSubServiceClient(connectionString, HUB, {
  // The package calls a server over plain HTTP only when told that this is meant.
  allowInsecureConnection: /(^|;)endpoint=http:/i.test(connectionString),
});
const board = new Board();
const crowd = new Crowd();
let lastCall = Promise.resolve();

const events = new WebPubSubEventHandler(HUB, {
  path: "/eventhandler",
  allowedEndpoints: [service.endpoint],

  /** Tokens of `/negotiate` allow nothing. What a page may do is decided here, when it connects. */
  handleConnect(request, response) {
    if (crowd.size >= seats) {
      response.fail(401, "The board is full.");
      return;
    }
    response.success({ groups: [GROUP], roles: [`webpubsub.sendToGroup.${GROUP}`] });
  },

  onConnected({ context }) {
    crowd.arrive(context.connectionId);
    inTurn(tellHowMany);
  },

  onDisconnected({ context }) {
    crowd.leave(context.connectionId);
    inTurn(tellHowMany);
  },

  /** The answers go to the page that asked. */
  handleUserEvent({ context, data }, response) {
    switch (context.eventName) {
      case "board":
        response.success(JSON.stringify({ kind: "board", edition: board.edition, shapes: board.shapes }), "json");
        return;
      case "add":
        if (!isShape(data)) {
          response.fail(400, "This is not a shape.");
          return;
        }
        board.add(data);
        response.success(JSON.stringify({ kind: "kept", edition: board.edition, id: data.id }), "json");
        return;
      case "clear":
        board.clear();
        inTurn(tellCleared);
        response.success();
        return;
      default:
        response.fail(400, "There is no such event.");
    }
  },
});

const app = express();
// It reads the bodies of its requests itself, so nothing that parses bodies may stand before it.
app.use(events.getMiddleware());
app.use(express.static(fileURLToPath(new URL("public", import.meta.url))));

/** A URL, good for an hour, with which one browser may ask to connect. */
app.get("/negotiate", async (request, response) => {
  const { url } = await service.getClientAccessToken();
  response.json({ url });
});

const listener = app.listen(Number(process.env.PORT ?? 7071), "127.0.0.1", (error) => {
  if (error) {
    console.error(`Cannot listen: ${error.message}. Name another port in PORT, and in hubs.yaml.`);
    process.exitCode = 1;
    return;
  }
  console.log(`Open http://127.0.0.1:${listener.address().port} in two tabs.`);
});

function tellHowMany() {
  return service.sendToAll({ kind: "people", count: crowd.size });
}

function tellCleared() {
  return service.group(GROUP).sendToAll({ kind: "cleared", edition: board.edition });
}

/** Makes calls of the Hubbub server one after the other, so that what is told last arrives last. */
function inTurn(call) {
  lastCall = lastCall.then(call).catch((error) => {
    console.error(`The Hubbub server did not accept a call: ${error.message || error.statusCode || error.code}`);
  });
}
