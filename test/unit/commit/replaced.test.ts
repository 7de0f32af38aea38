/** CREATE OR REPLACE TABLE by another engine: told apart from rollbacks and expiry, and named. */
import { expect, test } from "bun:test";
import { progressProperty } from "#commit/progress.ts";
import { emptyDocument } from "#commit/progressDocument.ts";
import { writeProperty } from "#commit/progressText.ts";
import { isReplaced } from "#commit/replaced.ts";
import { unreadable } from "#commit/shares.ts";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";

function snapshot(id: bigint, parent: bigint | null): Snapshot {
  return {
    snapshotId: id,
    parentSnapshotId: parent,
    sequenceNumber: id,
    timestampMs: Number(id),
    manifestList: `/list-${id}`,
    summary: { operation: "append" },
    schemaId: 0,
    firstRowId: null,
    addedRows: null,
  };
}

/** Our last commit was snapshot 5; these are what is in the metadata now, `head` the branch's. */
function table(snapshots: Snapshot[], head: bigint | null, isOurs = true): TableMetadata {
  const property = writeProperty(emptyDocument("main"), snapshot(5n, 4n));
  const made = newTableMetadata({
    uuid: "u",
    location: "/t",
    fields: [],
    spec: () => ({ specId: 0, fields: [] }),
    formatVersion: 2,
    properties: isOurs ? { [progressProperty("main")]: property } : {},
    timestampMs: 0,
  });
  return { ...made, snapshots, currentSnapshotId: head };
}

test("a branch that is gone, or begins behind our last commit, was replaced", () => {
  const old = [snapshot(4n, null), snapshot(5n, 4n)];
  expect(isReplaced(table(old, null))).toBe(true);
  expect(isReplaced(table([...old, snapshot(6n, null)], 6n))).toBe(true);
  expect(isReplaced(table([...old, snapshot(6n, null), snapshot(7n, 6n)], 7n))).toBe(true);
});

test("a rollback, an expiry and a table that was never ours were not", () => {
  const old = [snapshot(4n, null), snapshot(5n, 4n)];
  expect(isReplaced(table(old, 4n))).toBe(false);
  expect(isReplaced(table([snapshot(7n, 6n)], 7n))).toBe(false);
  expect(isReplaced(table([snapshot(6n, null)], 6n, false))).toBe(false);
});

test("the error says what happened and what to do, not that offsets cannot be read", () => {
  const name = { namespace: ["db"], table: "t" };
  const error = unreadable({ name, metadata: table([], null) } as never, "no offsets");
  expect(error).toMatchObject({ kind: "table_gone" });
  expect(error.message).toContain("CREATE OR REPLACE TABLE");
});
