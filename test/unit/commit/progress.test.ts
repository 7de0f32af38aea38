/**
 * Committed offsets in the table: their form, and where they are read from (SPEC 2.1, 2.2).
 */
import { expect, test } from "bun:test";
import { headOf, progressProperty, readProgress, refOf } from "#commit/progress.ts";
import { emptyDocument, offsetOf, SUMMARY, withOffsets } from "#commit/progressDocument.ts";
import { parseDocument, writeDocument, writeProperty } from "#commit/progressText.ts";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";

const feed = (partition: number, topic = "t") => ({
  clusterId: "c",
  topic,
  topicId: `id-${topic}`,
  partition,
});
const never = (): never => {
  throw new Error("main has a ref");
};
const empty = emptyDocument("main");
const documentOf = (offset: bigint, branch = "main") =>
  withOffsets({ ...empty, branch }, [{ feed: feed(0), offset }]);

function snapshot(id: bigint, parent: bigint | null, summary: Record<string, string>): Snapshot {
  return {
    snapshotId: id,
    parentSnapshotId: parent,
    sequenceNumber: id,
    timestampMs: Number(id),
    manifestList: `/list-${id}`,
    summary: { operation: "append", ...summary },
    schemaId: 0,
    firstRowId: null,
    addedRows: null,
  };
}

function table(snapshots: Snapshot[], property: string | null): TableMetadata {
  const head = snapshots.at(-1)?.snapshotId ?? null;
  const value = { type: "branch" as const, minSnapshotsToKeep: null, maxSnapshotAgeMs: null };
  return {
    ...newTableMetadata({
      uuid: "u",
      location: "/t",
      fields: [],
      spec: () => ({ specId: 0, fields: [] }),
      formatVersion: 2,
      properties: property === null ? {} : { [progressProperty("main")]: property },
      timestampMs: 0,
    }),
    snapshots,
    currentSnapshotId: head,
    refs: head === null ? {} : { main: { ...value, maxRefAgeMs: null, snapshotId: head } },
  };
}

const ours = (id: bigint, parent: bigint | null, offset: bigint, branch = "main"): Snapshot =>
  snapshot(id, parent, {
    [SUMMARY.offsets]: writeDocument(documentOf(offset, branch)),
    [SUMMARY.group]: "g",
  });
const read = (metadata: TableMetadata) => {
  const progress = readProgress(metadata, "main");
  if (progress.kind === "unreadable") return progress.reason;
  return [offsetOf(progress.document, feed(0)), progress.headIsOurs, progress.group];
};

test("the document has the form of the contract, sources and partitions in order", () => {
  const document = withOffsets(empty, [
    { feed: feed(10), offset: 9_007_199_254_740_993n },
    { feed: feed(2), offset: 0n },
    { feed: feed(0, "a"), offset: 5n },
  ]);
  expect(writeDocument(document)).toBe(
    '{"v":1,"branch":"main","sources":{"c/a":{"id":"id-a","p":{"0":5},"n":{"0":0}},' +
      '"c/t":{"id":"id-t","p":{"2":0,"10":9007199254740993},"n":{"2":0,"10":0}}}}',
  );
  expect(parseDocument(writeDocument(document))).toEqual(document);
});

test("new offsets leave the entries of other feeds as they are", () => {
  const before = withOffsets(documentOf(3n), [{ feed: feed(1), offset: 8n }]);
  const after = withOffsets(before, [{ feed: feed(0), offset: 4n }]);
  expect([offsetOf(after, feed(0)), offsetOf(after, feed(1))]).toEqual([4n, 8n]);
  expect(offsetOf(before, feed(0))).toBe(3n);
  expect(offsetOf(after, feed(9))).toBeNull();
});

test("a document of a newer release is refused, an unknown member is not", () => {
  expect(() => parseDocument('{"v":2,"sources":{}}')).toThrow("upgrade it");
  expect(parseDocument('{"v":1,"more":[],"sources":{}}').sources.size).toBe(0);
});

