/**
 * `bun scripts/prove/month.ts [commits] [folder] [minutes]`: a month of commits every five seconds (518,400) in metadata
 * alone: the commit loop, manifests, manifest lists and thinning as they are, over a store in memory and a catalog that
 * keeps the newest metadata; no data file is written, and none is compacted away. At its end, or after so many minutes,
 * PyIceberg plans a scan of it, and of a table that lists the same files and was written in one commit. Called with the
 * same folder again it goes on.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import type { Feed } from "#base/offsets.ts";
import { seededRandom, systemRandom } from "#base/random.ts";
import type { Catalog, LoadedTable } from "#catalog/catalog.ts";
import { Append } from "#commit/append.ts";
import { commit, newCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { Ledger } from "#commit/ledger.ts";
import { manifestsOf } from "#iceberg/io/scan.ts";
import { readTableMetadata, writeTableMetadata } from "#iceberg/metadata/tableMetadataJson.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import { openStorage } from "#storage/open.ts";
import { createMemoryStorage } from "../../test/fakes/memoryStorage.ts";
import { storeOptions } from "../../test/fakes/storeOptions.ts";
import { fileOf, tableOf } from "../../test/support/tableOf.ts";
import { temporaryFolder } from "../services/process.ts";
import { planningOf } from "./planning.ts";

const FEED: Feed = { clusterId: "c", topic: "t", topicId: "1", partition: 0 };
const INTERVAL_MS = 5000;
const DAY_MS = 86_400_000;
const LOOKS = 30;

const commits = Number(process.argv[2] ?? 518_400);
const folder = process.argv[3] ?? (await temporaryFolder("month"));
const endMs = performance.now() + 60_000 * Number(process.argv[4] ?? 600);
const home = join(folder, "table");
const metadataFile = join(home, "metadata", "head.metadata.json");
let nowMs = Date.UTC(2026, 0, 1);
const clock = {
  nowMs: (): number => nowMs,
  monotonicMs: (): number => nowMs,
  sleep: async (): Promise<void> => undefined,
  turn: async (): Promise<void> => undefined,
};
const storage = createMemoryStorage({ nowMs: clock.nowMs });
// What is removed is kept for judges of the past, which a month has none of.
storage.removed.set = () => storage.removed;
const name = { namespace: ["db"], table: "t" };
let head: LoadedTable = {
  ...{ name, storage, metadataLocation: `${home}/metadata/v0` },
  metadata: { ...tableOf(2), location: home },
};
/** Commits that have been made. */
let done = 0;
if (existsSync(metadataFile)) await goOn();
const catalog = {
  traits: { type: "file", showsAncestors: true, endsLateRequests: "all", removesSchemas: true },
  load: async () => head,
  commit: async (_, requirements, updates) => {
    const options = { timestampMs: nowMs, previousLocation: head.metadataLocation };
    const planned = planCommit(head.metadata, requirements, updates, options);
    if (planned.kind === "conflict") return { kind: "conflict", cause: planned.reason };
    head = { ...head, metadata: planned.metadata, metadataLocation: `${home}/metadata/v${done}` };
    return { kind: "committed", table: head };
  },
} as Pick<Catalog, "traits" | "load" | "commit"> as Catalog;
const txlog = { recovered: [], append: async () => undefined, close: async () => undefined };
const table = new CommitTable(
  {
    // Names must not come twice, also where it goes on.
    ...{ catalog, txlog, clock, random: seededRandom(1 + done), logger: silentLogger },
    observe: () => undefined,
  },
  {
    ...{ name, branch: "main", group: "g", commitRetriesMax: 3 },
    thinning: {
      ...{ branch: "main", keepAllMs: 3_600_000, retentionMs: 7 * DAY_MS, snapshotsMax: 500 },
    },
  },
  head,
);

async function append(): Promise<void> {
  const random = table.parts.random.uuid();
  const day = Math.floor(nowMs / DAY_MS);
  const file = { ...fileOf(random, [day]), filePath: `${home}/data/${random}.parquet` };
  const ledger = new Ledger(table.parts.random.uuid());
  ledger.plan([file.filePath]);
  ledger.store([file.filePath]);
  const expect = done === 0 ? null : BigInt(10 * done);
  const advance = { feed: FEED, expect, next: BigInt(10 * (done + 1)), rows: 10n };
  const units = [{ feeds: [FEED], files: [file] }];
  const change = new Append(table.parts, "flush", [advance], units);
  const result = await commit(table, newCommit(table, change, ledger));
  if (result.kind !== "committed") throw new Error(`commit ${done}: ${result.kind}`);
  done++;
}

/** What a stop has left. */
async function goOn(): Promise<void> {
  const metadata = readTableMetadata(readFileSync(metadataFile, "utf8"));
  for (const name of readdirSync(dirname(metadataFile))) {
    const path = join(dirname(metadataFile), name);
    await storage.put(path, readFileSync(path));
  }
  done = Number(metadata.lastSequenceNumber);
  nowMs = metadata.lastUpdatedMs;
  head = { ...head, metadata, metadataLocation: `${home}/metadata/v${done}` };
}

/** Everything as files, for foreign readers, and for the next start. */
function save(): void {
  mkdirSync(dirname(metadataFile), { recursive: true });
  for (const [path, { content }] of storage.objects) writeFileSync(path, content);
  writeFileSync(metadataFile, writeTableMetadata(head.metadata));
}

/** How large the table's metadata is now. */
async function look(): Promise<Record<string, number>> {
  const { metadata } = head;
  const snapshot = metadata.snapshots.find(
    (each) => each.snapshotId === metadata.currentSnapshotId,
  );
  if (snapshot === undefined) throw new Error("the table has a snapshot");
  return {
    ...{ snapshots: metadata.snapshots.length, bytes: writeTableMetadata(metadata).length },
    listBytes: (await storage.get(snapshot.manifestList)).length,
    manifests: (await manifestsOf(storage, snapshot)).length,
  };
}

const every = Math.max(1, Math.floor(commits / LOOKS));
const most: Record<string, number> = {};
let since = { ms: performance.now(), cpu: process.cpuUsage(), done };
while (done < commits && performance.now() < endMs) {
  nowMs += INTERVAL_MS;
  await append();
  if (done % every !== 0) continue;
  const found = await look();
  for (const [what, value] of Object.entries(found)) most[what] = Math.max(most[what] ?? 0, value);
  const { user, system } = process.cpuUsage(since.cpu);
  const each = (ms: number): string => (ms / (done - since.done)).toFixed(2);
  const took = `${each(performance.now() - since.ms)} ms a commit, ${each((user + system) / 1000)} of CPU`;
  console.log(
    `day ${((done * INTERVAL_MS) / DAY_MS).toFixed(1)}: ${JSON.stringify(found)}, ${took}`,
  );
  since = { ms: performance.now(), cpu: process.cpuUsage(), done };
}
save();
console.log(JSON.stringify({ done, most, folder }));
const parts = { clock: systemClock, random: systemRandom, disk: systemDisk, log: silentLogger };
const local = openStorage(storeOptions, { ...parts, observe: ignoreObservations });
const grown = { ...head, storage: local, metadataLocation: metadataFile };
console.log(JSON.stringify(await planningOf(grown)));
process.exit(0);
