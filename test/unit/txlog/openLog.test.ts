import { describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "#base/clock.ts";
import type { Disk } from "#base/disk.ts";
import { kindOf } from "#base/errors.ts";
import type { LogFields, Logger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { encodeSegmentHeader, LOG_FORMAT_VERSION } from "#txlog/frames.ts";
import type { LogEntry, LogSync, TransactionLog } from "#txlog/log.ts";
import { openTransactionLog } from "#txlog/openLog.ts";
import { createLossyDisk, type DiskStep, type LossyDisk } from "../../fakes/lossyDisk.ts";

const DIR = "/state/log";
const FIRST = `${DIR}/00000001.log`;

const tick = (offset: number): LogEntry => ({
  type: "OffsetCommit",
  topic: "t",
  partition: 0,
  offset: BigInt(offset),
});

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

function recorder(): { logger: Logger; lines: Line[] } {
  const lines: Line[] = [];
  const logger: Logger = {
    log: (level, message, fields = {}) => void lines.push({ level, message, fields }),
    with: () => logger,
  };
  return { logger, lines };
}

async function open(
  disk: Disk,
  options: { sync?: LogSync; segmentBytes?: number; every?: number; logger?: Logger } = {},
  clock: Clock = systemClock,
): Promise<TransactionLog> {
  return openTransactionLog(
    {
      dir: DIR,
      sync: options.sync ?? "commit",
      segmentBytes: options.segmentBytes ?? 1024,
      checkpointIntervalEntries: options.every ?? 1_000_000,
      checkpointIntervalMs: 60_000,
      retentionMs: 1e15,
      bytesMax: 1e12,
    },
    { disk, clock, log: options.logger ?? recorder().logger },
  );
}

const offsets = (log: TransactionLog): number[] =>
  log.recovered.flatMap(({ entry }) =>
    entry.type === "OffsetCommit" ? [Number(entry.offset)] : [],
  );

const segmentsOf = async (lossy: LossyDisk): Promise<string[]> =>
  (await Array.fromAsync(lossy.mount().list(DIR))).filter((name) => /^\d+\.log$/.test(name)).sort();

const kindThrown = (run: Promise<unknown>): Promise<string> =>
  run.then(
    () => "nothing thrown",
    (error: unknown) => kindOf(error),
  );

describe("transaction log: syncing", () => {
  const syncsOf = async (sync: LogSync, appendSync: boolean): Promise<number> => {
    const lossy = createLossyDisk({ random: seededRandom(1) });
    const log = await open(lossy.mount(), { sync });
    await log.append(tick(0));
    const before = lossy.steps.length;
    await log.append(tick(1), appendSync);
    return lossy.steps.slice(before).filter(({ operation }) => operation === "sync").length;
  };

  test.each([
    ["always", false, 1],
    ["always", true, 1],
    ["commit", false, 0],
    ["commit", true, 1],
    ["never", true, 0],
  ] as const)("policy %s, sync %p: %d syncs", async (policy, sync, expected) => {
    expect(await syncsOf(policy, sync)).toBe(expected);
  });

  test("concurrent appends share one write and one sync", async () => {
    const lossy = createLossyDisk({ random: seededRandom(1) });
    const log = await open(lossy.mount(), { segmentBytes: 1_000_000 });
    await log.append(tick(0), true);
    const before = lossy.steps.length;
    await Promise.all(Array.from({ length: 100 }, (_, at) => log.append(tick(at), true)));
    const after = lossy.steps.slice(before);
    const count = (name: string) => after.filter(({ operation }) => operation === name).length;
    expect(count("write")).toBeLessThanOrEqual(2);
    expect(count("sync")).toBeLessThanOrEqual(2);
  });
});

describe("transaction log: a disk that fails", () => {
  /** A log on a disk that fails while `fault` is set. */
  async function failing() {
    let fault: ((step: DiskStep) => string | null) | null = null;
    const lossy = createLossyDisk({
      random: seededRandom(1),
      fault: (step) => fault?.(step) ?? null,
    });
    const log = await open(lossy.mount());
    await log.append(tick(0), true);
    const failWith = (operation: string, code: string): void => {
      fault = (step) => (step.operation === operation ? code : null);
    };
    const heal = (): void => {
      fault = null;
    };
    return { lossy, log, failWith, heal };
  }

  test("no room: storage_full, what was half written is cut off, and it goes on later", async () => {
    const { lossy, log, failWith, heal } = await failing();
    failWith("write", "ENOSPC");
    expect(await kindThrown(log.append(tick(1), true))).toBe("storage_full");
    expect(await kindThrown(log.append(tick(2), true))).toBe("storage_full");
    heal();
    await log.append(tick(3), true);
    await log.close();
    const { logger, lines } = recorder();
    const again = await open(lossy.mount(), { logger });
    expect(offsets(again)).toEqual([0, 3]);
    expect(again.recovered.map(({ sequence }) => sequence)).toEqual([1n, 2n]);
    expect(lines).toEqual([]);
  });

  test("when cutting fails too, nothing is written until it succeeds", async () => {
    let broken = false;
    const lossy = createLossyDisk({
      random: seededRandom(1),
      fault: ({ operation }) =>
        broken && (operation === "write" || operation === "truncate") ? "ENOSPC" : null,
    });
    const log = await open(lossy.mount());
    await log.append(tick(0), true);
    broken = true;
    expect(await kindThrown(log.append(tick(1), true))).toBe("storage_full");
    expect(await kindThrown(log.append(tick(2), true))).toBe("storage_full");
    broken = false;
    await log.append(tick(3), true);
    await log.close();
    expect(offsets(await open(lossy.mount()))).toEqual([0, 3]);
  });

  test("after a failed sync the segment is left and a new one begun", async () => {
    const { lossy, log, failWith, heal } = await failing();
    failWith("sync", "EIO");
    expect(await kindThrown(log.append(tick(1), true))).toBe("storage_unreachable");
    heal();
    await log.append(tick(2), true);
    await log.close();
    expect(await segmentsOf(lossy)).toEqual(["00000001.log", "00000002.log"]);
    expect(offsets(await open(lossy.mount()))).toEqual([0, 2]);
  });

  test("a segment that cannot be begun leaves nothing, and a later try succeeds", async () => {
    let broken = true;
    const lossy = createLossyDisk({
      random: seededRandom(1),
      fault: ({ operation }) => (broken && operation === "write" ? "ENOSPC" : null),
    });
    const log = await open(lossy.mount());
    expect(await kindThrown(log.append(tick(0), true))).toBe("storage_full");
    expect(await segmentsOf(lossy)).toEqual([]);
    broken = false;
    await log.append(tick(1), true);
    await log.close();
    expect(offsets(await open(lossy.mount()))).toEqual([1]);
  });

  test("a checkpoint that cannot be written does not fail the append", async () => {
    let writes = 0;
    const lossy = createLossyDisk({
      random: seededRandom(1),
      fault: ({ operation }) => (operation === "write" && ++writes === 4 ? "ENOSPC" : null),
    });
    const { logger, lines } = recorder();
    const log = await open(lossy.mount(), { every: 2, logger });
    await log.append(tick(0), true);
    await log.append(tick(1), true);
    await log.append(tick(2), true);
    await log.close();
    expect(lines.map(({ level }) => level)).toEqual(["warn"]);
    expect(offsets(await open(lossy.mount()))).toEqual([0, 1, 2]);
  });

  test("a checkpoint is also due after a time", async () => {
    let nowMs = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
    const lossy = createLossyDisk({ random: seededRandom(1) });
    const log = await open(lossy.mount(), {}, clock);
    await log.append(tick(0));
    nowMs = 60_001;
    await log.append(tick(1));
    await log.close();
    const again = await open(lossy.mount());
    expect(again.recovered.map(({ entry }) => entry.type)).toEqual(["Checkpoint"]);
  });
});

describe("transaction log: what opening finds", () => {
  async function written(count: number, segmentBytes = 1_000_000): Promise<LossyDisk> {
    const lossy = createLossyDisk({ random: seededRandom(1) });
    const log = await open(lossy.mount(), { segmentBytes });
    for (let at = 0; at < count; at++) await log.append(tick(at), true);
    await log.close();
    return lossy;
  }

  async function cut(lossy: LossyDisk, path: string, bytesOff: number): Promise<void> {
    const file = await lossy.mount().open(path, "write");
    await file.truncate((await file.size()) - bytesOff);
  }

  test("a torn tail is cut off with a warning", async () => {
    const lossy = await written(5);
    await cut(lossy, FIRST, 10);
    const { logger, lines } = recorder();
    const log = await open(lossy.mount(), { logger });
    expect(offsets(log)).toEqual([0, 1, 2, 3]);
    expect(lines.map(({ level, message }) => [level, message])).toEqual([
      ["warn", "The transaction log ends in a torn entry, which is cut off"],
    ]);
    await log.append(tick(9), true);
    await log.close();
    const quiet = recorder();
    expect(offsets(await open(lossy.mount(), { logger: quiet.logger }))).toEqual([0, 1, 2, 3, 9]);
    expect(quiet.lines).toEqual([]);
  });

  test("damage in the middle is reported with its place, skipped, and left as it is", async () => {
    const lossy = await written(5);
    lossy.flipBit(FIRST, (24 + 2 * 72 + 40) * 8);
    const { logger, lines } = recorder();
    const log = await open(lossy.mount(), { logger });
    expect(offsets(log)).toEqual([0, 1, 3, 4]);
    expect(lines.length).toBe(1);
    expect(lines[0]?.level).toBe("error");
    expect(lines[0]?.fields["path"]).toBe(FIRST);
    expect(lines[0]?.fields["position"]).toBeGreaterThan(24);
  });

  test("a damaged end of an older segment is reported, not cut", async () => {
    const lossy = await written(20, 300);
    await cut(lossy, FIRST, 3);
    const sizes = async () => (await lossy.mount().stat(FIRST))?.bytes;
    const before = await sizes();
    const { logger, lines } = recorder();
    const log = await open(lossy.mount(), { logger });
    expect(offsets(log).length).toBe(19);
    expect(lines.map(({ level }) => level)).toEqual(["error"]);
    expect(await sizes()).toBe(before);
  });

  test("a segment with a damaged header is reported and not used; a new one is begun", async () => {
    const lossy = await written(3);
    lossy.flipBit(FIRST, 8 * 8);
    const { logger, lines } = recorder();
    const log = await open(lossy.mount(), { logger });
    expect(log.recovered).toEqual([]);
    expect(lines.map(({ level }) => level)).toEqual(["error"]);
    await log.append(tick(7), true);
    await log.close();
    expect(await segmentsOf(lossy)).toEqual(["00000001.log", "00000002.log"]);
  });

  test("a log of a newer release is refused loudly and left alone", async () => {
    const lossy = await written(3);
    const header = encodeSegmentHeader(1n);
    new DataView(header.buffer).setUint32(8, LOG_FORMAT_VERSION + 1, true);
    const { crc32c } = await import("#base/crc32c.ts");
    new DataView(header.buffer).setUint32(20, crc32c(header.subarray(0, 20)), true);
    const file = await lossy.mount().open(FIRST, "write");
    await file.write(header, 0);
    const error = await open(lossy.mount()).catch((thrown: unknown) => thrown);
    expect(kindOf(error)).toBe("state");
    expect(String(error)).toContain(`log format ${LOG_FORMAT_VERSION + 1}`);
  });

  test("a second opening is refused while the first is open, and what was open is untouched", async () => {
    const lossy = await written(2);
    const first = await open(lossy.mount());
    const error = await open(lossy.mount()).catch((thrown: unknown) => thrown);
    expect(kindOf(error)).toBe("state");
    expect(String(error)).toContain(DIR);
    await first.append(tick(2), true);
    await first.close();
    expect(offsets(await open(lossy.mount()))).toEqual([0, 1, 2]);
  });

  test("files that are no segments are ignored", async () => {
    const lossy = await written(2);
    for (const name of ["notes.txt", "1.log", "00000002.log.bak"])
      await (await lossy.mount().create(`${DIR}/${name}`)).close();
    expect(offsets(await open(lossy.mount()))).toEqual([0, 1]);
  });

  test("a disk that cannot be read is an error, not an empty log", async () => {
    const lossy = await written(2);
    const disk = lossy.mount();
    const unreadable: Disk = {
      ...disk,
      open: async () => {
        throw Object.assign(new Error("no"), { code: "EIO" });
      },
    };
    expect(await kindThrown(open(unreadable))).toBe("storage_unreachable");
  });
});
