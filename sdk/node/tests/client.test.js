// From meter() to the wire, and back to the counters.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Closed, FactRejected, FactsDropped, Problem, QueueFull, Tollmeter, Unreachable, version } from "tollmeter";
import { FakeServer, answer, cut, cutAfterCounting, cutInTheAnswer, pause, refuse, slow, until } from "./fake_server.js";

const times = (count, what) => Array.from({ length: count }, what);
// Of a server that holds all answers until `go`.
function held(server) {
  let go;
  const gone = new Promise((resolve) => (go = resolve));
  server.always = () => gone;
  return go;
}

test("a fact goes out by itself", async (t) => {
  const server = await FakeServer.of(t);
  const id = server.client().meter("acme", "ApiCalls", 52, { dimensions: { source: "crm" } });
  await until(() => server.facts.size);
  const { time, ...rest } = server.facts.get(id);
  assert.deepEqual(rest, { id, customer: "acme", meter: "ApiCalls", value: 52, dimensions: { source: "crm" } });
  const { "x-api-key": key, "content-type": kind, "user-agent": agent } = server.headers[0];
  assert.deepEqual([key, kind, agent], ["key", "application/json", `tollmeter-node/${version}`]);
});

test("meter() returns before anything is sent", async (t) => {
  const server = await FakeServer.of(t);
  const client = server.client({ batchSize: 1 });
  times(1000, () => client.meter("acme", "ApiCalls"));
  assert.deepEqual([client.counters.queued, server.batches.length], [1000, 0]);
});

test("the client is told by the environment", async (t) => {
  const server = await FakeServer.of(t);
  process.env.TOLLMETER_API_KEY = "key-of-the-environment";
  process.env.TOLLMETER_URL = `${server.url}/`;
  t.after(() => {
    delete process.env.TOLLMETER_API_KEY;
    delete process.env.TOLLMETER_URL;
  });
  const client = new Tollmeter();
  client.meter("acme", "ApiCalls");
  assert.ok(await client.close());
  assert.equal(server.headers[0]["x-api-key"], "key-of-the-environment");
});

for (const options of [
  { apiKey: "", baseUrl: "http://localhost" },
  { apiKey: "key\n", baseUrl: "http://localhost" },
  { apiKey: "key" },
  { apiKey: "key", baseUrl: "localhost:8000" },
  { apiKey: "key", baseUrl: "http://localhost", batchsize: 7 },
  { apiKey: "key", baseUrl: "http://localhost", batchSize: 0 },
  { apiKey: "key", baseUrl: "http://localhost", closeSeconds: NaN },
  { apiKey: "key", baseUrl: "http://localhost", whenFull: "block" },
]) {
  test(`a client is refused at once: ${JSON.stringify(options)}`, () => {
    assert.throws(() => new Tollmeter(options), TypeError);
  });
}

test("batches by size, in order and packed", async (t) => {
  const server = await FakeServer.of(t);
  const client = server.client({ batchSize: 100, batchSeconds: 60 });
  const ids = times(250, () => client.meter("acme", "ApiCalls"));
  assert.ok(await client.flush(20));
  assert.deepEqual(server.batches, [100, 100, 50]);
  assert.deepEqual([...server.facts.keys()], ids);
  assert.deepEqual(server.headers.map((each) => each["content-encoding"]), ["gzip", "gzip", "gzip"]);
  assert.deepEqual(client.counters, { sent: 250, duplicate: 0, rejected: 0, dropped: 0, queued: 0 });
});

test("batches by bytes", async (t) => {
  const server = await FakeServer.of(t);
  const client = server.client({ batchBytes: 1000, batchSeconds: 60 });
  times(10, () => client.meter("acme", "ApiCalls", 1, { dimensions: { text: "ß".repeat(150) } }));
  assert.ok(await client.flush(20));
  assert.deepEqual(server.batches, [2, 2, 2, 2, 2]);
});

test("batches by time", async (t) => {
  const server = await FakeServer.of(t);
  const client = server.client({ batchSeconds: 0.1 });
  const began = performance.now();
  times(5, () => client.meter("acme", "ApiCalls"));
  await until(() => server.facts.size === 5);
  assert.ok(performance.now() - began >= 95);
  assert.deepEqual(server.batches, [5]);
});

