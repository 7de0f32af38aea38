import { describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import type { Disk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { LogEntry, TransactionLog } from "#txlog/log.ts";
import { openTransactionLog } from "#txlog/openLog.ts";
import { readTransactionLog } from "#txlog/read.ts";
import { createLossyDisk, type LossyDisk } from "../../fakes/lossyDisk.ts";

const DIR = "/state/log";

const tick = (offset: number): LogEntry => ({
  type: "OffsetCommit",
  topic: "t",
  partition: 0,
  offset: BigInt(offset),
});

function open(disk: Disk): Promise<TransactionLog> {
  return openTransactionLog(
    {
      dir: DIR,
      sync: "commit",
      segmentBytes: 300,
      checkpointIntervalEntries: 7,
      checkpointIntervalMs: 60_000,
      retentionMs: 1e15,
      bytesMax: 1e12,
    },
    { disk, clock: systemClock, log: silentLogger },
  );
}

/** The offsets of all entries in the folder, also those before the last checkpoint. */
async function readOffsets(disk: Disk): Promise<number[]> {
  const items = await Array.fromAsync(readTransactionLog(DIR, { disk, clock: systemClock }));
  return items.flatMap((item) =>
    item.kind === "entry" && item.logged.entry.type === "OffsetCommit"
      ? [Number(item.logged.entry.offset)]
      : [],
  );
}

describe("transaction log: power loss at every step", () => {
  /** Appends until the power fails; which entries were acknowledged as synced. */
  async function appendUntilCrash(lossy: LossyDisk, crashStep: number, mount: (d: Disk) => Disk) {
    lossy.crashAt(crashStep);
    const synced: number[] = [];
    let next = 0;
    try {
      for (let run = 0; run < 2; run++) {
        const log = await open(mount(lossy.mount()));
        for (let group = 0; group < 5; group++) {
          const appends = [next, next + 1, next + 2].map(async (offset) => {
            await log.append(tick(offset), offset % 3 === 2);
            if (offset % 3 === 2) synced.push(offset);
          });
          next += 3;
          await Promise.all(appends);
        }
        await log.close();
      }
    } catch {
      // The power failed.
    }
    return { synced, next };
  }

  async function crashEverywhere(mount: (disk: Disk) => Disk): Promise<string[]> {
    const broken: string[] = [];
    for (let crashStep = 0; crashStep < 400; crashStep++) {
      for (let seed = 0; seed < 4; seed++) {
        const lossy = createLossyDisk({ random: seededRandom(crashStep * 10 + seed) });
        const { synced, next } = await appendUntilCrash(lossy, crashStep, mount);
        if (lossy.steps.length <= crashStep) {
          if (seed === 3) return broken;
          lossy.crash();
        }
        const label = `seed ${seed}, step ${crashStep}`;
        broken.push(...(await findBroken(lossy, synced, next)).map((what) => `${label}: ${what}`));
      }
    }
    return broken;
  }

  async function findBroken(lossy: LossyDisk, synced: number[], next: number): Promise<string[]> {
    const log = await open(lossy.mount());
    const found = await readOffsets(lossy.mount());
    const broken: string[] = [];
    for (const offset of synced) if (!found.includes(offset)) broken.push(`lost ${offset}`);
    const sorted = [...found].sort((a, b) => a - b);
    if (found.join() !== sorted.join()) broken.push(`order ${found.join()}`);
    if (found.some((offset) => offset >= next)) broken.push("an entry that nobody appended");
    await log.append(tick(1_000_000), true);
    await log.close();
    if ((await readOffsets(lossy.mount())).at(-1) !== 1_000_000)
      broken.push("no append after the crash");
    return broken;
  }

  test("an entry whose append was acknowledged as synced is found again", async () => {
    expect(await crashEverywhere((disk) => disk)).toEqual([]);
  });

  test("the check finds a disk whose file sync does nothing", async () => {
    const noSync = (disk: Disk): Disk => ({
      ...disk,
      create: async (path) => ({ ...(await disk.create(path)), sync: async () => undefined }),
      open: async (path, access) => ({
        ...(await disk.open(path, access)),
        sync: async () => undefined,
      }),
    });
    expect((await crashEverywhere(noSync)).length).toBeGreaterThan(0);
  });

  test("the check finds a disk whose folder sync does nothing", async () => {
    const noSyncDir = (disk: Disk): Disk => ({ ...disk, syncDir: async () => undefined });
    expect((await crashEverywhere(noSyncDir)).length).toBeGreaterThan(0);
  });
});
