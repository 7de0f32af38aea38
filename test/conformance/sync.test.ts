/**
 * What reaches the kernel, and in which order, before a write is acknowledged (SPEC 2.11, 2.12):
 * the kernel's own view of `test/unit/storage/local.test.ts`.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseTrace, type SystemCall, traceCalls } from "../support/strace.ts";

const PROGRAM = join(import.meta.dir, "..", "support", "durableWrites.ts");

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kafka-iceberg-sync-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function trace(sync: string): Promise<SystemCall[]> {
  const folder = await mkdtemp(join(root, `${sync}-`));
  return traceCalls([process.execPath, PROGRAM, folder, sync], `${folder}.trace`);
}

/** The first call of a name whose text matches and that begins after `after`. */
function next(calls: readonly SystemCall[], after: number, name: string, text: RegExp): SystemCall {
  const found = calls.find(
    (call) => call.start > after && call.name === name && text.test(call.text),
  );
  if (found === undefined) throw new Error(`no ${name}(${text}) after line ${after} of the trace`);
  return found;
}

/** Walks the calls: each must begin after the one before it has returned. */
function walk(calls: readonly SystemCall[], steps: readonly (readonly [string, RegExp])[]): void {
  let after = -1;
  for (const [name, text] of steps) after = next(calls, after, name, text).end;
}

describe("system calls before an acknowledgement", () => {
  test("put: folders and their parents, write, fsync, link, unlink, fsync of the folder", async () => {
    const calls = await trace("commit");
    const temporary = /table\/data\/\.a\.parquet\.[0-9a-f-]{36}\.tmp/.source;
    walk(calls, [
      ["mkdir", /\/table"/],
      ["fsync", /commit-[^/]*>$/],
      ["mkdir", /\/table\/data"/],
      ["fsync", /\/table>$/],
      ["pwrite64", new RegExp(`${temporary}>, "content"`)],
      ["fsync", new RegExp(`${temporary}>`)],
      ["link", new RegExp(`${temporary}", ".*/table/data/a\\.parquet"`)],
      ["unlink", new RegExp(temporary)],
      ["fsync", /\/table\/data>$/],
      ["write", /"acknowledged put/],
    ]);
    expect(calls.filter(({ name }) => name === "rename")).toEqual([]);
  }, 60_000);

  test("log: header and folder, then each commit's entry is written and synced", async () => {
    const calls = await trace("commit");
    walk(calls, [
      ["mkdir", /\/log"/],
      ["fsync", /commit-[^/]*>$/],
      ["pwrite64", /\/log\/00000001\.log>, "kiceblog/],
      ["fsync", /\/log\/00000001\.log>$/],
      ["fsync", /\/log>$/],
      ["pwrite64", /\/log\/00000001\.log>/],
      ["write", /"acknowledged append/],
      ["pwrite64", /\/log\/00000001\.log>/],
      ["fsync", /\/log\/00000001\.log>$/],
      ["write", /"acknowledged commit/],
    ]);
  }, 60_000);

  test.each([
    ["always", 1],
    ["commit", 0],
    ["never", 0],
  ])(
    "policy %s: an entry that is not a commit's costs %d syncs",
    async (policy, expected) => {
      const calls = await trace(policy);
      const put = next(calls, -1, "write", /"acknowledged put/);
      const append = next(calls, put.end, "write", /"acknowledged append/);
      const header = next(calls, put.end, "pwrite64", /kiceblog/);
      const entry = next(calls, header.end, "pwrite64", /\.log>/);
      const syncs = calls.filter(
        ({ name, start, end, text }) =>
          name === "fsync" && /\.log>$/.test(text) && start > entry.start && end < append.start,
      );
      expect(syncs.length).toBe(expected);
    },
    60_000,
  );

  test("a call that had not returned does not count as done", () => {
    const calls = parseTrace(
      [
        "7 fsync(5</w/a> <unfinished ...>",
        '8 write(1<pipe>, "acknowledged", 12) = 12',
        "7 <... fsync resumed>) = 0",
        '8 link("/w/.a.tmp", "/w/a") = -1 EEXIST (File exists)',
      ].join("\n"),
    );
    const order: [string, RegExp][] = [
      ["fsync", /a/],
      ["write", /acknowledged/],
    ];
    expect(() => walk(calls, order)).toThrow("no write");
    expect(calls.map(({ name }) => name)).toEqual(["write", "fsync"]);
  });
});
