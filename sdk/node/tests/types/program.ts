// What a program in TypeScript may write, and what not. Never run.

import express from "express";
import fastify from "fastify";

import { Problem, Tollmeter, Unreachable, currentUsage, type Counters } from "tollmeter";
import { metering } from "tollmeter/express";
import { metering as meteringOfFastify } from "tollmeter/fastify";

const tollmeter = new Tollmeter({
  apiKey: "key",
  baseUrl: "https://billing.example",
  whenFull: "throw",
  onError(error) {
    if (error instanceof Problem) console.log(error.code, error.retryIn);
    if (error instanceof Unreachable) console.log(error.detail);
    console.log(error.message);
  },
});

const id: string = tollmeter.meter("acme", "ApiCalls");
tollmeter.meter("acme", "ApiCalls", 52, { dimensions: { source: "crm" }, time: new Date(), id });
tollmeter.meter("acme", { ApiCalls: 1, Records: 52n, Bytes: "0.50" }, { dimensions: { source: undefined } });
const waited: Promise<string> = tollmeter.meterWhenRoom("acme", { ApiCalls: 1 });
const done: boolean = await tollmeter.flush(5);
const { sent, queued }: Counters = tollmeter.counters;
const { url, expiresAt } = await tollmeter.portalSession("acme", { returnUrl: "https://app.example/", page: "usage" });
const text: [string, Date] = [url, expiresAt];
// @ts-expect-error: there is no such page
tollmeter.portalSession("acme", { page: "admin" });
const closed: boolean = await tollmeter.close();
console.log(text, waited, done, sent, queued, closed);

// @ts-expect-error: a meter is missing
tollmeter.meter("acme");
// @ts-expect-error: a misspelt member
tollmeter.meter("acme", "ApiCalls", 1, { dimension: {} });
// @ts-expect-error: a dimension is a text
tollmeter.meter("acme", "ApiCalls", 1, { dimensions: { source: 7 } });
// @ts-expect-error: a time is a Date
tollmeter.meter("acme", "ApiCalls", 1, { time: "2026-11-02" });
// @ts-expect-error: not in JavaScript
new Tollmeter({ whenFull: "block" });
// @ts-expect-error: counters are read
tollmeter.counters = { sent, queued, duplicate: 0, rejected: 0, dropped: 0 };

const app = express();
app.use(metering<express.Request>(tollmeter, { customer: (req) => req.get("X-Customer"), records: "Records" }));
app.get("/jobs/:id", metering(tollmeter, { customer: "X-Customer", meter: null }), (req, res) => {
  req.usage.add(52);
  req.usage.label({ source: "crm" });
  req.usage.customer = "globex";
  currentUsage().skip();
  // @ts-expect-error: what is added is a number
  req.usage.add("52");
  res.send("done");
});

const api = fastify();
await api.register(meteringOfFastify(tollmeter, { customer: (request) => request.headers.from, route: () => null }));
api.get("/jobs/:id", async (request) => request.usage.add(52, "Records"));
// @ts-expect-error: whose request it is has to be known
meteringOfFastify(tollmeter, {});
