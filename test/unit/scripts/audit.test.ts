/** What the gate refuses of dependencies, and what it leaves when the registry does not answer. */
import { expect, test } from "bun:test";
import { graveWeaknesses, lockProblems } from "../../../scripts/audit.ts";

test("a package without a hash, or with a script of its own, is named", () => {
  const packages = {
    "": {},
    "node_modules/a": { integrity: "sha512-a" },
    "node_modules/b": {},
    "node_modules/a/node_modules/c": { integrity: "sha512-c", hasInstallScript: true },
    "node_modules/bun": { integrity: "sha512-d", hasInstallScript: true },
    "node_modules/other-platform": { optional: true },
  };
  expect(lockProblems(packages, ["bun"])).toEqual([
    "node_modules/b has no hash",
    "node_modules/a/node_modules/c runs a script when it is installed, which package.json does not allow",
  ]);
});

test("grave weaknesses fail the gate, slight ones and a registry that is away do not", () => {
  const vulnerabilities = {
    a: { name: "a", severity: "critical", range: "<2" },
    b: { name: "b", severity: "moderate", range: "*" },
  };
  expect(graveWeaknesses(JSON.stringify({ vulnerabilities }))).toEqual(["a <2: critical"]);
  expect(graveWeaknesses(JSON.stringify({ vulnerabilities: {} }))).toEqual([]);
  expect(graveWeaknesses('{"statusCode":405}')).toBeNull();
  expect(graveWeaknesses("")).toBeNull();
});
