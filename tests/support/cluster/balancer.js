// A load balancer before brokers: each request and each WebSocket goes to any node. It is as plain as one can be, so
// that what it adds to a request is what every proxy adds.

import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { connect } from "node:net";
import { TLSSocket } from "node:tls";

/** Headers that concern one hop only (RFC 9110, 7.6.1). */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
/** What a caller says of proxies before this one is not passed on. */
const OF_PROXIES = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix"];
/** The nodes judge the size of a head, not the balancer. */
const HEAD = { maxHeaderSize: 1024 * 1024 };
/** Sockets to nodes are given up before a node would. */
const IDLE_MS = 3000;
/** Callers give up their idle sockets first. */
const KEEP_ALIVE_MS = 75_000;

export class Balancer {
  #nodes;
  #random;
  #agent = new http.Agent({ keepAlive: true, timeout: IDLE_MS });
  #servers = [];

  /**
   * @param {{ host: string, port: number }[]} nodes
   * @param {(limit: number) => number} random
   */
  constructor(nodes, random) {
    this.#nodes = nodes;
    this.#random = random;
  }

  /** Listens at `address`, with TLS if there is a certificate; gives the port. */
  async listen({ host, port }, certificate) {
    const scheme = certificate ? "https" : "http";
    const server = certificate
      ? https.createServer({ ...HEAD, cert: certificate.cert, key: certificate.key })
      : http.createServer(HEAD);
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    // The nodes decide how long a request may take.
    server.requestTimeout = 0;
    server.on("request", (request, response) => this.#pass(request, response, scheme));
    server.on("upgrade", (request, socket, head) => this.#join(request, socket, head, scheme));
    server.listen(port, host);
    await once(server, "listening");
    this.#servers.push(server);
    return server.address().port;
  }

  /** Takes nobody any more, and drops whoever is left. */
  close() {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
    this.#agent.destroy();
  }

  #node() {
    return this.#nodes[this.#random(this.#nodes.length)];
  }

  #pass(request, response, scheme) {
    const upstream = http.request({
      ...this.#node(),
      ...HEAD,
      agent: this.#agent,
      method: request.method,
      path: request.url,
      headers: [...passedOn(request), ...framing(request), "X-Forwarded-Proto", scheme],
      setHost: false,
    });
    upstream.on("response", (answer) => {
      response.sendDate = false;
      response.writeHead(answer.statusCode, answer.statusMessage, without(answer.rawHeaders, oneHop(answer)));
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    upstream.on("error", (error) => {
      if (response.headersSent || response.destroyed) {
        response.destroy();
      } else {
        response.writeHead(502, { "Content-Type": "text/plain", Connection: "close" });
        response.end(`the balancer cannot reach a node: ${error.message}\n`);
      }
    });
    request.pipe(upstream);
    request.on("error", () => upstream.destroy());
    response.on("close", () => response.writableFinished || upstream.destroy());
  }

  #join(request, socket, head, scheme) {
    const { host, port } = this.#node();
    const node = connect({ host, port, allowHalfOpen: true, noDelay: true });
    socket.setNoDelay(true);
    const headers = [...without(request.rawHeaders, OF_PROXIES), "X-Forwarded-Proto", scheme];
    let text = `${request.method} ${request.url} HTTP/1.1\r\n`;
    for (let index = 0; index < headers.length; index += 2) {
      text += `${headers[index]}: ${headers[index + 1]}\r\n`;
    }
    node.write(`${text}\r\n`, "latin1");
    node.write(head);
    for (const [from, to] of [
      [socket, node],
      [node, socket],
    ]) {
      from.pipe(to);
      from.on("error", () => reset(to));
      from.on("close", () => to.writableEnded || reset(to));
    }
  }
}

/** Ends a socket as its other half has ended: not in order. */
function reset(socket) {
  socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy();
}

/** Headers of a request that concern the node. */
function passedOn(request) {
  return without(request.rawHeaders, [...oneHop(request), ...OF_PROXIES]);
}

/** How long the body is, where the caller's own header for it ends here. */
function framing({ method, headers }) {
  if (headers["transfer-encoding"] !== undefined) {
    return ["Transfer-Encoding", "chunked"];
  }
  // Without a length there is no body, and this is said where one is expected.
  const isExpected = ["POST", "PUT", "PATCH"].includes(method);
  return isExpected && headers["content-length"] === undefined ? ["Content-Length", "0"] : [];
}

/** Names of the headers that end here. */
function oneHop({ headers }) {
  const named = (headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase());
  return [...HOP_BY_HOP, ...named];
}

/** Names and values one after the other, without those of `names`. */
function without(rawHeaders, names) {
  return rawHeaders.filter((_, index) => !names.includes(rawHeaders[index - (index % 2)].toLowerCase()));
}
