// A server for tests that need none: it counts facts by their ids, and misbehaves as it is told.

import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

import { Tollmeter } from "tollmeter";

export class FakeServer {
  facts = new Map();
  // Of each request, how many facts it had, and its headers.
  batches = [];
  headers = [];
  // What it does with a request in place of answering it: gets the call, returns true if that was all.
  faults = [];
  always = null;
  rejects = new Set();
  #clients = [];
  #server = createServer((request, response) => this.#serve(request, response));

  // For one test, which it ends with.
  static async of(test) {
    const server = new FakeServer();
    await server.listen();
    test.after(() => server.#end());
    return server;
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #end() {
    await Promise.all(this.#clients.map((client) => client.close(0.1)));
    await this.stop();
  }

  // A client of this server that is quick to try again.
  client(options = {}) {
    const quick = { batchSeconds: 0.02, retrySeconds: 0.01, retrySecondsMax: 0.05, onError: () => {} };
    const client = new Tollmeter({ apiKey: "key", baseUrl: this.url, ...quick, ...options });
    this.#clients.push(client);
    return client;
  }

  // Without what differs each time.
  async factsOf(client) {
    await client.flush(20);
    return [...this.facts.values()].map(({ id, time, ...rest }) => rest);
  }

  async #serve(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const facts = JSON.parse(request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body);
    this.batches.push(facts.length);
    this.headers.push(request.headers);
    const fault = this.faults.length ? this.faults.shift() : this.always;
    if (fault && (await fault({ server: this, request, response, facts }))) return;
    answer(response, 200, this.count(facts));
  }

  count(facts) {
    const outcomes = [];
    facts.forEach((fact, index) => {
      const { id, meter = "" } = fact;
      const before = this.facts.get(id);
      if (this.rejects.has(meter)) {
        const why = { code: "unknown_meter", pointer: `/${index}/meter`, detail: "There is none." };
        outcomes.push({ index, id, meter, outcome: "rejected", ...why });
      } else if (before) {
        const isSame = JSON.stringify(before) === JSON.stringify(fact);
        outcomes.push({ index, id, meter, outcome: isSame ? "duplicate" : "conflict" });
      } else {
        this.facts.set(id, fact);
      }
    });
    return { accepted: facts.length - outcomes.length, outcomes };
  }
}

export function answer(response, status, document, headers = {}) {
  const body = typeof document === "string" ? document : JSON.stringify(document);
  response.writeHead(status, { "Content-Length": Buffer.byteLength(body), ...headers }).end(body);
}

export function refuse(status, headers) {
  return ({ response }) => {
    answer(response, status, { status, code: `code_${status}`, title: "Refused", detail: "Said the server." }, headers);
    return true;
  };
}

// Closes the connection without an answer, with the facts not counted.
export function cut({ response }) {
  response.destroy();
  return true;
}

export function cutAfterCounting(call) {
  call.server.count(call.facts);
  return cut(call);
}

// Counts, and closes the connection in the middle of the answer.
export function cutInTheAnswer({ server, response, facts }) {
  server.count(facts);
  response.writeHead(200, { "Content-Length": 100 }).write('{"accepted"', () => response.destroy());
  return true;
}

export function slow(seconds) {
  return () => new Promise((resolve) => setTimeout(resolve, seconds * 1000).unref());
}

export function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

export async function until(condition, seconds = 20) {
  const end = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${condition} did not come true within ${seconds} s.`);
    await pause(0.005);
  }
}
