// The load balancer before nodes that are plain HTTP servers: what it changes, and that it changes nothing else.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { Inbox, inTime } from "../inbox.js";
import { Balancer } from "./balancer.js";
import { randomOf } from "./random.js";

const LOCAL = { host: "127.0.0.1", port: 0 };

/** A balancer before `count` servers, and its port. */
async function stage(t, { count = 1, handle, upgrade }) {
  const nodes = [];
  for (let index = 0; index < count; index += 1) {
    const server = http.createServer((request, response) => handle(request, response, index));
    server.on("upgrade", (request, socket, head) => upgrade?.(request, socket, head));
    server.listen(LOCAL);
    await once(server, "listening");
    t.after(() => server.close() && server.closeAllConnections());
    nodes.push({ host: LOCAL.host, port: server.address().port });
  }
  const balancer = new Balancer(nodes, randomOf("seed"));
  t.after(() => balancer.close());
  return balancer.listen(LOCAL);
}

function socketTo(t, port) {
  const socket = connect(port, LOCAL.host);
  t.after(() => socket.destroy());
  return socket;
}

/** Reads from a socket until `end` has come. */
async function readUntil(socket, end) {
  let text = "";
  socket.setEncoding("latin1");
  while (!text.includes(end)) {
    text += (await inTime(once(socket, "data"), `${JSON.stringify(end)} after ${JSON.stringify(text)}`))[0];
  }
  return text;
}

test("headers of one hop end here, and all others pass as they are", async (t) => {
  const seen = new Inbox();
  const port = await stage(t, {
    handle(request, response) {
      seen.put(request.rawHeaders);
      response.sendDate = false;
      response.writeHead(299, "Fine", ["X-A", "1", "x-a", "2", "X-Hop", "y", "Connection", "x-hop", "Content-Length", "0"]);
      response.end();
    },
  });
  const socket = socketTo(t, port);
  const own = "Host: rt.example.com:81\r\nX-B: 1\r\nx-b: 2\r\nX-Hop: z\r\nConnection: X-Hop\r\nTE: trailers\r\n";
  socket.write(`GET /a%2Fb?c HTTP/1.1\r\n${own}X-Forwarded-Host: evil\r\nForwarded: host=evil\r\n\r\n`);
  assert.deepEqual((await seen.take()).slice(0, -2), [
    "Host", "rt.example.com:81", "X-B", "1", "x-b", "2", "X-Forwarded-Proto", "http",
  ]);
  const head = await readUntil(socket, "\r\n\r\n");
  assert.match(head, /^HTTP\/1\.1 299 Fine\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n/);
  assert.doesNotMatch(head, /x-hop|date/i);
});

test("bodies stream in both directions, each piece as it comes", async (t) => {
  const port = await stage(t, { handle: (request, response) => request.pipe(response) });
  const call = http.request({ ...LOCAL, port, method: "POST" });
  call.write("one");
  const [response] = await inTime(once(call, "response"), "the answer before the end of the request");
  assert.equal(String((await once(response, "data"))[0]), "one");
  call.write("two");
  assert.equal(String((await once(response, "data"))[0]), "two");
  call.end();
  response.resume();
  await inTime(once(response, "end"), "the end");
});

test("a body without a length is said to be empty, and a length stays one", async (t) => {
  const seen = new Inbox();
  const port = await stage(t, {
    handle(request, response) {
      seen.put([request.method, request.headers["content-length"], request.headers["transfer-encoding"]]);
      request.resume().on("end", () => response.end());
    },
  });
  const send = async (text, expected) => {
    const socket = socketTo(t, port);
    socket.write(text);
    assert.deepEqual(await inTime(seen.take(), "a request"), expected);
    await readUntil(socket, "\r\n\r\n");
  };
  await send("POST / HTTP/1.1\r\nHost: a\r\n\r\n", ["POST", "0", undefined]);
  await send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", ["PUT", "2", undefined]);
  await send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ["GET", undefined, undefined]);
  const chunks = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
  await send(`DELETE / HTTP/1.1\r\nHost: a\r\n${chunks}`, ["DELETE", undefined, "chunked"]);
});

test("an upgrade is a pipe, with what came right behind its head", async (t) => {
  const port = await stage(t, {
    upgrade(request, socket, head) {
      assert.equal(request.headers.connection, "Upgrade");
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nat once,");
      socket.write(head);
      socket.pipe(socket);
    },
  });
  const socket = socketTo(t, port);
  socket.write("GET /client HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
  assert.match(await readUntil(socket, "early"), /\r\n\r\nat once,early$/);
  socket.end("late");
  assert.equal(await readUntil(socket, "late"), "late");
  await inTime(once(socket, "close"), "the end");
});

test("whoever goes away is gone for the other side too", async (t) => {
  const seen = new Inbox();
  const watch = (what, ending) => {
    seen.put(what);
    ending.on("error", () => {}).once("close", () => seen.put(`${what} is gone`));
  };
  const port = await stage(t, {
    handle: (_, response) => watch("call", response),
    upgrade: (_, socket) => watch("socket", socket.resume()),
  });
  for (const [what, more] of [
    ["call", ""],
    ["socket", "Connection: Upgrade\r\nUpgrade: websocket\r\n"],
  ]) {
    const socket = socketTo(t, port);
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\n${more}\r\n`);
    assert.equal(await inTime(seen.take(), what), what);
    socket.resetAndDestroy();
    assert.equal(await inTime(seen.take(), `the end of the ${what}`), `${what} is gone`);
  }
});

test("a node that is gone is 502", async (t) => {
  const gone = http.createServer().listen(LOCAL);
  await once(gone, "listening");
  const { port } = gone.address();
  await new Promise((resolve) => gone.close(resolve));
  const balancer = new Balancer([{ ...LOCAL, port }], randomOf("seed"));
  t.after(() => balancer.close());
  const response = await fetch(`http://127.0.0.1:${await balancer.listen(LOCAL)}/`);
  assert.equal(response.status, 502);
  assert.match(await response.text(), /cannot reach a node/);
});

test("calls go to all nodes, and to the same ones for the same seed", async (t) => {
  const handle = (_, response, index) => response.end(String(index));
  const runs = [];
  for (let run = 0; run < 2; run += 1) {
    const port = await stage(t, { count: 3, handle });
    const taken = [];
    for (let call = 0; call < 20; call += 1) {
      taken.push(await (await fetch(`http://127.0.0.1:${port}/`)).text());
    }
    runs.push(taken);
  }
  assert.deepEqual([...new Set(runs[0])].sort(), ["0", "1", "2"]);
  assert.deepEqual(runs[0], runs[1]);
});
