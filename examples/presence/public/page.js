// The page: a plain WebSocket without a subprotocol that only listens. Each message is the whole list, so that one
// which was missed does no harm.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** A browser does not tell a page why it could not connect. */
const NOT_LET_IN = "You were not let in: nobody in the team has this name, or no Hubbub server answers.";

const status = document.querySelector("#status");
const form = document.querySelector("#enter");
const team = document.querySelector("#team");

let wasLetIn = false;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  connect(form.elements.name.value, FIRST_WAIT_MS);
});

/** Connects as `name`. Whoever was let in once is connected again, after `wait` milliseconds, when that ends. */
async function connect(name, wait) {
  show("connecting", "Connecting …");
  let opened = false;
  const ended = (reason) => {
    if (!wasLetIn) {
      show("refused", reason);
      return;
    }
    show("failed", `${reason} Trying again …`);
    setTimeout(connect, wait, name, opened ? FIRST_WAIT_MS : Math.min(wait * 2, LONGEST_WAIT_MS));
  };
  try {
    const socket = new WebSocket(`${await negotiate()}&name=${encodeURIComponent(name)}`);
    socket.addEventListener("open", () => {
      opened = true;
      wasLetIn = true;
      show("connected", `You are online as ${name.trim()}.`);
    });
    socket.addEventListener("message", (message) => list(JSON.parse(message.data).team));
    socket.addEventListener("close", () => ended(opened ? "The connection ended." : NOT_LET_IN));
  } catch (failure) {
    ended(failure.message);
  }
}

/** The URL to connect to. */
async function negotiate() {
  const response = await fetch("negotiate").catch(() => {
    throw new Error("The application does not answer.");
  });
  if (!response.ok) {
    throw new Error(`The application answered ${response.status}.`);
  }
  return (await response.json()).url;
}

function show(state, text) {
  status.dataset.state = state;
  status.textContent = text;
  form.hidden = state !== "refused";
  if (state !== "connected") {
    // What we knew may be wrong by now.
    team.replaceChildren();
  }
}

function list(members) {
  team.replaceChildren(
    ...members.map(({ name, online, tabs }) => {
      const item = document.createElement("li");
      item.dataset.online = online;
      const presence = document.createElement("span");
      presence.textContent = online ? `online${tabs > 1 ? ` in ${tabs} tabs` : ""}` : "away";
      item.append(name, presence);
      return item;
    }),
  );
}
