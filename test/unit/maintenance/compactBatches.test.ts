/** Which groups of a compaction are committed together. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { LIMITS } from "#base/limits.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import { batches } from "#maintenance/compactBatches.ts";
import type { PlannedGroup } from "#maintenance/compactPlan.ts";
import { fileOf } from "../../support/tableOf.ts";

const MIB = 2 ** 20;
const DELETES: LiveFile = { file: fileOf("d", [1]), snapshotId: 1n, sequenceNumber: 2n };

interface Shape {
  readonly rows: number;
  readonly bytes?: number;
  readonly isChanged?: boolean;
}

function group(path: string, { rows, bytes = MIB, isChanged = false }: Shape): PlannedGroup {
  const file = {
    ...{ path, fileFormat: "PARQUET", specId: 0, partition: [1], recordCount: BigInt(rows) },
    ...{ sizeBytes: BigInt(bytes), sequenceNumber: 1n, snapshotId: null, firstRowId: null },
  };
  return { inputs: [{ ...file, deletes: isChanged ? [DELETES] : [] }], bytes };
}

function batched(groups: readonly PlannedGroup[], isSorted = false): string[] {
  return batches(groups, isSorted)
    .map((batch) => batch.map(({ inputs: [file] }) => file?.path ?? "").join(" "))
    .toArray();
}

test("a group of more rows than can be numbered comes last, in a commit of its own kind", () => {
  const large = group("large", { rows: 30_000_000, isChanged: true });
  const small = ["a", "b"].map((path) => group(path, { rows: 100_000, isChanged: true }));
  expect(batched([large, ...small])).toEqual(["a b", "large"]);
});

test("a commit is closed before the group that would number too many rows", () => {
  const changed = ["a", "b", "c"].map((path) => group(path, { rows: 3 * MIB, isChanged: true }));
  expect(batched(changed)).toEqual(["a b", "c"]);
  const half = ["a", "b", "c"].map((path) => group(path, { rows: 4 * MIB, isChanged: true }));
  expect(batched(half)).toEqual(["a b", "c"]);
  const sorted = ["a", "b"].map((path) => group(path, { rows: 8 * MIB - 1 }));
  expect(batched(sorted, true)).toEqual(["a", "b"]);
  expect(batched(sorted)).toEqual(["a b"]);
});

test("a commit ends with the group by which it has bytes enough", () => {
  const bytes = LIMITS.compactionBytesPerCommit / 2;
  const groups = ["a", "b", "c"].map((path) => group(path, { rows: 10, bytes }));
  expect(batched(groups)).toEqual(["a b", "c"]);
  expect(batched([])).toEqual([]);
});

test("what is known of the rows of a commit takes 32 MiB at most, and every group is in one", () => {
  const shape = fc.record({
    rows: fc.integer({ min: 1, max: LIMITS.compactionRowsMax }).map((n) => n >> (n % 12)),
    isChanged: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(shape, { maxLength: 40 }), fc.boolean(), (shapes, isSorted) => {
      const groups = shapes.map((each, at) => group(`g${at}`, each));
      const made = [...batches(groups, isSorted)];
      expect(new Set(made.flat())).toEqual(new Set(groups));
      expect(made.flat().length).toBe(groups.length);
      for (const batch of made) {
        const bytes = batch.map(({ inputs: [file] }) => {
          const rows = Number(file?.recordCount);
          const isMixed = isSorted || (file?.deletes.length ?? 0) > 0;
          return isMixed && rows <= LIMITS.sortedMapRowsMax ? 4 * rows : rows / 8;
        });
        expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(32 * MIB);
      }
    }),
  );
});