for (const fault of [refuse(500), refuse(503), cut, cutAfterCounting, cutInTheAnswer]) {
  test(`what fails is sent again with the same ids: ${fault.name || "refuse"}`, async (t) => {
    const server = await FakeServer.of(t);
    const errors = [];
    const client = server.client({ onError: (error) => errors.push(error) });
    server.faults = [fault, fault];
    const ids = times(3, () => client.meter("acme", "ApiCalls"));
    assert.ok(await client.flush(20));
    assert.deepEqual([...server.facts.keys()], ids);
    const { sent, duplicate } = client.counters;
    assert.deepEqual([sent, duplicate], fault === cutAfterCounting || fault === cutInTheAnswer ? [0, 3] : [3, 0]);
    assert.equal(errors.length, 2);
    for (const error of errors) {
      assert.ok(error instanceof Problem || error instanceof Unreachable);
      assert.ok(error.retryIn > 0);
    }
  });
}

test("a server that is down for a while", async (t) => {
  const server = await FakeServer.of(t);
  const errors = [];
  const client = server.client({ onError: (error) => errors.push(error) });
  await server.stop();
  const ids = times(20, () => client.meter("acme", "ApiCalls"));
  await until(() => errors.length >= 2);
  assert.match(errors[0].message, /ECONNREFUSED/);
  ids.push(client.meter("acme", "ApiCalls"));
  await server.listen(server.port);
  assert.ok(await client.flush(20));
  assert.deepEqual([...server.facts.keys()], ids);
  assert.equal(client.counters.sent, 21);
});

test("an answer that comes too late is asked for again", async (t) => {
  const server = await FakeServer.of(t);
  const errors = [];
  const client = server.client({ timeoutSeconds: 0.3, onError: (error) => errors.push(error.message) });
  server.faults = [slow(60)];
  client.meter("acme", "ApiCalls");
  assert.ok(await client.flush(20));
  assert.equal(server.facts.size, 1);
  assert.equal(errors[0], "No answer came within 0.3 s.");
});

for (const kind of ["seconds", "date"]) {
  test(`Retry-After is honoured: ${kind}`, async (t) => {
    const server = await FakeServer.of(t);
    const client = server.client({ retrySecondsMax: 0.02 });
    const after = kind === "date" ? new Date(Date.now() + 2000).toUTCString() : "1";
    server.faults = [refuse(429, { "Retry-After": after })];
    client.meter("acme", "ApiCalls");
    const began = performance.now();
    assert.ok(await client.flush(20));
    assert.ok(performance.now() - began >= 900);
    assert.equal(server.batches.length, 2);
  });
}

for (const status of [400, 401, 403, 404, 409, 415, 422]) {
  test(`a refusal is final: ${status}`, async (t) => {
    const server = await FakeServer.of(t);
    const errors = [];
    const client = server.client({ onError: (error) => errors.push(error) });
    server.faults = [refuse(status)];
    client.meter("acme", "ApiCalls");
    assert.ok(await client.flush(20));
    assert.deepEqual([server.batches.length, client.counters.rejected], [1, 1]);
    assert.ok(errors[0] instanceof Problem);
    const { code, detail, retryIn } = errors[0];
    assert.deepEqual([errors.length, errors[0].status, code, detail, retryIn], [1, status, `code_${status}`, "Said the server.", null]);
  });
}

for (const status of [301, 302, 307, 308]) {
  test(`a redirect loses nothing and is told: ${status}`, async (t) => {
    const server = await FakeServer.of(t);
    const errors = [];
    const client = server.client({ onError: (error) => errors.push(error) });
    const moved = ({ response }) => response.writeHead(status, { Location: "https://billing.example/v1/events" }).end();
    server.faults = [moved, moved];
    client.meter("acme", "ApiCalls");
    assert.ok(await client.flush(20));
    const { sent, rejected } = client.counters;
    assert.deepEqual([server.facts.size, sent, rejected, errors.length], [1, 1, 0, 2]);
    assert.ok(errors[0] instanceof Problem);
    assert.match(errors[0].message, /https:\/\/billing\.example\/v1\/events/);
    assert.ok(errors[0].retryIn > 0);
  });
}

