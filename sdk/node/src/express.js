// Middleware for Express: a fact for each request.

import { RequestMeter, during } from "./request_usage.js";

const ROUTE = Symbol("tollmeter.route");

// For `app.use(metering(tollmeter, { customer: "X-Customer" }))`, before the routes. `customer` is a header's name, or a
// function of the request that is called when the request is over. In a handler, `req.usage.add(n)` counts records.
export function metering(client, options = {}) {
  const meter = new RequestMeter(client, options);
  const routeOf = options.route ?? ((req) => req[ROUTE]);
  return function tollmeter(req, res, next) {
    followRoute(req);
    req.usage = meter.begin(req, req, res, routeOf);
    during(req.usage, next);
  };
}

// Express forgets where a router is mounted when it leaves it, as for an error: so the route is noted when it is found.
function followRoute(req) {
  if (ROUTE in req) return;
  let route = req.route;
  req[ROUTE] = route && pathOf(req, route);
  Object.defineProperty(req, "route", {
    configurable: true,
    enumerable: true,
    get: () => route,
    set(found) {
      route = found;
      if (found) req[ROUTE] = pathOf(req, found);
    },
  });
}

function pathOf(req, route) {
  const path = String(route.path);
  const own = new Set(path.match(/(?<=[:*])\w+/g));
  const mounted = Object.entries(req.params ?? {}).filter(([name]) => !own.has(name));
  const named = (part) => mounted.find(([, value]) => value === decoded(part));
  // A router that is mounted at a path with parameters has their values there in place of their names.
  const base = req.baseUrl.split("/").map((part) => (part && named(part) ? `:${named(part)[0]}` : part));
  return base.join("/") + path;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
