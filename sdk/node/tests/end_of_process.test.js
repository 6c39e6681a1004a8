// Programs that end: what waits is sent, and nothing of ours keeps them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { FakeServer, refuse, slow } from "./fake_server.js";

const BEGIN = `
  import { Tollmeter } from "tollmeter";
  const tollmeter = new Tollmeter(JSON.parse(process.argv[1]));
  tollmeter.meter("acme", "ApiCalls");
`;

// Runs a program; its exit code, and what it wrote to the error output.
async function run(server, program, options = {}) {
  const chosen = JSON.stringify({ batchSeconds: 60, retrySeconds: 0.1, closeSeconds: 30, ...options });
  const node = spawn(process.execPath, ["--input-type=module", "--eval", BEGIN + program, chosen], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { ...process.env, TOLLMETER_API_KEY: "key", TOLLMETER_URL: server.url },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let errors = "";
  node.stderr.on("data", (part) => (errors += part));
  const code = await new Promise((resolve) => node.on("close", resolve));
  return { code, errors };
}

test("what waits is sent when nothing else is left to do", async (t) => {
  const server = await FakeServer.of(t);
  assert.deepEqual(await run(server, ""), { code: 0, errors: "" });
  assert.equal(server.facts.size, 1);
});

test("a process that sent everything ends, with its client open", async (t) => {
  const server = await FakeServer.of(t);
  assert.deepEqual(await run(server, "await tollmeter.flush();"), { code: 0, errors: "" });
  assert.equal(server.facts.size, 1);
});

test("what others note at the end is sent, too", async (t) => {
  const server = await FakeServer.of(t);
  const note = 'process.once("beforeExit", () => tollmeter.meter("acme", "ApiCalls"));';
  assert.deepEqual(await run(server, note), { code: 0, errors: "" });
  assert.equal(server.facts.size, 2);
});

test("flush and close hold the process until it is done", async (t) => {
  const server = await FakeServer.of(t);
  for (const call of ["flush", "close"]) {
    server.faults = [refuse(503), slow(0.1)];
    const { code } = await run(server, `if (!(await tollmeter.${call}())) process.exitCode = 7;`);
    assert.equal(code, 0);
  }
  assert.equal(server.facts.size, 2);
});

for (const [name, fault] of [["refuses", refuse(503)], ["does not answer", () => new Promise(() => {})]]) {
  test(`a server that ${name} does not keep a process`, async (t) => {
    const server = await FakeServer.of(t);
    server.always = fault;
    const { code, errors } = await run(server, "", { closeSeconds: 0.2 });
    assert.equal(code, 0);
    assert.match(errors, /1 facts are lost: They could not be sent before the end\./);
  });
}

test("process.exit() loses what waits, and says so", async (t) => {
  const server = await FakeServer.of(t);
  const { code, errors } = await run(server, "process.exit(3);");
  assert.equal(code, 3);
  assert.match(errors, /1 facts are lost: The process ended before they could be sent\./);
  assert.equal(server.facts.size, 0);
});