test("what an outcome says stops nothing, whatever is in it", async (t) => {
  const server = await FakeServer.of(t);
  const errors = [];
  const client = server.client({ onError: (error) => errors.push(error) });
  const odd = { toString: 1, valueOf: 2 };
  const outcome = { index: 0, outcome: "rejected", id: odd, code: odd, detail: odd };
  server.faults = [({ response }) => response.writeHead(200).end(JSON.stringify({ outcomes: [outcome] }))];
  client.meter("acme", "ApiCalls");
  assert.ok(await client.flush(5));
  client.meter("acme", "ApiCalls");
  assert.ok(await client.flush(5));
  assert.deepEqual([errors.length, server.facts.size], [1, 1]);
});

test("a batch that is too large goes in halves", async (t) => {
  const server = await FakeServer.of(t);
  const client = server.client({ batchSeconds: 60 });
  server.always = (call) => call.facts.length > 3 && refuse(413)(call);
  const ids = times(10, () => client.meter("acme", "ApiCalls"));
  assert.ok(await client.flush(20));
  assert.deepEqual([...server.facts.keys()], ids);
  assert.equal(client.counters.sent, 10);
});

for (const said of ["<html>Please sign in</html>", "null", "[]", '{"outcomes": [{"index": 7, "outcome": "rejected"}]}']) {
  test(`a success that is none of ours counts for nothing: ${said}`, async (t) => {
    const server = await FakeServer.of(t);
    const client = server.client();
    server.faults = [({ response }) => answer(response, 200, said) ?? true];
    client.meter("acme", "ApiCalls");
    assert.ok(await client.flush(20));
    assert.deepEqual([server.facts.size, server.batches.length, client.counters.sent], [1, 2, 1]);
  });
}

test("rejected facts are told, and the good ones land", async (t) => {
  const server = await FakeServer.of(t);
  const errors = [];
  const client = server.client({ onError: (error) => errors.push(error), batchSeconds: 60 });
  server.rejects.add("ApiCals");
  client.meter("acme", "ApiCalls");
  const bad = client.meter("acme", "ApiCals");
  client.meter("acme", "ApiCalls", 1, { id: "twice" });
  client.meter("acme", "ApiCalls", 2, { id: "twice" });
  assert.ok(await client.flush(20));
  const { sent, duplicate, rejected } = client.counters;
  assert.deepEqual([sent, duplicate, rejected], [2, 0, 2]);
  const [first, second] = errors;
  assert.ok(first instanceof FactRejected && second instanceof FactRejected);
  assert.deepEqual([first.id, first.code, first.pointer, first.outcome], [bad, "unknown_meter", "/1/meter", "rejected"]);
  assert.match(first.fact, /"ApiCals"/);
  assert.equal(`${first}`, `FactRejected: The fact ${bad} was not counted: unknown_meter. There is none.`);
  assert.deepEqual([second.id, second.outcome], ["twice", "conflict"]);
});

test("a hook that fails stops nothing", async (t) => {
  const server = await FakeServer.of(t);
  t.mock.method(console, "error", () => {});
  for (const onError of [() => { throw new Error("Broken."); }, async () => { throw new Error("Broken."); }]) {
    const client = server.client({ onError });
    server.faults = [refuse(500)];
    client.meter("acme", "ApiCalls");
    assert.ok(await client.flush(20));
  }
  assert.equal(server.facts.size, 2);
});

test("without a hook the console is told", async (t) => {
  const server = await FakeServer.of(t);
  const warn = t.mock.method(console, "warn", () => {});
  const client = server.client({ onError: undefined });
  server.faults = [refuse(401)];
  client.meter("acme", "ApiCalls");
  assert.ok(await client.flush(20));
  assert.equal(warn.mock.calls[0].arguments[0], "tollmeter: 401 code_401: Said the server.");
});

test("a full queue throws", async (t) => {
  const server = await FakeServer.of(t);
  const go = held(server);
  const client = server.client({ queueSize: 2, whenFull: "throw", batchSize: 1 });
  client.meter("acme", "ApiCalls");
  await until(() => server.batches.length);
  times(2, () => client.meter("acme", "ApiCalls"));
  assert.throws(() => client.meter("acme", "ApiCalls"), QueueFull);
  go();
  assert.ok(await client.flush(20));
  assert.equal(server.facts.size, 3);
});

