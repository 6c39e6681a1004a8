// A fact for each request of Express 5 and 4.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { test } from "node:test";

import { TollmeterError, currentUsage } from "tollmeter";
import { metering } from "tollmeter/express";
import { FakeServer, pause, refuse, until } from "./fake_server.js";

const ACME = { "X-Customer": "acme" };

for (const name of ["express", "express4"]) {
  const express = (await import(name).catch(() => null))?.default;
  const check = (title, body) => {
    test(`${name}: ${title}`, { skip: !express && `${name} is not installed: npm ci` }, async (t) => {
      const server = await FakeServer.of(t);
      await body({ t, server, app: express(), client: server.client() });
    });
  };

  check("route, method, status class and records", async ({ t, server, app, client }) => {
    app.use(metering(client, { customer: "X-Customer", records: "Records" }));
    app.get("/jobs/:id", (req, res) => {
      req.usage.add(2);
      req.usage.add();
      req.usage.add(7, "Bytes");
      req.usage.label({ source: "crm" });
      res.status(201).send("done");
    });
    const call = await listen(t, app);
    assert.deepEqual(await call("/jobs/52"), { status: 201, text: "done" });
    await call("/nowhere", { method: "POST" });
    const labels = { method: "GET", route: "/jobs/:id", status: "2xx", source: "crm" };
    assert.deepEqual(await server.factsOf(client), [
      { customer: "acme", values: { ApiCalls: 1, Records: 3, Bytes: 7 }, dimensions: labels },
      { customer: "acme", meter: "ApiCalls", value: 1, dimensions: { method: "POST", status: "4xx" } },
    ]);
  });

  check("routers, and what fails in them", async ({ t, server, app, client }) => {
    app.use(metering(client, { customer: "X-Customer" }));
    const byPattern = /^\/[a-z]+\/(\d+)$/;
    const jobs = express.Router();
    jobs.get("/:id", (req, res) => res.send("done"));
    jobs.post("/:id", async (req, res, next) => next(new Error("It fails.")));
    jobs.get(byPattern, (req, res) => res.send("done"));
    const tasks = express.Router({ mergeParams: true });
    tasks.get("/tasks/:task", (req, res) => res.send("done"));
    app.use("/v1/jobs", jobs);
    app.use("/v1/accounts/:account", tasks);
    app.use((error, req, res, next) => res.status(500).send(error.message));
    const call = await listen(t, app);
    await call("/v1/jobs/v1");
    await call("/v1/jobs/7", { method: "POST" });
    await call("/v1/jobs/a/7");
    await call("/v1/accounts/M%C3%BCller%20AG/tasks/9");
    const facts = await server.factsOf(client);
    assert.deepEqual(facts.map(({ dimensions }) => [dimensions.route, dimensions.status]), [
      ["/v1/jobs/:id", "2xx"],
      ["/v1/jobs/:id", "5xx"],
      [`/v1/jobs${byPattern}`, "2xx"],
      ["/v1/accounts/:account/tasks/:task", "2xx"],
    ]);
  });

  check("customers by function, requests of nobody, and those left out", async ({ t, server, app, client }) => {
    app.use(metering(client, { customer: (req) => req.account, meter: null, records: "Records", route: (req) => req.path }));
    app.use((req, res, next) => {
      req.account = req.query.account;
      next();
    });
    app.get("/health", (req, res) => {
      req.usage.add(9);
      req.usage.skip();
      res.send("up");
    });
    app.get("/own", (req, res) => {
      req.usage.customer = "globex";
      req.usage.time = new Date("2026-01-01T00:00:00Z");
      req.usage.add(1);
      res.send("done");
    });
    app.get("/", (req, res) => {
      req.usage.add(5);
      res.send("done");
    });
    const call = await listen(t, app);
    for (const path of ["/?account=acme", "/", "/nothing?account=acme", "/health?account=acme", "/own"]) await call(path);
    assert.deepEqual(await server.factsOf(client), [
      { customer: "acme", meter: "Records", value: 5, dimensions: { method: "GET", route: "/", status: "2xx" } },
      { customer: "globex", meter: "Records", value: 1, dimensions: { method: "GET", route: "/own", status: "2xx" } },
    ]);
    assert.equal([...server.facts.values()].at(-1).time, "2026-01-01T00:00:00.000Z");
  });

  check("beside one route, and in what it calls", async ({ t, server, app, client }) => {
    const work = async (count) => {
      await pause(0.005);
      currentUsage().add(count);
    };
    app.post("/jobs", metering(client, { customer: "X-Customer", records: "Records" }), express.json(), async (req, res) => {
      await work(req.body.count);
      res.send("done");
    });
    app.get("/health", (req, res) => res.send("up"));
    const call = await listen(t, app);
    const body = JSON.stringify({ count: 4 });
    await call("/jobs", { method: "POST", body, headers: { ...ACME, "Content-Type": "application/json" } });
    await call("/health");
    const facts = await server.factsOf(client);
    assert.deepEqual(facts.map(({ values, dimensions }) => [values, dimensions.route]), [[{ ApiCalls: 1, Records: 4 }, "/jobs"]]);
    assert.throws(currentUsage, /outside of a request/);
  });

  check("what is used while the answer is sent counts", async ({ t, server, app, client }) => {
    app.use(metering(client, { customer: "X-Customer", records: "Records" }));
    app.get("/", async (req, res) => {
      for (const part of ["one", "two"]) {
        res.write(part);
        await pause(0.005);
        req.usage.add(1);
      }
      res.end();
    });
    assert.equal((await (await listen(t, app))("/")).text, "onetwo");
    assert.deepEqual((await server.factsOf(client)).map(({ values }) => values), [{ ApiCalls: 1, Records: 2 }]);
  });

  check("who goes away does not get the rest for nothing", async ({ t, server, app, client }) => {
    app.use(metering(client, { customer: "X-Customer", records: "Records" }));
    let isThere = false;
    app.get("/", async (req, res) => {
      isThere = true;
      await new Promise((resolve) => req.socket.once("close", resolve));
      await pause(0.02);
      req.usage.add(3);
      res.send("done");
    });
    const call = await listen(t, app);
    const request = httpRequest(call.url, { headers: ACME }).on("error", () => {}).end();
    await until(() => isThere);
    request.destroy();
    await until(() => server.facts.size === 2);
    const labels = { method: "GET", route: "/", status: "4xx" };
    assert.deepEqual(await server.factsOf(client), [
      { customer: "acme", meter: "ApiCalls", value: 1, dimensions: labels },
      { customer: "acme", meter: "Records", value: 3, dimensions: labels },
    ]);
  });

  check("a request is answered whatever becomes of its fact", async ({ t, server, app }) => {
    server.always = refuse(503);
    const errors = [];
    const client = server.client({ queueSize: 1, whenFull: "throw", batchSeconds: 60, onError: (error) => errors.push(error) });
    let customer = (req) => req.get("X-Customer");
    app.use(metering(client, { customer: (req) => customer(req) }));
    app.get("/", (req, res) => res.send("done"));
    const call = await listen(t, app);
    for (let count = 0; count < 3; count++) assert.equal((await call("/")).text, "done");
    for (customer of [() => null.account, () => 7]) assert.equal((await call("/")).text, "done");
    await until(() => errors.some(({ message }) => message.includes("A customer is a text")));
    assert.ok(errors.every((error) => error instanceof TollmeterError));
    const texts = errors.map(({ message }) => message).join();
    assert.match(texts, /wait already/);
    assert.match(texts, /A request was not metered: TypeError: .*null/);
  });
}

test("what is set up wrongly is refused at once", () => {
  const client = { meter() {} };
  for (const given of [[], [client], [client, { customer: "" }], [{}, { customer: "X" }], [client, { customer: "X", record: "R" }]]) {
    assert.throws(() => metering(...given), TypeError);
  }
});

test("what is added is a number, and of a meter", async (t) => {
  const client = (await FakeServer.of(t)).client();
  const [req, res] = [{ headers: {}, baseUrl: "" }, { once() {} }];
  metering(client, { customer: "X-Customer" })(req, res, () => {});
  assert.throws(() => req.usage.add(1), /Name a meter/);
  assert.throws(() => req.usage.add(undefined, "Records"), /is a number/);
  assert.throws(() => req.usage.add("7", "Records"), /is a number/);
  req.usage.add(10n ** 20n, "Records");
});

// Serves an application for one test; calls it with a customer's header.
async function listen(t, app) {
  const server = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${server.address().port}`;
  const call = async (path, options = {}) => {
    const response = await fetch(url + path, { headers: ACME, ...options });
    return { status: response.status, text: await response.text() };
  };
  return Object.assign(call, { url });
}
