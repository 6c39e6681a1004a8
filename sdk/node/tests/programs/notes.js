// Notes so many facts, so many seconds apart, and prints their ids; then ends, and prints what became of them.
// Each fact has a value of its own, so that a sum tells whether one was counted twice.

import { Tollmeter } from "tollmeter";

const [facts, seconds] = process.argv.slice(2).map(Number);
let errors = 0;
const tollmeter = new Tollmeter({
  batchSize: 50,
  batchSeconds: 0.05,
  retrySeconds: 0.05,
  retrySecondsMax: 0.3,
  timeoutSeconds: 5,
  onError: () => errors++,
});

for (let number = 0; number < facts; number++) {
  console.log(tollmeter.meter("acme", "ApiCalls", number % 7, { dimensions: { source: `worker-${number % 3}` } }));
  if (seconds) await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
const done = await tollmeter.close(60);
console.log(JSON.stringify({ done, errors, ...tollmeter.counters }));
