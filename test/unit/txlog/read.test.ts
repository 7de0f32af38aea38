import { describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { LogEntry, TransactionLog } from "#txlog/log.ts";
import { openTransactionLog } from "#txlog/openLog.ts";
import { type LogItem, type ReadLogOptions, readTransactionLog } from "#txlog/read.ts";
import { listSegments } from "#txlog/segments.ts";
import { createLossyDisk } from "../../fakes/lossyDisk.ts";

const DIR = "/log";
const tick = (offset: number): LogEntry => ({
  type: "OffsetCommit",
  topic: "t",
  partition: 0,
  offset: BigInt(offset),
});

const words = (item: LogItem): string => {
  if (item.kind === "damage") return item.isTail ? "tail" : item.damage.reason;
  const { entry } = item.logged;
  return entry.type === "OffsetCommit" ? String(entry.offset) : entry.type;
};

/** A disk and a log on it, with segments of a few entries and a clock that is set by hand. */
async function start(segmentBytes = 300) {
  const time = { nowMs: 1000 };
  const lossy = createLossyDisk({ random: seededRandom(1), nowMs: () => time.nowMs });
  const clock: Clock = { ...systemClock, nowMs: () => time.nowMs };
  const disk = lossy.mount();
  const log: TransactionLog = await openTransactionLog(
    {
      dir: DIR,
      sync: "never",
      segmentBytes,
      checkpointIntervalEntries: 1e9,
      checkpointIntervalMs: 1e12,
      retentionMs: 1e12,
      bytesMax: 1e12,
    },
    { disk, clock, log: silentLogger },
  );
  const read = async (options: ReadLogOptions = {}): Promise<string[]> =>
    (await Array.fromAsync(readTransactionLog(DIR, { disk, clock }, options))).map(words);
  return { time, lossy, disk, clock, log, read };
}

describe("reading the log from outside", () => {
  test("a folder that does not exist is an empty log", async () => {
    const { disk, clock } = await start();
    const items = await Array.fromAsync(readTransactionLog("/nowhere", { disk, clock }));
    expect(items).toEqual([]);
  });

  test("reads while the log is open, by type and by time", async () => {
    const { time, log, read } = await start();
    for (let at = 0; at < 10; at++) {
      time.nowMs = 1000 + at;
      await log.append(tick(at));
    }
    await log.append({ type: "BufferSnapshot", record_count: 1, size_bytes: 1 });
    expect(await read()).toEqual([..."0123456789", "BufferSnapshot"]);
    expect(await read({ sinceMs: 1007 })).toEqual(["7", "8", "9", "BufferSnapshot"]);
    expect(await read({ types: new Set(["BufferSnapshot"]) })).toEqual(["BufferSnapshot"]);
  });

  test("a torn tail, damage in the middle and a missing segment are told apart", async () => {
    const { lossy, disk, log, read } = await start();
    for (let at = 0; at < 20; at++) await log.append(tick(at));
    await log.close();
    const names = (await listSegments(disk, DIR)).map(({ path }) => path);
    expect(names.length).toBeGreaterThan(3);
    await disk.unlink(names[1] ?? "");
    lossy.flipBit(names[2] ?? "", (24 + 40) * 8);
    const last = await disk.open(names.at(-1) ?? "", "write");
    await last.truncate((await last.size()) - 1);
    const found = await read();
    expect(found.at(-1)).toBe("tail");
    expect(found.filter((word) => word.includes("checksum")).length).toBe(1);
    expect(found.some((word) => /^\d+$/.test(word))).toBe(true);
  });

  test("a segment that was taken away shows as a hole in the numbers", async () => {
    const { disk, log, read } = await start();
    for (let at = 0; at < 20; at++) await log.append(tick(at));
    const names = (await listSegments(disk, DIR)).map(({ path }) => path);
    await disk.unlink(names[1] ?? "");
    expect((await read()).filter((word) => word.includes("missing")).length).toBe(1);
  });

  test("following goes on with what is appended later, over new segments, until it is aborted", async () => {
    const { disk, log } = await start();
    const stop = new AbortController();
    const seen: string[] = [];
    let polls = 0;
    const clock: Clock = {
      ...systemClock,
      sleep: async () => {
        polls++;
        if (polls <= 5) for (let at = 0; at < 3; at++) await log.append(tick(polls * 10 + at));
        else stop.abort();
      },
    };
    for await (const item of readTransactionLog(DIR, { disk, clock }, { follow: stop.signal }))
      seen.push(words(item));
    const expected = [1, 2, 3, 4, 5].flatMap((poll) => [0, 1, 2].map((at) => `${poll * 10 + at}`));
    expect(seen).toEqual(expected);
    expect((await Array.fromAsync(disk.list(DIR))).length).toBeGreaterThan(2);
  });

  test("following waits for an entry that is only half there", async () => {
    const { disk, log } = await start(1_000_000);
    await log.append(tick(1));
    await log.close();
    const path = `${DIR}/00000001.log`;
    const file = await disk.open(path, "write");
    const whole = await file.read(0, await file.size());
    await file.truncate(whole.length - 5);
    const stop = new AbortController();
    const seen: string[] = [];
    const clock: Clock = {
      ...systemClock,
      sleep: async () => {
        if ((await file.size()) === whole.length) stop.abort();
        else await file.write(whole.subarray(whole.length - 5), whole.length - 5);
      },
    };
    for await (const item of readTransactionLog(DIR, { disk, clock }, { follow: stop.signal }))
      seen.push(words(item));
    expect(seen).toEqual(["1"]);
  });
});
