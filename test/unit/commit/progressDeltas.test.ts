/** Summaries hold what a commit moved (SPEC 2.1): small, and read back to the same document from anywhere. */
import { expect, test } from "bun:test";
import { LIMITS } from "#base/limits.ts";
import { progressProperty, readProgress } from "#commit/progress.ts";
import {
  emptyDocument,
  leaderEpochOf,
  offsetOf,
  type ProgressDocument,
  SUMMARY,
  withOffsets,
} from "#commit/progressDocument.ts";
import {
  parseDocument,
  summaryMembers,
  writeDocument,
  writeProperty,
} from "#commit/progressText.ts";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { snapshotsToThin } from "#iceberg/metadata/retention.ts";
import { writeTableMetadata } from "#iceberg/metadata/tableMetadataJson.ts";
import { applyUpdates } from "#iceberg/metadata/updates.ts";
import { appendOf, nextSnapshot, sampleTable } from "../../support/icebergSamples.ts";

const FEEDS = Array.from({ length: 1000 }, (_, partition) => ({
  clusterId: "MkU3OEVBNTcwNTJENDM2Qk",
  topic: "events",
  topicId: "6fa459ea-ee8a-3ca4-894e-db77e160355e",
  partition,
}));
const POLICY = { branch: "main", keepAllMs: 3.6e6, retentionMs: 6.048e8, snapshotsMax: 500 };

/** A table that a writer commits to, without files. */
class Table {
  metadata: TableMetadata = sampleTable("/data/warehouse/default/events");
  #count = 0;

  read(): ProgressDocument {
    const progress = readProgress(this.metadata, "main");
    if (progress.kind === "unreadable") throw new Error(progress.reason);
    return progress.document;
  }

  /** One commit that moves the given partitions. */
  commit(partitions: readonly number[], advance = 250n, rows = advance): void {
    const before = this.read();
    const moves = partitions.flatMap((partition) => {
      const feed = FEEDS[partition];
      if (feed === undefined) return [];
      return [{ feed, offset: (offsetOf(before, feed) ?? 1_234_567_890n) + advance, rows }];
    });
    this.append(summaryMembers(before, withOffsets(before, moves)), withOffsets(before, moves));
  }

