// What no server sees.

import assert from "node:assert/strict";
import { test } from "node:test";

import { problemOf } from "../src/answers.js";
import { Sender } from "../src/sender.js";

test("waits grow and differ", () => {
  const sender = new Sender(null, null, { retrySeconds: 1, retrySecondsMax: 60 });
  for (const [tries, longest] of [[1, 1], [2, 2], [4, 8], [7, 60], [1100, 60]]) {
    const waits = Array.from({ length: 50 }, () => sender.backoff(tries));
    assert.ok(new Set(waits).size > 10);
    assert.ok(longest / 2 <= Math.min(...waits) && Math.max(...waits) <= longest);
  }
});

test("a refusal of something in between is told, whatever is in it", () => {
  const odd = '{"title": {"toString": 1}, "detail": ["no", "upstream"], "errors": [null, 5, {"detail": {"valueOf": 1}}]}';
  const problem = problemOf(new Response(odd, { status: 503 }), odd);
  assert.equal(problem.status, 503);
  assert.equal(problem.detail, '["no","upstream"]');
  assert.match(problem.message, /^503 {"toString":1}: \["no","upstream"\]/);
});
