/**
 * `log`: the transaction log for people.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import type { LogEntry, TransactionLog } from "#txlog/log.ts";
import { openTransactionLog } from "#txlog/openLog.ts";
import { cli, makePlace, type Place } from "./place.ts";

const DAY_MS = 86_400_000;
const OLD: LogEntry = {
  type: "OffsetCommit",
  topic: "e",
  partition: 0,
  offset: 9_007_199_254_740_993n,
};
const NEW: LogEntry = { type: "BufferSnapshot", record_count: 3, size_bytes: 40 };

async function openLog(place: Place, nowMs: () => number): Promise<TransactionLog> {
  return openTransactionLog(
    {
      dir: `${place.folder}/state/transaction_logs`,
      sync: "never",
      checkpointIntervalEntries: 1000,
      checkpointIntervalMs: DAY_MS,
      retentionMs: DAY_MS,
      bytesMax: 1e12,
    },
    {
      disk: systemDisk,
      clock: {
        nowMs,
        monotonicMs: () => 0,
        sleep: () => Promise.resolve(),
        turn: () => Promise.resolve(),
      },
      log: silentLogger,
    },
  );
}

async function prepared(): Promise<Place> {
  const place = await makePlace();
  let nowMs = Date.UTC(2026, 0, 8);
  const log = await openLog(place, () => nowMs);
  await log.append(OLD);
  nowMs = Date.now();
  await log.append(NEW);
  await log.close();
  return place;
}

const on = (place: Place, ...words: string[]) => cli(["log", ...words, "--config", place.config]);

let place: Place;

beforeAll(async () => {
  place = await prepared();
});

describe("log", () => {
  test("prints every entry with time and number, with every digit", async () => {
    const { code, out } = await on(place);
    expect(code).toBe(0);
    const [first, second] = out.split("\n");
    expect(first).toBe(
      '2026-01-08T00:00:00.000Z 1 OffsetCommit {"topic":"e","partition":0,"offset":"9007199254740993"}',
    );
    expect(second).toContain(" 2 BufferSnapshot ");
  });

  test("prints lines of a few hundred characters for flushes of 1,000 partitions; --json has all", async () => {
    const own = await makePlace();
    const log = await openLog(own, () => Date.now());
    const feeds = Array.from({ length: 1000 }, (_, each) => `events/${each}`);
    await log.append({
      type: "FlushStarted",
      table: "default.events",
      commit_id: "c",
      file_paths: feeds.map((feed) => `/wh/${feed}.parquet`),
      base_sequence_number: 1n,
      upload_ids: {},
      offsets: Object.fromEntries(feeds.map((feed, each) => [feed, BigInt(each)])),
    });
    await log.close();
    const { out } = await on(own);
    expect(out.length).toBeLessThan(1000);
    expect(out).toContain('"events/9":9,"…":"990 more"');
    expect(out).toContain('"/wh/events/9.parquet","990 more"');
    const line = JSON.parse((await on(own, "--json")).out) as { offsets: object };
    expect(Object.keys(line.offsets)).toHaveLength(1000);
  });

  test("prints JSON lines", async () => {
    const { out } = await on(place, "--json", "--type", "OffsetCommit");
    expect(out).toBe(
      '{"sequence":1,"timestamp":"2026-01-08T00:00:00.000Z","type":"OffsetCommit","topic":"e","partition":0,"offset":"9007199254740993"}\n',
    );
  });

  test("filters by type, time and age", async () => {
    expect((await on(place, "--type=BufferSnapshot")).out).not.toContain("OffsetCommit");
    expect((await on(place, "--since", "1h")).out).not.toContain("OffsetCommit");
    expect((await on(place, "--since", "2026-01-07T00:00:00Z")).out).toContain("OffsetCommit");
  });

  test("--verify finds a whole log whole", async () => {
    const { code, out } = await on(place, "--verify");
    expect(code).toBe(0);
    expect(out).toContain(": 2 entries, no damage");
  });

  test("--verify reports damage with its place, exit 1", async () => {
    const own = await prepared();
    const path = `${own.folder}/state/transaction_logs/00000001.log`;
    const bytes = readFileSync(path);
    bytes[60] = (bytes[60] ?? 0) ^ 0xff;
    writeFileSync(path, bytes);
    const { code, out } = await on(own, "--verify");
    expect(code).toBe(1);
    expect(out).toMatch(/00000001\.log: \d+ bytes at 24 are not used: /);
    expect(out).toContain("1 entries, 1 damaged places");
  });

  test("--verify finds an unfinished last entry no damage", async () => {
    const own = await prepared();
    const path = `${own.folder}/state/transaction_logs/00000001.log`;
    const used = readFileSync(path).length;
    appendFileSync(path, new Uint8Array(7).fill(9));
    expect(readFileSync(path)).toHaveLength(used + 7);
    const { code, out } = await on(own, "--verify");
    expect(code).toBe(0);
    expect(out).toContain("ends in an unfinished entry");
  });

  test("--follow prints what is written meanwhile, also in new segments, until stopped", async () => {
    const own = await prepared();
    const seen = (out: string): boolean => out.includes('"record_count":777');
    const following = cli(["log", "--follow", "--config", own.config], {}, seen);
    const log = await openLog(own, () => Date.now());
    await log.append({ ...NEW, record_count: 777 });
    await log.close();
    const { code, out } = await following;
    expect(code).toBe(0);
    expect(out.match(/OffsetCommit/g)).toHaveLength(1);
  });

  test("that is not there is said", async () => {
    const empty = await makePlace();
    const { code, err } = await on(empty);
    expect({ code, err }).toEqual({
      code: 2,
      err: `There is no transaction log in ${empty.folder}/state/transaction_logs (transaction_log.log_dir)\n`,
    });
  });
});