  append(members: Record<string, string>, document: ProgressDocument | null): void {
    const nowMs = 1_700_000_000_000 + this.#count++ * 5000;
    const id = 4_000_000_000_000_000_000n + BigInt(this.#count);
    const commitId = "0f8fad5b-d9cb-469f-a165-70867728950e";
    const summary = { operation: "append", [SUMMARY.commitId]: commitId, ...members };
    const base = nextSnapshot(this.metadata, id, nowMs);
    const snapshot: Snapshot = {
      ...base,
      summary: document === null ? { operation: "append" } : summary,
    };
    const properties =
      document === null ? {} : { [progressProperty("main")]: writeProperty(document, snapshot) };
    const snapshotIds = snapshotsToThin(this.metadata, POLICY, nowMs);
    this.metadata = applyUpdates(
      this.metadata,
      [
        ...appendOf(snapshot),
        { action: "set-properties", properties },
        { action: "remove-snapshots", snapshotIds },
      ],
      { timestampMs: nowMs },
    );
  }

  /** The same table without what its last commit put into the property. */
  withoutProperty(): TableMetadata {
    return { ...this.metadata, properties: {} };
  }
}

const ALL = FEEDS.map(({ partition }) => partition);
const some = (n: number): number[] => ALL.filter((partition) => (partition * 7 + n) % 50 === 0);

function textOf(metadata: TableMetadata): string {
  const progress = readProgress(metadata, "main");
  return progress.kind === "readable" ? writeDocument(progress.document) : progress.reason;
}

test("1,000 feeds and an hour of commits every 5 s: 20 feeds moved by each stay far below 8 MB, all moved by each too", () => {
  const sizes = [some, () => ALL].map((moved) => {
    const table = new Table();
    table.commit(ALL);
    for (let n = 0; n < 800; n++) table.commit(moved(n));
    const full = table.metadata.snapshots.length * writeDocument(table.read()).length;
    return { bytes: writeTableMetadata(table.metadata).length, full };
  });
  for (const [index, { bytes, full }] of sizes.entries()) {
    const moved = index === 0 ? 20 : 1000;
    console.log(
      `metadata.json, ${moved} of 1,000 feeds a commit: ${bytes} bytes; in full: ${full}`,
    );
  }
  expect(sizes[0]?.bytes).toBeLessThan(2_000_000);
  expect(sizes[1]?.bytes).toBeLessThan(8_000_000);
}, 60_000);

test("the property, the summaries and any ancestor tell the same offsets, and a full document is at most 50 snapshots away", () => {
  const table = new Table();
  table.commit(ALL);
  const texts: string[] = [];
  for (let n = 0; n < 130; n++) {
    table.commit(some(n), 250n, n % 3 === 0 ? 249n : 250n);
    texts.push(textOf(table.metadata));
    if (n % 9 === 0) expect(textOf(table.withoutProperty())).toBe(texts.at(-1) ?? "");
  }
  const { metadata } = table;
  const fulls = metadata.snapshots.filter(({ summary }) => summary[SUMMARY.base] === undefined);
  expect(fulls.length).toBe(1 + Math.floor(130 / LIMITS.offsetDeltasMax));
  for (const [n, text] of texts.entries()) {
    if (n % 11 !== 0) continue;
    const snapshotId = metadata.snapshots[n + 1]?.snapshotId ?? 0n;
    const main = metadata.refs["main"];
    if (main === undefined) continue;
    const refs = { main: { ...main, snapshotId } };
    expect(textOf({ ...metadata, refs, currentSnapshotId: snapshotId })).toBe(text);
  }
});

test("a delta whose base is not visible is not read as whole, unless the property is its own", () => {
  const table = new Table();
  table.commit(ALL);
  for (let n = 0; n < 3; n++) table.commit(some(n));
  const cut = { ...table.metadata, snapshots: table.metadata.snapshots.slice(2) };
  expect(textOf(cut)).toBe(writeDocument(table.read()));
  expect(textOf({ ...cut, properties: {} })).toContain("only the offsets that it moved");
});

test("foreign snapshots between do no harm; thinning keeps what a delta needs", () => {
  const table = new Table();
  table.commit(ALL);
  table.commit([3]);
  table.append({}, null);
  table.commit([3, 4]);
  table.append({}, null);
  expect(textOf(table.withoutProperty())).toBe(textOf(table.metadata));
  const later = 1_700_000_000_000 + 1e12;
  expect(snapshotsToThin(table.metadata, POLICY, later)).toEqual([]);
});

test("a first position, an offset set back and another topic id are written in full", () => {
  const table = new Table();
  table.commit(ALL.slice(1));
  const before = table.read();
  const isFull = (moves: Parameters<typeof withOffsets>[1]): boolean =>
    summaryMembers(before, withOffsets(before, moves))[SUMMARY.base] === undefined;
  const feed = FEEDS[5];
  const first = FEEDS[0];
  if (feed === undefined || first === undefined) throw new Error("there are 1,000 feeds");
  expect(isFull([{ feed, offset: 1_234_568_141n }])).toBe(false);
  expect(isFull([{ feed, offset: 5n }])).toBe(true);
  expect(isFull([{ feed: first, offset: 0n }])).toBe(true);
  expect(isFull([{ feed: { ...feed, topicId: "other" }, offset: 1_234_568_141n }])).toBe(true);
});

test("rows and leader epochs are kept with each offset and survive deltas", () => {
  const [feed] = FEEDS;
  if (feed === undefined) throw new Error("there are 1,000 feeds");
  const table = new Table();
  table.commit(ALL, 0n, 0n);
  const before = table.read();
  const moved = [{ feed, offset: 1_234_567_900n, rows: 7n, leaderEpoch: 4 }];
  table.append(summaryMembers(before, withOffsets(before, moved)), withOffsets(before, moved));
  const known = (): unknown[] =>
    [table.metadata, table.withoutProperty()].map((metadata) => {
      const progress = readProgress(metadata, "main");
      if (progress.kind === "unreadable") throw new Error(progress.reason);
      const source = [...progress.document.sources.values()][0];
      return [source?.rows.get(0), leaderEpochOf(progress.document, feed)];
    });
  table.commit([1], 5n, 5n);
  expect(known()).toEqual([
    [7n, 4],
    [7n, 4],
  ]);
  // The epoch belongs to its offset: a later offset whose epoch nobody knows has none.
  table.commit([0], 5n, 5n);
  expect(known()).toEqual([
    [12n, undefined],
    [12n, undefined],
  ]);
});

test("rows of a document without them stay unknown, and those of a first position begin at none", () => {
  const old = parseDocument('{"v":1,"branch":"main","sources":{"c/t":{"id":"i","p":{"0":5}}}}');
  const feed = { clusterId: "c", topic: "t", topicId: "i", partition: 0 };
  const next = withOffsets(old, [
    { feed, offset: 9n, rows: 4n },
    { feed: { ...feed, partition: 1 }, offset: 2n },
  ]);
  expect([...(next.sources.get("c/t")?.rows ?? [])]).toEqual([[1, 0n]]);
  expect(emptyDocument("main").sources.size).toBe(0);
});
