import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskError, onDisk, systemDisk, systemErrorCode } from "#base/disk.ts";
import { fail, kindOf } from "#base/errors.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "kafka-iceberg-disk-"));
});
afterAll(() => rm(dir, { recursive: true }));

const codeOf = (run: Promise<unknown>): Promise<string> => run.then(() => "none", systemErrorCode);

describe("the machine's disk", () => {
  test("writes at positions, reads short only at the end, truncates and tells its size", async () => {
    const file = await systemDisk.create(`${dir}/file`);
    await file.write(new TextEncoder().encode("world"), 6);
    await file.write(new TextEncoder().encode("hello "), 0);
    await file.sync();
    expect(await file.size()).toBe(11);
    expect(new TextDecoder().decode(await file.read(6, 100))).toBe("world");
    await file.truncate(5);
    expect(await file.size()).toBe(5);
    await file.close();
    expect(new TextDecoder().decode(systemDisk.map(`${dir}/file`))).toBe("hello");
  });

  test("create and link never overwrite", async () => {
    await (await systemDisk.create(`${dir}/one`)).close();
    expect(await codeOf(systemDisk.create(`${dir}/one`))).toBe("EEXIST");
    await systemDisk.link(`${dir}/one`, `${dir}/two`);
    expect(await codeOf(systemDisk.link(`${dir}/one`, `${dir}/two`))).toBe("EEXIST");
    await systemDisk.unlink(`${dir}/one`);
    expect((await systemDisk.stat(`${dir}/two`))?.kind).toBe("file");
  });

  test("stat tells files, folders, others, and what is not there", async () => {
    await systemDisk.mkdir(`${dir}/folder`);
    await systemDisk.syncDir(`${dir}/folder`);
    await symlink("/dev/null", `${dir}/device`);
    expect((await systemDisk.stat(`${dir}/folder`))?.kind).toBe("folder");
    expect((await systemDisk.stat(`${dir}/device`))?.kind).toBe("other");
    expect(await systemDisk.stat(`${dir}/none`)).toBeNull();
    expect(await codeOf(systemDisk.stat(`${dir}/device/x`))).toBe("ENOTDIR");
  });

  test("a lock is held by one, also within a process and after a collection of garbage", async () => {
    const path = `${dir}/lock`;
    const lock = await systemDisk.lock(path);
    expect(lock).not.toBeNull();
    Bun.gc(true);
    expect(await systemDisk.lock(path)).toBeNull();
    await lock?.release();
    const next = await systemDisk.lock(path);
    expect(next).not.toBeNull();
    await next?.release();
  });
});

test.each([
  ["ENOSPC", "storage_full"],
  ["EFBIG", "storage_full"],
  ["ENOENT", "storage_missing"],
  ["EACCES", "storage_refused"],
  ["ENAMETOOLONG", "storage_refused"],
  ["EMFILE", "storage_unreachable"],
])("%s becomes %s and names the path", (code, kind) => {
  const error = diskError(Object.assign(new Error("e"), { code }), "write", "/w/a");
  expect(error.kind as string).toBe(kind);
  expect(error.message).toContain("/w/a");
});

test("onDisk passes errors that are not the system's", async () => {
  const own = fail("state", "own");
  const run = (): Promise<never> => Promise.reject(own);
  expect(await onDisk("read", "/w", run).catch((error: unknown) => error)).toBe(own);
  const system = (): Promise<never> => Promise.reject(Object.assign(new Error(), { code: "EIO" }));
  expect(kindOf(await onDisk("read", "/w", system).catch((error: unknown) => error))).toBe(
    "storage_unreachable",
  );
});
