/** Which snapshots expiry takes: the policy, the table's own settings before it, and our offsets before both. */
import { expect, test } from "bun:test";
import { expiryOf } from "#iceberg/metadata/expiry.ts";
import type { Snapshot, SnapshotRef, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { branchAt } from "#iceberg/metadata/tableMetadataJson.ts";
import { tableOf } from "../../support/tableOf.ts";

const DAY = 86_400_000;
const HOUR = 3_600_000;
const NOW = 100 * DAY;
const POLICY = { keepAllMs: HOUR, retentionMs: 7 * DAY, snapshotsMax: 500 };

/** A snapshot of an age; by default it follows the one of the id before. */
function snapshot(
  id: number,
  ageMs: number,
  more: { parent?: number | null; summary?: Record<string, string> } = {},
): Snapshot {
  const { parent = id === 1 ? null : id - 1, summary = {} } = more;
  return {
    snapshotId: BigInt(id),
    parentSnapshotId: parent === null ? null : BigInt(parent),
    sequenceNumber: BigInt(id),
    timestampMs: NOW - ageMs,
    manifestList: `/table/metadata/snap-${id}.avro`,
    summary: { operation: "append", ...summary },
    schemaId: 0,
    firstRowId: null,
    addedRows: null,
  };
}

function table(
  snapshots: readonly Snapshot[],
  more: {
    head?: number;
    properties?: Record<string, string>;
    refs?: Record<string, Partial<SnapshotRef>>;
  } = {},
): TableMetadata {
  const head = BigInt(more.head ?? snapshots.at(-1)?.snapshotId ?? 0);
  const refs: Record<string, SnapshotRef> = { main: branchAt(head) };
  for (const [name, ref] of Object.entries(more.refs ?? {})) {
    refs[name] = { ...branchAt(head), ...ref };
  }
  return { ...tableOf(2, more.properties), snapshots, currentSnapshotId: head, refs };
}

function goneOf(metadata: TableMetadata, policy = POLICY): number[] {
  return expiryOf(metadata, policy, NOW).snapshots.map(({ snapshotId }) => Number(snapshotId));
}

test("snapshots of 6.9 days stay, those of 7.1 days go", () => {
  const all = [snapshot(1, 7.1 * DAY), snapshot(2, 6.9 * DAY), snapshot(3, 0)];
  expect(goneOf(table(all))).toEqual([1]);
});

test("the table's own age comes before ours, a branch's own before the table's", () => {
  const all = [snapshot(1, 3 * DAY), snapshot(2, 2 * DAY), snapshot(3, 0)];
  const properties = { "history.expire.max-snapshot-age-ms": String(2.5 * DAY) };
  expect(goneOf(table(all, { properties }))).toEqual([1]);
  const refs = { main: { maxSnapshotAgeMs: DAY } };
  expect(goneOf(table(all, { properties, refs }))).toEqual([1, 2]);
  const years = { "history.expire.max-snapshot-age-ms": String(3650 * DAY) };
  expect(goneOf(table([snapshot(1, 90 * DAY), snapshot(2, 0)], { properties: years }))).toEqual([]);
});

test("no setting of the table takes the window within which another engine may commit", () => {
  const all = [snapshot(1, 2 * HOUR), snapshot(2, HOUR / 2), snapshot(3, 0)];
  const properties = { "history.expire.max-snapshot-age-ms": "1" };
  expect(goneOf(table(all, { properties }))).toEqual([1]);
});

test("so many as the table or the branch wants stay, however old they are", () => {
  const all = [snapshot(1, 30 * DAY), snapshot(2, 20 * DAY), snapshot(3, 10 * DAY)];
  expect(goneOf(table(all))).toEqual([1, 2]);
  const properties = { "history.expire.min-snapshots-to-keep": "2" };
  expect(goneOf(table(all, { properties }))).toEqual([1]);
  expect(goneOf(table(all, { properties, refs: { main: { minSnapshotsToKeep: 3 } } }))).toEqual([]);
});

test("beyond snapshot_max the oldest go, never those of the window, and not where the table says an age", () => {
  const all = Array.from({ length: 8 }, (_, index) => snapshot(index + 1, (8 - index) * HOUR));
  const few = { ...POLICY, snapshotsMax: 3 };
  expect(goneOf(table(all), few)).toEqual([1, 2, 3, 4]);
  expect(goneOf(table(all), { ...few, keepAllMs: 24 * HOUR })).toEqual([]);
  const properties = { "history.expire.max-snapshot-age-ms": String(7 * DAY) };
  expect(goneOf(table(all, { properties }), few)).toEqual([]);
});

test("what a tag or another branch holds stays; a rolled-back line goes by its age", () => {
  const all = [
    snapshot(1, 40 * DAY),
    snapshot(2, 30 * DAY),
    snapshot(3, 25 * DAY),
    snapshot(4, 20 * DAY, { parent: 2 }),
    snapshot(5, 2 * DAY, { parent: 2 }),
    snapshot(6, 0, { parent: 3 }),
  ];
  const refs = {
    kept: { snapshotId: 1n, type: "tag" },
    audit: { snapshotId: 3n },
  } as const;
  expect(goneOf(table(all, { refs }))).toEqual([2, 4]);
});

test("branches and tags go by max-ref-age, but never main or a branch that holds our offsets", () => {
  const all = [snapshot(1, 40 * DAY), snapshot(2, 30 * DAY)];
  const refs = {
    old: { snapshotId: 1n, type: "tag" },
    young: { snapshotId: 1n, type: "tag", maxRefAgeMs: 50 * DAY },
    ours: { snapshotId: 1n },
  } as const;
  const properties = {
    "history.expire.max-ref-age-ms": String(35 * DAY),
    "kafka-iceberg.progress.ours": "{}",
  };
  const { refs: gone } = expiryOf(table(all, { refs, properties }), POLICY, NOW);
  expect(gone).toEqual(["old"]);
  const soon = { ...properties, "history.expire.max-ref-age-ms": "1" };
  const expiry = expiryOf(table(all, { refs: { old: refs.old }, properties: soon }), POLICY, NOW);
  expect([expiry.refs, expiry.snapshots.map(({ snapshotId }) => snapshotId)]).toEqual([
    ["old"],
    [1n],
  ]);
});

test("the chain stays down to a snapshot with all our offsets, and it is said which stay for that", () => {
  const full = { "kafka-iceberg.offsets": "{}" };
  const delta = { ...full, "kafka-iceberg.base": "2" };
  const all = [
    snapshot(1, 50 * DAY, { summary: full }),
    snapshot(2, 40 * DAY, { summary: full }),
    snapshot(3, 30 * DAY, { summary: delta }),
    snapshot(4, 20 * DAY),
  ];
  const { snapshots, heldForOffsets } = expiryOf(table(all), POLICY, NOW);
  expect(snapshots.map(({ snapshotId }) => snapshotId)).toEqual([1n]);
  expect(heldForOffsets.map(({ snapshotId }) => snapshotId)).toEqual([3n, 2n]);
});

test("a chain whose offsets only the property knows is not cut a second time", () => {
  const all = [snapshot(1, 50 * DAY, { parent: 9 }), snapshot(2, 40 * DAY), snapshot(3, 30 * DAY)];
  expect(goneOf(table(all, { properties: { "kafka-iceberg.progress.main": "{}" } }))).toEqual([]);
  expect(goneOf(table(all))).toEqual([1, 2]);
});

test("gc.enabled = false forbids everything", () => {
  const all = [snapshot(1, 50 * DAY), snapshot(2, 0)];
  const properties = { "gc.enabled": "False", "history.expire.max-ref-age-ms": "1" };
  const refs = { old: { snapshotId: 1n, type: "tag" } } as const;
  const expiry = expiryOf(table(all, { properties, refs }), POLICY, NOW);
  expect(expiry).toEqual({ snapshots: [], refs: [], heldForOffsets: [] });
});
