// A fact for each request of Fastify 5 and 4.

import assert from "node:assert/strict";
import { test } from "node:test";

import { currentUsage } from "tollmeter";
import { metering } from "tollmeter/fastify";
import { FakeServer, pause } from "./fake_server.js";

const ACME = { "X-Customer": "acme" };
const major = Number(process.versions.node.split(".")[0]);

for (const [name, oldest] of [["fastify", 20], ["fastify4", 18]]) {
  const fastify = major >= oldest ? (await import(name).catch(() => null))?.default : null;
  const why = major >= oldest ? `${name} is not installed: npm ci` : `${name} needs Node ${oldest}`;
  const check = (title, body) => {
    test(`${name}: ${title}`, { skip: !fastify && why }, async (t) => {
      const server = await FakeServer.of(t);
      const app = fastify();
      t.after(() => app.close());
      await body({ server, app, client: server.client() });
    });
  };

  check("route, method, status class and records", async ({ server, app, client }) => {
    app.register(metering(client, { customer: "X-Customer", records: "Records" }));
    app.register(
      async (jobs) => {
        jobs.get("/jobs/:id", async (request, reply) => {
          request.usage.add(2);
          request.usage.add();
          request.usage.label({ source: "crm" });
          return reply.code(201).send("done");
        });
        jobs.get("/fails", async () => {
          throw new Error("It fails.");
        });
      },
      { prefix: "/v1" },
    );
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    for (const path of ["/v1/jobs/52", "/v1/fails", "/nowhere"]) {
      const response = await fetch(url + path, { headers: ACME });
      await response.text();
    }
    assert.deepEqual(await server.factsOf(client), [
      {
        customer: "acme",
        values: { ApiCalls: 1, Records: 3 },
        dimensions: { method: "GET", route: "/v1/jobs/:id", status: "2xx", source: "crm" },
      },
      { customer: "acme", meter: "ApiCalls", value: 1, dimensions: { method: "GET", route: "/v1/fails", status: "5xx" } },
      { customer: "acme", meter: "ApiCalls", value: 1, dimensions: { method: "GET", status: "4xx" } },
    ]);
  });

  check("in what a handler calls, after a body was read", async ({ server, app, client }) => {
    const work = async (count) => {
      await pause(0.005);
      currentUsage().add(count);
    };
    app.register(metering(client, { customer: "X-Customer", records: "Records" }));
    app.post("/jobs", async (request) => {
      await work(request.body.count);
      return "done";
    });
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    const headers = { ...ACME, "Content-Type": "application/json" };
    await (await fetch(`${url}/jobs`, { method: "POST", body: '{"count": 4}', headers })).text();
    assert.deepEqual((await server.factsOf(client)).map(({ values }) => values), [{ ApiCalls: 1, Records: 4 }]);
  });

  check("customers by function, of what hooks found out; without a socket", async ({ server, app, client }) => {
    app.register(metering(client, { customer: (request) => request.account, route: (request) => request.method }));
    app.decorateRequest("account", null);
    app.addHook("preHandler", async (request) => {
      request.account = request.query.account;
    });
    app.get("/", async () => "done");
    app.get("/health", async (request) => {
      request.usage.skip();
      return "up";
    });
    for (const url of ["/?account=acme", "/", "/health?account=acme"]) assert.equal((await app.inject(url)).statusCode, 200);
    assert.deepEqual(await server.factsOf(client), [
      { customer: "acme", meter: "ApiCalls", value: 1, dimensions: { method: "GET", route: "GET", status: "2xx" } },
    ]);
  });

  check("the routes of one part of an application", async ({ server, app, client }) => {
    app.register(async (metered) => {
      metered.register(metering(client, { customer: "X-Customer" }));
      metered.get("/metered", async () => "done");
    });
    app.get("/free", async () => "done");
    for (const url of ["/metered", "/free"]) await app.inject({ url, headers: ACME });
    assert.deepEqual((await server.factsOf(client)).map(({ dimensions }) => dimensions.route), ["/metered"]);
  });
}
