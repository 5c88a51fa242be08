// The page's connection: the browser's own WebSocket with the subprotocol that knows groups and events, without a
// package. See https://learn.microsoft.com/azure/azure-web-pubsub/reference-json-webpubsub-subprotocol.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** A browser does not tell a page why it could not connect. */
const NOT_LET_IN = "You were not let in: the board is full, or no Hubbub server answers.";

export class Connection {
  #watcher;
  #socket;
  #lastAckId = 0;
  #waiting = new Map();

  /**
   * Connects, and connects again whenever the connection ends.
   *
   * @param {{connected: () => void, failed: (reason: string) => void, message: (data: object) => void}} watcher
   */
  constructor(watcher) {
    this.#watcher = watcher;
    this.#connect(FIRST_WAIT_MS);
  }

  /** Sends to everybody else in the group. */
  sendToGroup(group, data) {
    this.#send({ type: "sendToGroup", group, noEcho: true, dataType: "json", data });
  }

  /**
   * Raises an event, which the application handles.
   *
   * @throws {Error} when the application refused it, or the connection ended before it was acknowledged
   */
  raise(event, data = {}) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) {
        reject(new Error("There is no connection."));
        return;
      }
      const ackId = ++this.#lastAckId;
      this.#waiting.set(ackId, { resolve, reject });
      this.#send({ type: "event", event, ackId, dataType: "json", data });
    });
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  async #connect(wait) {
    let opened = false;
    const again = (reason) => {
      this.#watcher.failed(`${reason} Trying again …`);
      setTimeout(() => this.#connect(opened ? FIRST_WAIT_MS : Math.min(wait * 2, LONGEST_WAIT_MS)), wait);
    };
    try {
      const { url } = await negotiate();
      const socket = new WebSocket(url, "json.webpubsub.azure.v1");
      socket.addEventListener("open", () => {
        opened = true;
        this.#socket = socket;
      });
      socket.addEventListener("message", (message) => this.#receive(JSON.parse(message.data)));
      socket.addEventListener("close", () => {
        this.#giveUp();
        again(opened ? "The connection ended." : NOT_LET_IN);
      });
    } catch (failure) {
      again(failure.message);
    }
  }

  #receive({ type, event, ackId, success, data }) {
    if (type === "system" && event === "connected") {
      this.#watcher.connected();
    } else if (type === "message") {
      this.#watcher.message(data);
    } else if (type === "ack") {
      const waiting = this.#waiting.get(ackId);
      this.#waiting.delete(ackId);
      if (success) {
        waiting?.resolve();
      } else {
        waiting?.reject(new Error("The application refused it."));
      }
    }
  }

  #giveUp() {
    for (const { reject } of this.#waiting.values()) {
      reject(new Error("The connection ended."));
    }
    this.#waiting.clear();
  }
}

async function negotiate() {
  const response = await fetch("negotiate").catch(() => {
    throw new Error("The application does not answer.");
  });
  if (!response.ok) {
    throw new Error(`The application answered ${response.status}.`);
  }
  return response.json();
}
