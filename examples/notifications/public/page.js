// The page: a plain WebSocket that shows what arrives, and a form that posts to the application.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

const status = document.querySelector("#status");
const notifications = document.querySelector("#notifications");
const form = document.querySelector("#broadcast");
const error = document.querySelector("#error");

connect(FIRST_WAIT_MS);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  error.textContent = "";
  try {
    await call("broadcast", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text: form.elements.text.value }),
    });
    form.reset();
  } catch (failure) {
    error.textContent = failure.message;
  }
});

/** Connects, and after `wait` milliseconds again when that fails or the connection ends. */
async function connect(wait) {
  let opened = false;
  const again = (reason) => {
    show("failed", `${reason} Trying again …`);
    setTimeout(connect, wait, opened ? FIRST_WAIT_MS : Math.min(wait * 2, LONGEST_WAIT_MS));
  };
  try {
    const { url } = await (await call("negotiate")).json();
    const socket = new WebSocket(url);
    socket.addEventListener("open", () => {
      opened = true;
      show("connected", "Connected.");
    });
    socket.addEventListener("message", (message) => add(JSON.parse(message.data)));
    socket.addEventListener("close", () =>
      again(opened ? "The connection ended." : "The Hubbub server refused the connection."),
    );
  } catch (failure) {
    again(failure.message);
  }
}

/** The answer to a call of our own application; throws with its explanation when it failed. */
async function call(path, options) {
  const response = await fetch(path, options).catch(() => {
    throw new Error("The application does not answer.");
  });
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({}));
    throw new Error(error ?? `The application answered ${response.status}.`);
  }
  return response;
}

function show(state, text) {
  status.dataset.state = state;
  status.textContent = text;
}

function add({ text, sentAt }) {
  const item = document.createElement("li");
  const words = document.createElement("span");
  words.textContent = text;
  const time = document.createElement("time");
  time.dateTime = sentAt;
  time.textContent = new Date(sentAt).toLocaleTimeString();
  item.append(words, time);
  notifications.prepend(item);
}
