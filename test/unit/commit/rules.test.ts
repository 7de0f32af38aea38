/**
 * The rules of exactly once, case by case (SPEC 2.3, 2.4).
 */
import { expect, test } from "bun:test";
import { emptyDocument, SUMMARY, withOffsets } from "#commit/progressDocument.ts";
import {
  admit,
  findCommit,
  mayRemove as mayRemoveAt,
  resolveUnknown,
  type SentBases,
} from "#commit/rules.ts";
import type { Snapshot, SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";

const feed = (partition: number, topicId = "id") => ({
  clusterId: "c",
  topic: "t",
  topicId,
  partition,
});

/** A table whose snapshots have the ids and sequence numbers 1, 2, ... and these commit ids. */
function table(
  commits: readonly (string | null)[],
  more: { head?: number; last?: number; parents?: readonly number[] } = {},
): TableMetadata {
  const snapshots: Snapshot[] = commits.flatMap((commitId, index) => {
    if (commitId === null) return [];
    const parent = more.parents?.[index] ?? index;
    return {
      snapshotId: BigInt(index + 1),
      parentSnapshotId: parent === 0 ? null : BigInt(parent),
      sequenceNumber: BigInt(index + 1),
      timestampMs: index,
      manifestList: `/list-${index}`,
      summary: { operation: "append", [SUMMARY.commitId]: commitId },
      schemaId: 0,
      firstRowId: null,
      addedRows: null,
    };
  });
  const head: SnapshotId = BigInt(more.head ?? commits.length);
  return {
    ...newTableMetadata({
      uuid: "u",
      location: "/t",
      fields: [],
      spec: () => ({ specId: 0, fields: [] }),
      formatVersion: 2,
      properties: {},
      timestampMs: 0,
    }),
    snapshots,
    currentSnapshotId: head,
    lastSequenceNumber: BigInt(more.last ?? commits.length),
  };
}

const sent = (commitId: string, base: number) => ({
  commitId,
  snapshot: table(["x"]).snapshots[0] as Snapshot,
  baseSnapshotId: BigInt(base),
  baseSequenceNumber: BigInt(base),
  property: "{}",
});

test("the head admits what begins where it stands; everything else is fenced", () => {
  const document = withOffsets(emptyDocument("main"), [
    { feed: feed(0), offset: 5n },
    { feed: feed(1), offset: 7n },
  ]);
  const advances = [
    { feed: feed(0), expect: 5n, next: 9n, rows: 0n },
    { feed: feed(1), expect: 6n, next: 9n, rows: 0n },
    { feed: feed(2), expect: null, next: 0n, rows: 0n },
    { feed: feed(0), expect: null, next: 0n, rows: 0n },
    { feed: feed(2), expect: 0n, next: 3n, rows: 0n },
    { feed: feed(0, "other"), expect: 5n, next: 9n, rows: 0n },
    { feed: feed(3, "other"), expect: null, next: 0n, rows: 0n },
  ];
  const { admitted, fenced } = admit(document, advances);
  expect(admitted).toEqual(advances.filter((_, index) => [0, 2].includes(index)));
  expect(fenced).toHaveLength(5);
});

test("a commit id is found on the chain, beside it, or not at all", () => {
  const metadata = table(["a", "b", "c"], { head: 3, parents: [0, 1, 1] });
  expect(findCommit(metadata, "main", "a")).toEqual({ kind: "on-chain", snapshotId: 1n });
  expect(findCommit(metadata, "main", "b")).toEqual({ kind: "off-chain", snapshotId: 2n });
  expect(findCommit(metadata, "main", "d")).toEqual({ kind: "absent" });
});

test("an unknown outcome: landed, rolled back, undecided, passed", () => {
  const verdict = (metadata: TableMetadata, commitId: string, base: number) =>
    resolveUnknown(metadata, "main", sent(commitId, base));
  expect(verdict(table(["a", "b"]), "b", 1)).toEqual({ kind: "landed", snapshotId: 2n });
  expect(verdict(table(["a", "b"], { head: 1 }), "b", 1).kind).toBe("lost");
  expect(verdict(table(["a"]), "b", 1)).toEqual({ kind: "undecided" });
  expect(verdict(table(["a", "c"]), "b", 1)).toMatchObject({
    kind: "lost",
    reason: "the head moved without it",
  });
  // Rolled back to the base, and the snapshot expired: sending it again would list removed files.
  expect(verdict(table(["a", null], { head: 1, last: 2 }), "b", 1)).toMatchObject({
    kind: "lost",
    reason: expect.stringContaining("sequence number"),
  });
});

type Traits = Parameters<typeof mayRemoveAt>[3];
const PLAIN: Traits = { showsAncestors: true, endsLateRequests: "all" };
const mayRemove = (
  metadata: TableMetadata,
  id: string,
  bases: Omit<SentBases, "parentless"> | null,
  traits = PLAIN,
  parentless = false,
) => mayRemoveAt(metadata, id, bases && { ...bases, parentless }, traits);

test("files go only when every later snapshot is in sight and the request has been passed", () => {
  const bases = { first: 1n, last: 1n };
  expect(mayRemove(table(["a", "b"]), "b", bases).kind).toBe("never");
  expect(mayRemove(table(["a", "b"]), "b", null).kind).toBe("never");
  expect(mayRemove(table(["a"]), "b", null)).toEqual({ kind: "now", inspect: [] });
  expect(mayRemove(table(["a"]), "b", bases)).toEqual({ kind: "later" });
  const passed = mayRemove(table(["a", "c"]), "b", bases);
  expect(passed.kind === "now" && passed.inspect.map((each) => each.snapshotId)).toEqual([2n]);
  expect(mayRemove(table(["a", null, "c"]), "b", bases).kind).toBe("never");
  expect(mayRemove(table(["a", "c"]), "b", { first: 1n, last: 2n })).toEqual({ kind: "later" });
});

test("files of requests that were all refused go at once, when no later snapshot lists them", () => {
  const refused = { first: 1n, last: null };
  const removal = mayRemove(table(["a", null, "c"]), "b", refused);
  expect(removal.kind === "now" && removal.inspect.map((each) => each.snapshotId)).toEqual([3n]);
});

test("where snapshots are hidden no file that was sent goes, refused or not", () => {
  const nessie = { ...PLAIN, showsAncestors: false };
  for (const last of [1n, null]) {
    expect(mayRemove(table(["a", "c"]), "b", { first: 1n, last }, nessie).kind).toBe("never");
  }
  expect(mayRemove(table(["a", "c"]), "b", null, nessie).kind).toBe("now");
});

test("where nothing ends a late request, files of one without an answer stay", () => {
  const endless: Traits = { ...PLAIN, endsLateRequests: "none" };
  const at = (last: bigint | null) =>
    mayRemove(table(["a", "c"]), "b", { first: 1n, last }, endless);
  expect([at(1n).kind, at(null).kind]).toEqual(["never", "now"]);
});

test("where only requests with a parent end, files of one that has none stay", () => {
  const java: Traits = { ...PLAIN, endsLateRequests: "with-parent" };
  const at = (last: bigint | null, parentless: boolean, traits = java) =>
    mayRemove(table(["a", "c"]), "b", { first: 1n, last }, traits, parentless).kind;
  expect([at(1n, true), at(1n, false), at(1n, true, PLAIN)]).toEqual(["never", "now", "now"]);
});
