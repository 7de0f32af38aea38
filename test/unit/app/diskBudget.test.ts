/** `state.max_disk_mb`: at the bound the disk counts as full, below it again there is room. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskBudget } from "#app/diskBudget.ts";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { describe } from "#base/errors.ts";
import { type Logger, silentLogger } from "#base/log.ts";

const folder = mkdtempSync(join(tmpdir(), "budget-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("folders at their bound are full until they are below it by a twentieth, and it is told once each", async () => {
  const [state, log] = [join(folder, "state"), join(folder, "log")];
  mkdirSync(state);
  mkdirSync(log);
  const told: string[] = [];
  const logger: Logger = { ...silentLogger, log: (_, sentence) => void told.push(sentence) };
  const parts = { clock: systemClock, disk: systemDisk, logger };
  const budget = new DiskBudget(parts, [state, log, join(folder, "gone")], 1000);
  const holds = async (inState: number, inLog: number): Promise<boolean> => {
    writeFileSync(join(state, "keys"), new Uint8Array(inState));
    writeFileSync(join(log, "segment"), new Uint8Array(inLog));
    await budget.look();
    return budget.isFull;
  };
  expect(await holds(400, 599)).toBe(false);
  expect([budget.reserve(2), budget.trouble]).toEqual([null, null]);
  budget.reserve(1)?.();
  expect(await holds(400, 600)).toBe(true);
  expect(describe(budget.trouble)).toContain("state.max_disk_mb");
  expect(await holds(400, 550)).toBe(true);
  expect(await holds(400, 549)).toBe(false);
  expect(told).toEqual([
    "The state directory has reached its bound",
    "The state directory has room again",
  ]);
});

test("room that was set aside is nobody else's until it is given back", async () => {
  const parts = { clock: systemClock, disk: systemDisk, logger: silentLogger };
  const budget = new DiskBudget(parts, [join(folder, "gone")], 1000);
  await budget.look();
  const first = budget.reserve(600);
  expect(budget.reserve(401)).toBe(null);
  const second = budget.reserve(400);
  expect(budget.reserve(1)).toBe(null);
  first?.();
  expect(budget.reserve(601)).toBe(null);
  second?.();
  expect(budget.reserve(1000)).not.toBe(null);
  expect(budget.isFull).toBe(false);
});