test("a full queue drops the oldest, and says so", async (t) => {
  const server = await FakeServer.of(t);
  const go = held(server);
  const errors = [];
  const client = server.client({ queueSize: 2, batchSize: 1, onError: (error) => errors.push(error) });
  const ids = [client.meter("acme", "ApiCalls")];
  await until(() => server.batches.length);
  ids.push(...times(5, () => client.meter("acme", "ApiCalls")));
  go();
  assert.ok(await client.flush(20));
  assert.deepEqual([...server.facts.keys()], [ids[0], ids[4], ids[5]]);
  assert.deepEqual([client.counters.sent, client.counters.dropped], [3, 3]);
  assert.ok(errors[0] instanceof FactsDropped);
  assert.equal(errors[0].count, 3);
});

test("whoever waits for room loses nothing, and the order is kept", async (t) => {
  const server = await FakeServer.of(t);
  const go = held(server);
  const client = server.client({ queueSize: 2, batchSize: 1 });
  const noted = times(20, () => client.meterWhenRoom("acme", "ApiCalls"));
  await pause(0.05);
  assert.ok(client.counters.queued <= 3);
  go();
  const ids = await Promise.all(noted);
  assert.ok(await client.flush(20));
  assert.deepEqual([...server.facts.keys()], ids);
  assert.deepEqual([client.counters.sent, client.counters.dropped], [20, 0]);
});

test("flush says when it was not enough", async (t) => {
  const server = await FakeServer.of(t);
  const go = held(server);
  const client = server.client();
  assert.ok(await client.flush());
  client.meter("acme", "ApiCalls");
  assert.equal(await client.flush(0.05), false);
  go();
  assert.ok(await client.flush());
});

test("flush waits for what was noted before, and not for what comes after", async (t) => {
  const server = await FakeServer.of(t);
  const client = server.client({ batchSeconds: 60 });
  client.meter("acme", "ApiCalls");
  const flushed = client.flush();
  await until(() => server.batches.length);
  client.meter("acme", "ApiCalls");
  assert.ok(await flushed);
  assert.equal(client.counters.sent, 1);
});

test("closing sends what waits", async (t) => {
  const server = await FakeServer.of(t);
  const client = server.client({ batchSeconds: 60 });
  times(1200, () => client.meter("acme", "ApiCalls"));
  assert.ok(await client.close(20));
  assert.equal(server.facts.size, 1200);
  assert.throws(() => client.meter("acme", "ApiCalls"), Closed);
  await assert.rejects(client.meterWhenRoom("acme", "ApiCalls"), Closed);
  assert.ok(await client.close());
});

test("closing does not wait for the next try", async (t) => {
  const server = await FakeServer.of(t);
  const errors = [];
  const client = server.client({ retrySeconds: 30, retrySecondsMax: 30, onError: (error) => errors.push(error) });
  server.faults = [refuse(503)];
  client.meter("acme", "ApiCalls");
  await until(() => errors.length);
  assert.ok(await client.close(20));
  assert.equal(server.facts.size, 1);
});

for (const [name, fault] of [["refuses", refuse(503)], ["does not answer", slow(60)], ["asks for an hour", refuse(429, { "Retry-After": "3600" })]]) {
  test(`closing while the server ${name} tells what is lost`, async (t) => {
    const server = await FakeServer.of(t);
    const errors = [];
    const client = server.client({ onError: (error) => errors.push(error) });
    server.always = fault;
    times(3, () => client.meter("acme", "ApiCalls"));
    const began = performance.now();
    assert.equal(await client.close(0.2), false);
    assert.ok(performance.now() - began < 10_000);
    assert.deepEqual([client.counters.dropped, client.counters.queued], [3, 0]);
    assert.ok(errors.at(-1) instanceof FactsDropped);
    assert.equal(errors.at(-1).count, 3);
  });
}

test("small bodies are not packed", async (t) => {
  const server = await FakeServer.of(t);
  const client = server.client();
  client.meter("acme", "ApiCalls");
  assert.ok(await client.flush(20));
  assert.ok(!("content-encoding" in server.headers[0]));
});
