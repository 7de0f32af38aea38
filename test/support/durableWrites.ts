/**
 * A process for a system-call trace: writes one object, appends to a transaction log, and says so
 * on its standard output. Arguments: an empty folder, the log's sync policy.
 */
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createLocalStorage } from "#storage/local.ts";
import type { LogSync } from "#txlog/log.ts";
import { openTransactionLog } from "#txlog/openLog.ts";

const [, , root = "", sync = "commit"] = process.argv;
const parts = { disk: systemDisk, clock: systemClock, random: systemRandom, log: silentLogger };

const storage = createLocalStorage(parts);
await storage.put(`${root}/table/data/a.parquet`, new TextEncoder().encode("content"));
process.stdout.write("acknowledged put\n");

const log = await openTransactionLog(
  {
    dir: `${root}/log`,
    sync: sync as LogSync,
    checkpointIntervalEntries: 1000,
    checkpointIntervalMs: 1e9,
    retentionMs: 1e12,
    bytesMax: 1e12,
  },
  parts,
);
await log.append({ type: "BufferSnapshot", record_count: 1, size_bytes: 1 });
process.stdout.write("acknowledged append\n");
await log.append({ type: "BufferSnapshot", record_count: 2, size_bytes: 2 }, true);
process.stdout.write("acknowledged commit\n");
await log.close();
