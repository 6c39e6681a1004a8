import type { FastifyPluginCallback, FastifyRequest } from "fastify";
import type { MeteringOptions, RequestUsage, Tollmeter } from "./index.js";

declare module "fastify" {
  interface FastifyRequest {
    /** What this request used. */
    usage: RequestUsage;
  }
}

/** For `app.register(metering(tollmeter, { customer: "X-Customer" }))`, before the routes. */
export function metering(client: Tollmeter, options: MeteringOptions<FastifyRequest>): FastifyPluginCallback;
