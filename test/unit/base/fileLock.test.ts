/** The lock of a folder's process: kept by the kernel, for the file and for its name. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockFile } from "#base/fileLock.ts";

const root = mkdtempSync(join(tmpdir(), "kafka-iceberg-lock-"));

afterAll(() => rm(root, { recursive: true, force: true }));

test("a lock is refused while it is held, and free after its release", async () => {
  const path = join(root, "lock");
  const held = await lockFile(path);
  expect(held).not.toBeNull();
  expect(await lockFile(path)).toBeNull();
  await held?.release();
  const again = await lockFile(path);
  expect(again).not.toBeNull();
  await again?.release();
});

test.if(process.platform === "linux")(
  "a folder that was removed and made again under its process stays locked, by any path to it",
  async () => {
    const folder = join(root, "state");
    mkdirSync(folder);
    symlinkSync(folder, join(root, "link"));
    const held = await lockFile(join(folder, "lock"));
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    expect(await lockFile(join(folder, "lock"))).toBeNull();
    expect(await lockFile(join(root, "link", "lock"))).toBeNull();
    await held?.release();
    const next = await lockFile(join(folder, "lock"));
    expect(next).not.toBeNull();
    await next?.release();
  },
);

test("folders of other names are locked apart", async () => {
  const locks = await Promise.all(["a", "b", "c"].map((name) => lockFile(join(root, name))));
  expect(locks.includes(null)).toBe(false);
  for (const lock of locks) await lock?.release();
});
