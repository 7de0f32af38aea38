/**
 * The promises of the transaction log port, on the machine's disk and on one in memory.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "#base/clock.ts";
import { type Disk, systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { LogEntry, LoggedEntry, LogSync, TransactionLog } from "#txlog/log.ts";
import { openTransactionLog } from "#txlog/openLog.ts";
import { type LogItem, readTransactionLog } from "#txlog/read.ts";
import { openAttempts } from "#txlog/recover.ts";
import { createLossyDisk } from "../fakes/lossyDisk.ts";

const huge = 2n ** 62n + 1n;
const started = (commit: string, files = 1): LogEntry => ({
  type: "FlushStarted",
  table: "db.t",
  commit_id: commit,
  base_sequence_number: 0n,
  file_paths: Array.from({ length: files }, (_, file) => `/w/${commit}-${file}.parquet`),
  upload_ids: {},
  offsets: { "c/t/0": huge },
});
const complete = (commit: string): LogEntry => ({
  type: "FlushComplete",
  table: "db.t",
  commit_id: commit,
  offsets: { "c/t/0": huge },
  snapshot_id: -5n,
});
const tick = (offset: bigint): LogEntry => ({
  type: "OffsetCommit",
  topic: "t",
  partition: 0,
  offset,
});

const entriesOf = (logged: readonly LoggedEntry[]): LogEntry[] => logged.map(({ entry }) => entry);

async function bytesOf(disk: Disk, dir: string): Promise<number> {
  let bytes = 0;
  for await (const name of disk.list(dir)) bytes += (await disk.stat(`${dir}/${name}`))?.bytes ?? 0;
  return bytes;
}

function contract(name: string, prepare: () => Promise<{ disk: Disk; root: string }>): void {
  describe(`transaction log contract: ${name}`, () => {
    let disk: Disk;
    let root: string;
    let count = 0;
    beforeAll(async () => {
      ({ disk, root } = await prepare());
    });
    afterAll(() => rm(root, { recursive: true, force: true }));

    const settings = {
      segmentBytes: 4096,
      checkpointIntervalMs: 1e12,
      retentionMs: 1e12,
      bytesMax: 1e12,
    };
    const open = (
      dir: string,
      options: {
        sync?: LogSync;
        every?: number;
        clock?: Clock;
        retentionMs?: number;
        bytesMax?: number;
      } = {},
    ): Promise<TransactionLog> =>
      openTransactionLog(
        {
          ...settings,
          dir,
          sync: options.sync ?? "commit",
          checkpointIntervalEntries: options.every ?? 1_000_000,
          retentionMs: options.retentionMs ?? settings.retentionMs,
          bytesMax: options.bytesMax ?? settings.bytesMax,
        },
        { disk, clock: options.clock ?? systemClock, log: silentLogger },
      );
    const newDir = (): string => `${root}/log${count++}`;
    const readAll = (dir: string): Promise<LogItem[]> =>
      Array.fromAsync(readTransactionLog(dir, { disk, clock: systemClock }));

    test("a new log is empty", async () => {
      const log = await open(newDir());
      expect(log.recovered).toEqual([]);
      await log.close();
    });

    test.each(["always", "commit", "never"] as const)(
      "what was appended is found again, in order and with every digit (fsync %s)",
      async (sync) => {
        const dir = newDir();
        const log = await open(dir, { sync });
        const entries = [started("a"), tick(huge), tick(3n), complete("a")];
        for (const entry of entries) await log.append(entry, true);
        await log.close();
        const again = await open(dir, { sync });
        expect(entriesOf(again.recovered)).toEqual(entries);
        expect(again.recovered.map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n, 4n]);
        await again.close();
      },
    );

    test("concurrent appends keep their order, over many segments and restarts", async () => {
      const dir = newDir();
      const expected: LogEntry[] = [];
      for (let run = 0; run < 3; run++) {
        const log = await open(dir);
        const entries = Array.from({ length: 300 }, (_, at) => tick(BigInt(run * 1000 + at)));
        await Promise.all(entries.map((entry, at) => log.append(entry, at % 50 === 0)));
        await log.close();
        expected.push(...entries);
      }
      const items = await readAll(dir);
      expect(items.flatMap((item) => (item.kind === "entry" ? [item.logged.entry] : []))).toEqual(
        expected,
      );
      expect(items.filter((item) => item.kind === "damage")).toEqual([]);
      expect((await Array.fromAsync(disk.list(dir))).length).toBeGreaterThan(3);
    });

    test("after a checkpoint, opening finds the flushes that were open at it, and no older entry", async () => {
      const dir = newDir();
      const log = await open(dir, { every: 5 });
      for (const entry of [started("a"), started("b"), complete("a"), tick(1n), tick(2n)])
        await log.append(entry, true);
      await log.append(tick(3n), true);
      await log.close();
      const again = await open(dir);
      const [first, ...rest] = entriesOf(again.recovered);
      expect(first?.type).toBe("Checkpoint");
      expect(rest).toEqual([tick(3n)]);
      expect(openAttempts(again.recovered).map(({ commitId }) => commitId)).toEqual(["b"]);
      await again.close();
    });

    test("segments before a checkpoint are dropped once they are old enough, and not earlier", async () => {
      const dir = newDir();
      let nowMs = systemClock.nowMs();
      const clock: Clock = { ...systemClock, nowMs: () => nowMs };
      const log = await open(dir, { every: 100, clock, retentionMs: 1_000_000 });
      for (let at = 0; at < 400; at++) await log.append(tick(BigInt(at)));
      const before = (await Array.fromAsync(disk.list(dir))).length;
      expect(before).toBeGreaterThan(5);
      nowMs += 10_000_000;
      for (let at = 0; at < 100; at++) await log.append(tick(BigInt(at)));
      await log.close();
      expect((await Array.fromAsync(disk.list(dir))).length).toBeLessThan(5);
      const again = await open(dir);
      expect(again.recovered[0]?.entry.type).toBe("Checkpoint");
      expect(again.recovered[0]?.sequence).toBeGreaterThan(400n);
      await again.close();
    });

    test("a log stays within its size whatever its entries hold, and recovers what is open", async () => {
      const dir = newDir();
      const bytesMax = 100_000;
      const log = await open(dir, { bytesMax });
      await log.append(started("open"));
      let largest = 0;
      for (let at = 0; at < 200; at++) {
        await log.append(started(`c${at}`, 100));
        await log.append(complete(`c${at}`));
        largest = Math.max(largest, await bytesOf(disk, dir));
      }
      await log.close();
      expect(largest).toBeLessThan(bytesMax * 1.25);
      const again = await open(dir);
      expect(openAttempts(again.recovered).map(({ commitId }) => commitId)).toEqual(["open"]);
      await again.close();
    });

    test("a closed log takes no more entries", async () => {
      const log = await open(newDir());
      await log.close();
      expect(log.append(tick(1n))).rejects.toThrow("closed");
    });
  });
}

contract("system disk", async () => ({
  disk: systemDisk,
  root: await mkdtemp(join(tmpdir(), "kafka-iceberg-txlog-")),
}));

contract("disk in memory", async () => {
  const disk = createLossyDisk({ random: seededRandom(1), nowMs: systemClock.nowMs }).mount();
  return { disk, root: "/kafka-iceberg-txlog-in-memory" };
});
