// Links into the customer's portal.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Problem, Unreachable } from "tollmeter";
import { FakeServer, answer, cut, refuse, slow } from "./fake_server.js";

const SESSION = {
  id: 12,
  url: "https://billing.example/enter/abc/",
  link_expires_at: "2026-11-22T12:05:00Z",
  expires_at: "2026-11-22T13:00:00Z",
  role: "read_only",
};

// Answers with the session, and notes what was asked for.
function tells(asked) {
  return ({ request, response, facts: body }) => {
    asked.push([request.method, request.url, body]);
    answer(response, 201, SESSION);
    return true;
  };
}

test("a link is asked for, and told", async (t) => {
  const server = await FakeServer.of(t);
  const asked = [];
  server.always = tells(asked);
  const client = server.client();
  const session = await client.portalSession("eu/acme 1", {
    returnUrl: "https://app.example/account",
    page: "invoices",
    invoice: "2026-0042",
    expiresIn: 600,
    role: "billing",
    member: "jane",
  });
  assert.deepEqual(asked, [
    [
      "POST",
      "/v1/customers/eu%2Facme%201/portal-sessions",
      {
        return_url: "https://app.example/account",
        page: "invoices",
        invoice: "2026-0042",
        expires_in: 600,
        role: "billing",
        member: "jane",
      },
    ],
  ]);
  assert.equal(session.url, SESSION.url);
  assert.equal(session.id, 12);
  assert.deepEqual(session.linkExpiresAt, new Date("2026-11-22T12:05:00Z"));
  assert.deepEqual(session.expiresAt, new Date("2026-11-22T13:00:00Z"));
  assert.equal(session.document.role, "read_only");
  assert.equal(server.headers[0]["x-api-key"], "key");
});

test("what is not said is not sent", async (t) => {
  const server = await FakeServer.of(t);
  const asked = [];
  server.always = tells(asked);
  await server.client().portalSession("acme");
  await server.client().portalSession("acme", { page: undefined, member: null });
  assert.deepEqual(asked.map(([, , body]) => body), [{}, {}]);
});

test("a refusal is told at once", async (t) => {
  const server = await FakeServer.of(t);
  server.always = refuse(403);
  const refused = await server.client().portalSession("acme").catch((error) => error);
  assert.ok(refused instanceof Problem);
  assert.deepEqual([refused.status, refused.code, server.headers.length], [403, "code_403", 1]);
});

for (const [why, fault, options] of [
  ["no answer", cut, {}],
  ["an answer too late", slow(1), { timeoutSeconds: 0.05 }],
  ["no JSON", ({ response }) => (answer(response, 200, "<html>"), true), {}],
  ["something else", ({ response }) => (answer(response, 200, {}), true), {}],
]) {
  test(`unreachable: ${why}`, async (t) => {
    const server = await FakeServer.of(t);
    server.always = fault;
    await assert.rejects(server.client(options).portalSession("acme"), Unreachable);
  });
}

test("what no server could take is refused here", async (t) => {
  const server = await FakeServer.of(t);
  const client = server.client();
  await assert.rejects(client.portalSession(""), TypeError);
  await assert.rejects(client.portalSession("acme", { return_url: "https://app.example" }), TypeError);
  assert.equal(server.headers.length, 0);
});
