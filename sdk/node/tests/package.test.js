// The package as it is installed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { Tollmeter, version } from "tollmeter";

test("the version is that of the package, which needs no other", () => {
  const described = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.equal(version, described.version);
  assert.ok(!("dependencies" in described));
});

test("CommonJS gets the same", { skip: !process.features.require_module && "require() of ES modules needs Node 20.19" }, () => {
  const require = createRequire(import.meta.url);
  assert.equal(require("tollmeter").Tollmeter, Tollmeter);
  assert.equal(typeof require("tollmeter/express").metering, "function");
});
