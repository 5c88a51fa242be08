// The page: a plain WebSocket without a subprotocol. Each message is a line, and each line we send is an event that the
// application answers.

const status = document.querySelector("#status");
const enter = document.querySelector("#enter");
const say = document.querySelector("#say");
const lines = document.querySelector("#lines");

let socket;

enter.addEventListener("submit", async (event) => {
  event.preventDefault();
  show("connecting", "Connecting …");
  try {
    connect(await negotiate(), enter.elements.name.value);
  } catch (failure) {
    show("failed", failure.message);
  }
});

say.addEventListener("submit", (event) => {
  event.preventDefault();
  socket.send(say.elements.line.value);
  say.reset();
});

document.querySelector("#leave").addEventListener("click", () => socket.close(1000));

function connect(url, name) {
  let opened = false;
  socket = new WebSocket(`${url}&name=${encodeURIComponent(name)}`);
  socket.addEventListener("open", () => {
    opened = true;
    show("connected", `You are here as ${name.trim()}.`);
  });
  socket.addEventListener("message", (message) => add(message.data));
  socket.addEventListener("close", ({ code }) => {
    if (!opened) {
      // A browser does not tell a page why it could not connect.
      const rule = "A name has 1 to 32 letters, digits, spaces, dots, dashes or underscores, and is not “System”.";
      show("failed", `You were not let in. ${rule} If yours is such a name, no Hubbub server answers.`);
    } else if (code === 1000) {
      show("outside", "You have left.");
    } else {
      show("failed", `The connection ended (${code}). Enter again.`);
    }
  });
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
  enter.hidden = state === "connected" || state === "connecting";
  say.hidden = state !== "connected";
}

function add(line) {
  const item = document.createElement("li");
  item.textContent = line;
  // Whatever everybody gets begins with a name in brackets.
  item.classList.toggle("answer", !line.startsWith("["));
  lines.prepend(item);
}
