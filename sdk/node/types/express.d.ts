import type { MeteringOptions, RequestUsage, Tollmeter } from "./index.js";

declare global {
  namespace Express {
    interface Request {
      /** What this request used. */
      usage: RequestUsage;
    }
  }
}

/** For `app.use(metering(tollmeter, { customer: "X-Customer" }))`, before the routes. */
export function metering<Request = any>(
  client: Tollmeter,
  options: MeteringOptions<Request>,
): (req: any, res: any, next: (error?: any) => void) => void;
