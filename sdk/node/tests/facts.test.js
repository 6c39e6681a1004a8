// Facts as they go over the wire.

import assert from "node:assert/strict";
import { test } from "node:test";

import { encode, newId, numberText } from "../src/facts.js";

const made = (...given) => JSON.parse(encode(...given).fact);

test("ids are UUIDs of version 7 in the order of time", () => {
  const before = Date.now();
  const ids = Array.from({ length: 20_000 }, newId);
  const millisecond = (id) => parseInt(id.replace("-", "").slice(0, 12), 16);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(millisecond(ids[0]) >= before);
  // 4096 are told apart in each millisecond; more are dated ahead.
  assert.ok(millisecond(ids.at(-1)) <= Date.now() + 5);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(ids, [...ids].sort());
});

test("a clock that is put back keeps the order", (t) => {
  const first = newId();
  t.mock.method(Date, "now", () => 0);
  const second = newId();
  assert.ok(first < second);
});

test("a fact says who, what and when", () => {
  const before = new Date().toISOString();
  const dimensions = { source: 'c"r\\m\n', ziel: "Köln 😀", nothing: undefined };
  const { id, fact } = encode("acme", "ApiCalls", 52, { dimensions });
  const { time, ...rest } = JSON.parse(fact);
  assert.ok(time >= before && time <= new Date().toISOString());
  delete dimensions.nothing;
  assert.deepEqual(rest, { id, customer: "acme", meter: "ApiCalls", value: 52, dimensions });
});

test("without a value it is 1, without dimensions it has none", () => {
  const { value, ...rest } = made("acme", "ApiCalls");
  assert.equal(value, 1);
  assert.ok(!("dimensions" in rest));
});

test("a fact for several meters", () => {
  const { values, dimensions, ...rest } = made("acme", { ApiCalls: 1, Records: "0.50" }, { dimensions: { source: "crm" } });
  assert.deepEqual([values, dimensions], [{ ApiCalls: 1, Records: "0.50" }, { source: "crm" }]);
  assert.ok(!("meter" in rest) && !("value" in rest));
});

test("an id and a time of one's own", () => {
  const time = new Date("2026-11-02T08:30:00+02:00");
  const fact = made("acme", "ApiCalls", 1, { id: "job-1", time });
  assert.deepEqual([fact.id, fact.time], ["job-1", "2026-11-02T06:30:00.000Z"]);
});

for (const [number, text] of [
  [52, "52"],
  [-0, "0"],
  [10n ** 23n, `1${"0".repeat(23)}`],
  [2 ** 53, "9007199254740992"],
  ["0.000000000000001", '"0.000000000000001"'],
  [0.1 + 0.2, "0.3"],
  [1.5, "1.5"],
  [1e-16, "0"],
  [1e-15, "1e-15"],
  [1234.5678901234, "1234.5678901234"],
]) {
  test(`numbers keep their digits: ${typeof number} ${number}`, () => assert.equal(numberText(number), text));
}

for (const number of [NaN, Infinity, true, "many", "", " 7", null, {}, []]) {
  test(`what is no number is refused where it is noted: ${typeof number} ${JSON.stringify(number)}`, () => {
    assert.throws(() => made("acme", "ApiCalls", number), TypeError);
    assert.throws(() => made("acme", { ApiCalls: number }), TypeError);
  });
}

for (const given of [
  ["", "ApiCalls"],
  [7, "ApiCalls"],
  ["acme"],
  ["acme", ""],
  ["acme", {}],
  ["acme", "ApiCalls", 1, { id: "" }],
  ["acme", "ApiCalls", 1, { id: 7 }],
  ["acme", "ApiCalls", 1, { time: "2026-11-02" }],
  ["acme", "ApiCalls", 1, { time: new Date(NaN) }],
  ["acme", "ApiCalls", 1, { dimensions: { source: 7 } }],
  ["acme", "ApiCalls", 1, { dimensions: { source: null } }],
  ["acme", "ApiCalls", { dimensions: { source: "crm" } }],
  ["acme", "ApiCalls", 1, { dimension: { source: "crm" } }],
  ["acme", { ApiCalls: 1 }, { values: {} }],
]) {
  test(`what is no fact is refused where it is noted: ${JSON.stringify(given)}`, () => {
    assert.throws(() => made(...given), TypeError);
  });
}
