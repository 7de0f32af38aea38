import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { withScratch } from "../../../scripts/scratch.ts";

test("the folder of a command can be passed through by the users of services, not listed, and is removed", async () => {
  const folder = await withScratch(async (env) => {
    const path = String(env["TMPDIR"]);
    expect(statSync(path).mode & 0o777).toBe(0o711);
    return path;
  });
  expect(existsSync(folder)).toBe(false);
});
