/**
 * `bun scripts/prove/month.ts [commits]`: a month of commits every five seconds (518,400) in metadata alone: the commit loop,
 * manifests, manifest lists and thinning as they are, over a store in memory and a catalog that keeps the newest
 * metadata; no data file is written, and none is compacted away.
 */
import { silentLogger } from "#base/log.ts";
import type { Feed } from "#base/offsets.ts";
import { seededRandom } from "#base/random.ts";
import type { Catalog, LoadedTable } from "#catalog/catalog.ts";
import { Append } from "#commit/append.ts";
import { commit, newCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { Ledger } from "#commit/ledger.ts";
import { manifestsOf } from "#iceberg/io/scan.ts";
import { writeTableMetadata } from "#iceberg/metadata/tableMetadataJson.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import { createMemoryStorage } from "../../test/fakes/memoryStorage.ts";
import { fileOf, tableOf } from "../../test/support/tableOf.ts";

const FEED: Feed = { clusterId: "c", topic: "t", topicId: "1", partition: 0 };
const INTERVAL_MS = 5000;
const DAY_MS = 86_400_000;
const LOOKS = 30;

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
let head: LoadedTable = { name, metadata: tableOf(2), metadataLocation: "/table/v1", storage };
let version = 1;
const catalog = {
  traits: { type: "file", showsAncestors: true, endsLateRequests: "all", removesSchemas: true },
  load: async () => head,
  commit: async (_, requirements, updates) => {
    const options = { timestampMs: nowMs, previousLocation: head.metadataLocation };
    const planned = planCommit(head.metadata, requirements, updates, options);
    if (planned.kind === "conflict") return { kind: "conflict", cause: planned.reason };
    head = { ...head, metadata: planned.metadata, metadataLocation: `/table/v${++version}` };
    return { kind: "committed", table: head };
  },
} as Pick<Catalog, "traits" | "load" | "commit"> as Catalog;
const txlog = { recovered: [], append: async () => undefined, close: async () => undefined };
const table = new CommitTable(
  {
    ...{ catalog, txlog, clock, random: seededRandom(1), logger: silentLogger },
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

async function append(n: number): Promise<void> {
  const random = table.parts.random.uuid();
  const day = Math.floor(nowMs / DAY_MS);
  const file = { ...fileOf(random, [day]), filePath: `/table/data/${random}.parquet` };
  const ledger = new Ledger(table.parts.random.uuid());
  ledger.plan([file.filePath]);
  ledger.store([file.filePath]);
  const expect = n === 0 ? null : BigInt(10 * n);
  const advance = { feed: FEED, expect, next: BigInt(10 * (n + 1)), rows: 10n };
  const units = [{ feeds: [FEED], files: [file] }];
  const change = new Append(table.parts, "flush", [advance], units);
  const result = await commit(table, newCommit(table, change, ledger));
  if (result.kind !== "committed") throw new Error(`commit ${n}: ${result.kind}`);
}

const commits = Number(process.argv[2] ?? 518_400);
const every = Math.max(1, Math.floor(commits / LOOKS));
const began = performance.now();
let [metadataMax, listMax, manifestsMax, snapshotsMax] = [0, 0, 0, 0];
const perCommit: number[] = [];
let since = performance.now();
for (let n = 0; n < commits; n++) {
  nowMs += INTERVAL_MS;
  await append(n);
  if ((n + 1) % every !== 0) continue;
  const took = (performance.now() - since) / every;
  const { metadata } = head;
  const snapshot = metadata.snapshots.find(
    (each) => each.snapshotId === metadata.currentSnapshotId,
  );
  const bytes = Buffer.byteLength(writeTableMetadata(metadata));
  const list = snapshot === undefined ? 0 : (await storage.get(snapshot.manifestList)).length;
  const manifests = snapshot === undefined ? 0 : (await manifestsOf(storage, snapshot)).length;
  metadataMax = Math.max(metadataMax, bytes);
  listMax = Math.max(listMax, list);
  manifestsMax = Math.max(manifestsMax, manifests);
  snapshotsMax = Math.max(snapshotsMax, metadata.snapshots.length);
  perCommit.push(took);
  const day = ((n + 1) * INTERVAL_MS) / DAY_MS;
  console.log(
    `day ${day.toFixed(1)}: ${metadata.snapshots.length} snapshots, metadata ${bytes} bytes, manifest list ${list} bytes, ${manifests} manifests, ${took.toFixed(2)} ms a commit, ${storage.objects.size} objects`,
  );
  since = performance.now();
}
console.log(
  JSON.stringify({
    ...{ commits, metadataMax, listMax, manifestsMax, snapshotsMax },
    firstMs: perCommit[0]?.toFixed(2),
    lastMs: perCommit.at(-1)?.toFixed(2),
    seconds: Math.round((performance.now() - began) / 1000),
  }),
);
