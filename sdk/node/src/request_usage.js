// What a request used, and how it becomes a fact when it is over; for the middlewares.

import { AsyncLocalStorage } from "node:async_hooks";

import { TollmeterError } from "./errors.js";

const OPTIONS = new Set(["customer", "meter", "records", "route"]);
const requests = new AsyncLocalStorage();

// What a request used beyond being one: `add()` counts records, `dimensions` says more about it.
export class RequestUsage {
  // Instead of whom the middleware takes for the customer.
  customer = null;
  // When it counts; without one, when the request is over.
  time = null;
  values = null;
  dimensions = null;
  skipped = false;
  isOver = false;
  #recordsMeter;
  #late;

  constructor(recordsMeter, late) {
    this.#recordsMeter = recordsMeter;
    this.#late = late;
  }

  // Counts so much of a meter, the middleware's `records` if it is not named.
  add(number, meter = this.#recordsMeter) {
    // Not where something undefined is given: that is a mistake, and no one.
    if (arguments.length === 0) number = 1;
    if (!meter) throw new TypeError("Name a meter here, or `records` where the middleware is set up.");
    if (!Number.isFinite(number) && typeof number !== "bigint") throw new TypeError("What is added is a number.");
    if (this.isOver) {
      this.#late({ [meter]: number });
      return;
    }
    this.values ??= Object.create(null);
    this.values[meter] = meter in this.values ? this.values[meter] + number : number;
  }

  // Adds dimensions to those of the request.
  label(dimensions) {
    this.dimensions = { ...this.dimensions, ...dimensions };
  }

  // Leaves this request out, as one that answers whether the server is up.
  skip() {
    this.skipped = true;
  }
}

// The usage of the request that this code works for, wherever it is called. Throws outside of one.
export function currentUsage() {
  const usage = requests.getStore();
  if (!usage) throw new Error("This is called outside of a request that is metered.");
  return usage;
}

// Begins with each request and notes a fact at its end. Never throws then: a request is worth more than its fact.
export class RequestMeter {
  #client;
  #customer;
  #meter;
  #records;

  constructor(client, options = {}) {
    const { customer, meter = "ApiCalls", records = null } = options;
    for (const name in options) {
      if (!OPTIONS.has(name)) throw new TypeError(`There is no option ${name}; there are ${[...OPTIONS].join(", ")}.`);
    }
    if (typeof client?.meter !== "function") throw new TypeError("The first argument is the client.");
    if (typeof customer === "function") this.#customer = (request) => customer(request);
    else if (typeof customer === "string" && customer) this.#customer = headerReader(customer);
    else throw new TypeError("`customer` is the name of a header, or a function of the request.");
    this.#client = client;
    this.#meter = meter;
    this.#records = records;
  }

  // Begins to meter the request, and notes its fact once the answer is sent, or nobody is there to get it. `request` is
  // what the framework has made of Node's `raw` one, and `routeOf` finds its route at the end.
  begin(request, raw, response, routeOf) {
    let customer = null;
    let more = null;
    // Who goes away does not get the rest for nothing.
    const usage = new RequestUsage(this.#records, (values) => customer && this.#note(customer, values, more));
    response.once("close", () => {
      usage.isOver = true;
      if (usage.skipped) return;
      try {
        customer = usage.customer || this.#customer(request, raw);
        const dimensions = { method: raw.method, status: statusClass(response), route: routeOf(request) || undefined, ...usage.dimensions };
        more = { dimensions, time: usage.time ?? undefined };
        if (customer) this.#note(customer, this.#valuesOf(usage), more);
      } catch (error) {
        this.#failed(error);
      }
    });
    return usage;
  }

  #valuesOf(usage) {
    const request = this.#meter === null ? {} : { [this.#meter]: 1 };
    return { ...request, ...usage.values };
  }

  #note(customer, values, more) {
    const meters = Object.keys(values);
    try {
      if (meters.length === 1) this.#client.meter(customer, meters[0], values[meters[0]], more);
      else if (meters.length > 1) this.#client.meter(customer, values, more);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error) {
    this.#client.tell(error instanceof TollmeterError ? error : new TollmeterError(`A request was not metered: ${error}`));
  }
}

// Has currentUsage() answer with this usage in all that `next` begins.
export function during(usage, next) {
  requests.run(usage, next);
}

function headerReader(name) {
  const lower = name.toLowerCase();
  return (request, raw) => raw.headers[lower];
}

function statusClass(response) {
  // Whoever went away before there was an answer: 499, as web servers call it.
  const status = response.headersSent ? response.statusCode : 499;
  return `${Math.floor(status / 100)}xx`;
}
