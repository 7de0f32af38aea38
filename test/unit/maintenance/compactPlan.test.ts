/** Which files a compaction puts together. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { ListedFile } from "#iceberg/manifest/manifestFile.ts";
import { type CompactSettings, type PlannedGroup, planGroups } from "#maintenance/compactPlan.ts";
import { fileOf, tableOf } from "../../support/tableOf.ts";

const SETTINGS: CompactSettings = { smallBytes: 100, targetBytes: 500, deleteRatio: 0.1 };
const METADATA = tableOf(3);

function data(path: string, sizeBytes: number, more: Partial<ListedFile> = {}): ListedFile {
  return {
    ...{ path, fileFormat: "PARQUET", specId: 0, partition: [1], recordCount: 100n },
    ...{ sizeBytes: BigInt(sizeBytes), sequenceNumber: 1n, firstRowId: null },
    ...more,
  };
}

/** A deletion vector of a file. */
function vector(path: string, deleted: number): LiveFile {
  const file = fileOf(`vector-${path}`, [1]);
  const of = { referencedDataFile: path, contentOffset: 4n, recordCount: BigInt(deleted) };
  return {
    file: { ...file, content: "position-deletes", fileFormat: "PUFFIN", ...of },
    ...{ snapshotId: 1n, sequenceNumber: 2n },
  };
}

function plan(files: readonly ListedFile[], deletes: readonly LiveFile[] = []): string[][] {
  return pathsOf(planGroups(files, new DeleteIndex(METADATA, deletes), SETTINGS));
}

function pathsOf(groups: readonly PlannedGroup[]): string[][] {
  return groups.map(({ inputs }) => inputs.map(({ path }) => path));
}

test("small files of one partition become one, oldest first; large ones, and those of other partitions and specs, stay apart", () => {
  const files = [
    data("c", 50, { sequenceNumber: 3n }),
    data("a", 50, { sequenceNumber: 1n }),
    data("large", 100),
    data("x", 10, { partition: [2] }),
    data("y", 10, { partition: [2] }),
    data("z", 10, { specId: 1 }),
    data("null", 10, { partition: [null] }),
  ];
  expect(plan(files)).toEqual([
    ["a", "c"],
    ["x", "y"],
  ]);
});

test("a file joins younger ones only when they hold as much as it does", () => {
  const old = data("old", 90);
  const young = ["a", "b", "c"].map((path) => data(path, 29, { sequenceNumber: 2n }));
  expect(plan([old, ...young])).toEqual([]);
  expect(plan([old, ...young, data("d", 3, { sequenceNumber: 2n })])).toEqual([
    ["old", "a", "b", "c", "d"],
  ]);
});

test("a file with many deleted rows is written anew, whatever its size, alone if need be", () => {
  const files = [data("large", 900), data("other", 900)];
  expect(plan(files, [vector("large", 9), vector("other", 10)])).toEqual([["other"]]);
  expect(plan(files, [vector("gone", 99)])).toEqual([]);
});

test("a delete file that covers a partition counts evenly for its files, and not for younger ones", () => {
  const files = [data("a", 900), data("b", 900), data("young", 900, { sequenceNumber: 9n })];
  const file = fileOf("deletes", [1]);
  const of = (recordCount: bigint): LiveFile => ({
    file: { ...file, content: "position-deletes", recordCount },
    ...{ snapshotId: 1n, sequenceNumber: 2n },
  });
  expect(plan(files, [of(19n)])).toEqual([]);
  expect(plan(files, [of(20n)])).toEqual([["a"], ["b"]]);
});

test("a file that is listed twice, or is no Parquet, is left alone", () => {
  const files = [data("a", 10), data("b", 10), data("twice", 10), data("twice", 10)];
  files.push(data("orc", 10, { fileFormat: "ORC" }));
  expect(plan(files)).toEqual([["a", "b"]]);
});

test("groups of small files are within a tenth of the target, but for the last of a partition", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(sizes, (all) => {
      const files = all.map((size, at) => data(`f${at}`, size, { sequenceNumber: BigInt(at) }));
      const groups = planGroups(files, new DeleteIndex(METADATA, []), SETTINGS);
      const planned = pathsOf(groups).flat();
      // In order, each once: nothing is read twice, and nothing is reordered.
      expect(planned).toEqual(files.map(({ path }) => path).slice(0, planned.length));
      for (const [at, { bytes }] of groups.entries()) {
        expect(bytes).toBeLessThanOrEqual(550);
        if (at < groups.length - 1) expect(bytes).toBeGreaterThan(450);
      }
    }),
  );
});

test("every row is written again at most as often as files double on their way to the threshold", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(sizes, (flushes) => {
      let files: ListedFile[] = [];
      const writes = new Map<string, number>();
      for (const [at, size] of flushes.entries()) {
        files.push(data(`f${at}`, size, { sequenceNumber: BigInt(at) }));
        for (const { inputs, bytes } of planGroups(
          files,
          new DeleteIndex(METADATA, []),
          SETTINGS,
        )) {
          const path = `c${at}`;
          writes.set(path, 1 + Math.max(...inputs.map((each) => writes.get(each.path) ?? 0)));
          files = files.filter((each) => !inputs.some((input) => input.path === each.path));
          files.push(data(path, bytes, { sequenceNumber: BigInt(at) }));
        }
      }
      expect(Math.max(0, ...writes.values())).toBeLessThanOrEqual(8);
    }),
  );
});
