// The types that are shipped say what the code does.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const tsc = here("../node_modules/typescript/bin/tsc");

for (const [name, types] of [["tollmeter", "index"], ["tollmeter/express", "express"], ["tollmeter/fastify", "fastify"]]) {
  test(`${name} declares what it exports`, async () => {
    const text = readFileSync(here(`../types/${types}.d.ts`), "utf8");
    const declared = [...text.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, found]) => found);
    assert.deepEqual([...new Set(declared)].sort(), Object.keys(await import(name)).sort());
  });
}

test("options have the same names", async () => {
  const { Tollmeter } = await import("tollmeter");
  const [, declared] = readFileSync(here("../types/index.d.ts"), "utf8").match(/interface Options \{(.*?)^\}/ms);
  const names = [...declared.matchAll(/^ {2}(\w+)\?/gm)].map(([, found]) => found);
  assert.throws(() => new Tollmeter({ nothing: 1 }), { message: `There is no option nothing; there are ${names.join(", ")}.` });
});

test("a program in TypeScript", { skip: !existsSync(tsc) && "typescript is not installed: npm ci" }, async () => {
  const compiler = spawn(process.execPath, [tsc, "-p", here("types")], { cwd: here("..") });
  let output = "";
  compiler.stdout.on("data", (part) => (output += part));
  const code = await new Promise((resolve) => compiler.on("close", resolve));
  assert.equal(output, "");
  assert.equal(code, 0);
});
