// Usage of your API, sent to Tollmeter.
//
//   import { Tollmeter } from "tollmeter";
//
//   const tollmeter = new Tollmeter(); // TOLLMETER_API_KEY and TOLLMETER_URL
//   tollmeter.meter("acme", "ApiCalls", 52, { dimensions: { source: "crm" } });

export { Tollmeter } from "./client.js";
export { Closed, FactRejected, FactsDropped, Problem, QueueFull, TollmeterError, Unreachable } from "./errors.js";
export { currentUsage, RequestUsage } from "./request_usage.js";
export { version } from "./version.js";