test("a damaged document is named, not guessed", () => {
  const bad = [
    "[]",
    "{}",
    '{"v":1,"sources":{"c/t":3}}',
    '{"v":1,"sources":{"c/t":{"p":{"0":"x"}}}}',
  ];
  for (const text of bad) expect(() => parseDocument(text)).toThrow(SUMMARY.offsets);
});

test("an empty table is read as having no offsets", () => {
  expect(read(table([], null))).toEqual([null, false, ""]);
});

test("the nearest ancestor with offsets decides, also behind foreign snapshots", () => {
  expect(read(table([ours(1n, null, 3n), ours(2n, 1n, 7n)], null))).toEqual([7n, true, "g"]);
  const behind = [ours(1n, null, 3n), ours(2n, 1n, 7n), snapshot(3n, 2n, {})];
  expect(read(table(behind, null))).toEqual([7n, false, "g"]);
});

test("an ancestor's offsets count whatever its branch was called", () => {
  const fastForwarded = [ours(1n, null, 3n), ours(2n, 1n, 7n, "audit")];
  expect(read(table(fastForwarded, null))).toEqual([7n, true, "g"]);
  const created = { ...table([ours(1n, null, 3n)], null) };
  const audit = readProgress(
    { ...created, refs: { ...created.refs, audit: created.refs["main"] ?? never() } },
    "audit",
  );
  expect(audit).toMatchObject({ kind: "readable", document: { branch: "audit" } });
  expect(audit.kind === "readable" && offsetOf(audit.document, feed(0))).toBe(3n);
});

test("a branch that does not exist yet begins with the offsets of main's head", () => {
  const metadata = table([ours(1n, null, 3n)], null);
  const progress = readProgress(metadata, "audit");
  expect(progress.kind === "readable" && offsetOf(progress.document, feed(0))).toBe(3n);
  expect([headOf(metadata, "audit"), refOf(metadata, "audit")]).toEqual([1n, null]);
});

test("another branch's property counts for its own snapshot, else a cut chain is not read as empty", () => {
  const text = writeProperty(documentOf(7n, "audit"), ours(2n, 1n, 7n));
  const withAudit = (snapshots: Snapshot[]): TableMetadata => ({
    ...table(snapshots, null),
    properties: { [progressProperty("audit")]: text },
  });
  expect(read(withAudit([snapshot(3n, 2n, {})]))).toEqual([7n, false, ""]);
  expect(String(read(withAudit([snapshot(4n, 3n, {})])))).toContain("written by snapshot 2");
  expect(read(withAudit([snapshot(4n, null, {})]))).toEqual([null, false, ""]);
});

test("the property counts when expiry has cut the chain right behind its snapshot, else never", () => {
  const property = writeProperty(documentOf(7n), ours(2n, 1n, 7n));
  expect(read(table([snapshot(3n, 2n, {})], property))).toEqual([7n, false, ""]);
  expect(String(read(table([snapshot(4n, 3n, {})], property)))).toContain("written by snapshot 2");
  expect(String(read(table([snapshot(3n, null, {})], property)))).toContain("rolled back");
  expect(String(read(table([snapshot(3n, 2n, {})], "{}")))).toContain("snapshot ?");
  expect(String(read(table([], property)))).toContain("no visible");
});

test("without refs main is the table's current snapshot", () => {
  const metadata = { ...table([ours(1n, null, 1n)], null), refs: {} };
  expect([headOf(metadata, "main"), refOf(metadata, "main")]).toEqual([1n, 1n]);
});

test("where only the head is visible, the property counts when the head is newer, else never", () => {
  const property = writeProperty(documentOf(7n), ours(2n, 1n, 7n));
  const at = (head: Snapshot) => {
    const progress = readProgress(table([head], property), "main", [], false);
    return progress.kind === "readable" ? offsetOf(progress.document, feed(0)) : progress.kind;
  };
  expect(at(ours(2n, null, 7n))).toBe(7n);
  expect(at(snapshot(4n, null, {}))).toBe(7n);
  expect(at(snapshot(1n, null, {}))).toBe("unreadable");
  const fresh = readProgress(table([snapshot(4n, null, {})], null), "main", [], false);
  expect(fresh.kind === "readable" && offsetOf(fresh.document, feed(0))).toBeNull();
});
