// Plugin for Fastify: a fact for each request.

import { RequestMeter, during } from "./request_usage.js";

// For `app.register(metering(tollmeter, { customer: "X-Customer" }))`, before the routes. `customer` is a header's name, or
// a function of the request that is called when the request is over. In a handler, `request.usage.add(n)` counts records.
export function metering(client, options = {}) {
  const meter = new RequestMeter(client, options);
  const routeOf = options.route ?? ((request) => request.routeOptions?.url ?? request.routerPath);

  function tollmeter(app, _, done) {
    if (!app.hasRequestDecorator("usage")) app.decorateRequest("usage", null);
    app.addHook("onRequest", (request, reply, next) => {
      request.usage = meter.begin(request, request.raw, reply.raw, routeOf);
      during(request.usage, next);
    });
    // Reading a body leaves what the first hook began.
    app.addHook("preValidation", (request, reply, next) => during(request.usage, next));
    done();
  }

  // It is for the routes beside it, not for an application of its own.
  tollmeter[Symbol.for("skip-override")] = true;
  tollmeter[Symbol.for("fastify.display-name")] = "tollmeter";
  return tollmeter;
}
