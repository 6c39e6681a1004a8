// What no server sees.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Sender } from "../src/sender.js";

test("waits grow and differ", () => {
  const sender = new Sender(null, null, { retrySeconds: 1, retrySecondsMax: 60 });
  for (const [tries, longest] of [[1, 1], [2, 2], [4, 8], [7, 60], [1100, 60]]) {
    const waits = Array.from({ length: 50 }, () => sender.backoff(tries));
    assert.ok(new Set(waits).size > 10);
    assert.ok(longest / 2 <= Math.min(...waits) && Math.max(...waits) <= longest);
  }
});
