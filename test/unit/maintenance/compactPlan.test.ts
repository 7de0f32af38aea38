/** Which files a compaction puts together. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { LIMITS } from "#base/limits.ts";
import { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { ListedFile } from "#iceberg/manifest/manifestFile.ts";
import { type CompactSettings, type PlannedGroup, planGroups } from "#maintenance/compactPlan.ts";
import { rejection } from "../../support/rejection.ts";
import { fileOf, tableOf } from "../../support/tableOf.ts";

const SETTINGS: CompactSettings = { smallBytes: 100, targetBytes: 500, deleteRatio: 0.1 };
const METADATA = tableOf(3);

function data(path: string, sizeBytes: number, more: Partial<ListedFile> = {}): ListedFile {
  return {
    ...{ path, fileFormat: "PARQUET", specId: 0, partition: [1], recordCount: 100n },
    ...{ sizeBytes: BigInt(sizeBytes), sequenceNumber: 1n, snapshotId: null, firstRowId: null },
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

async function plan(
  files: readonly ListedFile[],
  deletes: readonly LiveFile[] = [],
  { settings = SETTINGS, turn = async (): Promise<void> => undefined } = {},
): Promise<string[][]> {
  return pathsOf(await groupsOf(files, deletes, settings, turn));
}

function groupsOf(
  files: readonly ListedFile[],
  deletes: readonly LiveFile[] = [],
  settings = SETTINGS,
  turn = async (): Promise<void> => undefined,
): Promise<PlannedGroup[]> {
  return planGroups(files, new DeleteIndex(METADATA, deletes), settings, turn);
}

/** A file of position deletes that applies to a whole partition. */
function wide(name: string, recordCount: bigint, sequenceNumber = 2n): LiveFile {
  const file = fileOf(name, [1]);
  return {
    file: { ...file, content: "position-deletes", recordCount },
    ...{ snapshotId: 1n, sequenceNumber },
  };
}

function pathsOf(groups: readonly PlannedGroup[]): string[][] {
  return groups.map(({ inputs }) => inputs.map(({ path }) => path));
}

test("small files of one partition become one, oldest first; large ones, and those of other partitions and specs, stay apart", async () => {
  const files = [
    data("c", 50, { sequenceNumber: 3n }),
    data("a", 50, { sequenceNumber: 1n }),
    data("large", 100),
    data("x", 10, { partition: [2] }),
    data("y", 10, { partition: [2] }),
    data("z", 10, { specId: 1 }),
    data("null", 10, { partition: [null] }),
  ];
  expect(await plan(files)).toEqual([
    ["a", "c"],
    ["x", "y"],
  ]);
});

test("a file joins younger ones only when they hold as much as it does", async () => {
  const old = data("old", 90);
  const young = ["a", "b", "c"].map((path) => data(path, 29, { sequenceNumber: 2n }));
  expect(await plan([old, ...young])).toEqual([]);
  expect(await plan([old, ...young, data("d", 3, { sequenceNumber: 2n })])).toEqual([
    ["old", "a", "b", "c", "d"],
  ]);
});

test("a file with many deleted rows is written anew, whatever its size, alone if need be", async () => {
  const files = [data("large", 900), data("other", 900)];
  expect(await plan(files, [vector("large", 9), vector("other", 10)])).toEqual([["other"]]);
  expect(await plan(files, [vector("gone", 99)])).toEqual([]);
});

test("a delete file that covers a partition counts evenly for its files, and not for younger ones", async () => {
  const files = [data("a", 900), data("b", 900), data("young", 900, { sequenceNumber: 9n })];
  expect(await plan(files, [wide("deletes", 19n)])).toEqual([]);
  expect(await plan(files, [wide("deletes", 20n)])).toEqual([["a"], ["b"]]);
});

test("a file that is listed twice, or is no Parquet, is left alone", async () => {
  const files = [data("a", 10), data("b", 10), data("twice", 10), data("twice", 10)];
  files.push(data("orc", 10, { fileFormat: "ORC" }));
  expect(await plan(files)).toEqual([["a", "b"]]);
});

test("groups of small files are within a tenth of the target, but for the last of a partition", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(sizes, async (all) => {
      const files = all.map((size, at) => data(`f${at}`, size, { sequenceNumber: BigInt(at) }));
      const groups = await groupsOf(files);
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

test("every row is written again at most as often as files double on their way to the threshold", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(sizes, async (flushes) => {
      let files: ListedFile[] = [];
      const writes = new Map<string, number>();
      for (const [at, size] of flushes.entries()) {
        files.push(data(`f${at}`, size, { sequenceNumber: BigInt(at) }));
        for (const { inputs, bytes } of await groupsOf(files)) {
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

test("a group has a thousand files at most, and such a one is always worth writing", async () => {
  const settings = { smallBytes: 1e6, targetBytes: 5e6, deleteRatio: 0.1 };
  const files = [data("old", 900_000, { sequenceNumber: 0n })];
  for (let at = 0; at < 1200; at++) files.push(data(`f${at}`, 1));
  const groups = await plan(files, [], { settings });
  expect(groups.map(({ length }) => length)).toEqual([1000, 201]);
  expect(groups[0]?.[0]).toBe("old");
});

test("of more pairs of data files and delete files than memory allows some are planned, so that each run leaves fewer; without anything to do it is refused", async () => {
  const many = (count: number): LiveFile[] =>
    Array.from({ length: count }, (_, at) => wide(`d${at}`, 1n));
  const files = many(1500).map((_, at) => data(`f${at}`, 50));
  const planned = await groupsOf(files, many(1500));
  const pairs = planned.flatMap(({ inputs }) => inputs.map((input) => input.deletes.length));
  expect(pairs.length).toBeGreaterThan(1000);
  expect(pairs.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(
    LIMITS.compactionPairsMax,
  );
  const large = files.map((file) => ({ ...file, sizeBytes: 900n }));
  expect(await rejection(groupsOf(large, many(1500)))).toMatchObject({
    kind: "table_unsupported",
    message: expect.stringMatching(/rewrite_data_files.*rewrite_position_delete_files/),
  });
  // Those that are older than every file apply to none.
  const old = many(1500).map((each) => ({ ...each, sequenceNumber: 0n }));
  expect((await plan(files, old)).flat().length).toBe(1500);
});

test("a table that was written by equality deletes for long is compacted by a few runs", async () => {
  const flushes = 3000;
  const numbers = Array.from({ length: flushes }, (_, at) => BigInt(at + 1));
  let files = numbers.map((sequenceNumber) => data(`f${sequenceNumber}`, 5, { sequenceNumber }));
  const deletes = numbers.map((sequenceNumber): LiveFile => {
    const file = fileOf(`d${sequenceNumber}`, [1]);
    return {
      file: { ...file, content: "equality-deletes", equalityIds: [1], recordCount: 10n },
      ...{ snapshotId: 1n, sequenceNumber },
    };
  });
  let runs = 0;
  for (; ; runs++) {
    const groups = await groupsOf(files, deletes);
    if (groups.length === 0) break;
    const gone = new Set(groups.flatMap(({ inputs }) => inputs.map(({ path }) => path)));
    files = files.filter(({ path }) => !gone.has(path));
    for (const [at, { bytes }] of groups.entries()) {
      files.push(data(`c${runs}-${at}`, bytes, { sequenceNumber: BigInt(flushes) }));
    }
  }
  const index = new DeleteIndex(METADATA, deletes);
  expect(files.filter((file) => index.of(file).length > 0)).toEqual([]);
  // 4,500,000 pairs, of which a run looks at 2,000,000.
  expect(runs).toBeLessThanOrEqual(4);
});

test("a large plan lets others run between blocks of files", async () => {
  let turns = 0;
  const turn = async (): Promise<void> => void turns++;
  const deletes = Array.from({ length: 100 }, (_, at) => wide(`d${at}`, 1n));
  const files = Array.from({ length: 1000 }, (_, at) => data(`f${at}`, 50));
  await plan(files, deletes, { turn });
  // A hundred thousand pairs, three times, by some four thousand.
  expect(turns).toBeGreaterThan(60);
});

test("files of a partition that has just ended become one, whatever they hold", async () => {
  const files = [data("old", 90), data("young", 5, { sequenceNumber: 2n })];
  expect(await plan(files)).toEqual([]);
  const turn = async (): Promise<void> => undefined;
  const index = new DeleteIndex(METADATA, []);
  const closed = await planGroups(files, index, SETTINGS, turn, () => true);
  expect(pathsOf(closed)).toEqual([["old", "young"]]);
  expect(await planGroups([data("only", 5)], index, SETTINGS, turn, () => true)).toEqual([]);
});

test("no more rows become one file than can be numbered", async () => {
  const recordCount = BigInt(LIMITS.compactionRowsMax / 2);
  const files = ["a", "b", "c", "d"].map((path) => data(path, 50, { recordCount }));
  expect(await plan(files)).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
});

test("files of which changes delete rows become one only up to the rows that are numbered in any order", async () => {
  const recordCount = BigInt(LIMITS.changedRowsMax / 2);
  const files = ["a", "b", "c", "d"].map((path) => data(path, 50, { recordCount }));
  const deletes = files.map(({ path }) => vector(path, LIMITS.changedRowsMax / 4));
  expect(await plan(files)).toEqual([["a", "b", "c", "d"]]);
  expect(await plan(files, deletes)).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
});

const LARGE: CompactSettings = { smallBytes: 460e6, targetBytes: 512e6, deleteRatio: 0.1 };

/** Flushes of 100,000 rows. */
function flushes(count: number, more: Partial<ListedFile> = {}): ListedFile[] {
  return Array.from({ length: count }, (_, at) =>
    data(`s${at}`, 2e6, { recordCount: 100_000n, sequenceNumber: BigInt(at + 2), ...more }),
  );
}

/** A deletion vector that is younger than every file. */
function late(path: string, deleted: number): LiveFile {
  return { ...vector(path, deleted), sequenceNumber: 999n };
}

test("a file that leaves too few rows for others to be worth writing keeps no small file beside it, wherever the deletes are", async () => {
  const old = data("old", 60e6, { recordCount: 3_000_000n });
  const files = flushes(100);
  const paths = files.map(({ path }) => path);
  const ofOld = await plan([old, ...files], [late("old", 7)], { settings: LARGE });
  expect(ofOld).toEqual([paths]);
  const ofYoung = await plan([old, ...files], [late("s5", 7)], { settings: LARGE });
  expect(ofYoung).toEqual([paths.slice(0, 41), paths.slice(41)]);
  // It is taken as soon as many of its rows are deleted.
  const [taken] = await plan([old, ...files], [late("old", 300_000)], { settings: LARGE });
  expect(taken?.[0]).toBe("old");
  // Young ones of so many rows are left out as well, and end no group.
  const young = data("young", 60e6, { recordCount: 4_100_000n, sequenceNumber: 3n });
  const deletes = [late("s0", 7), late("young", 7)];
  expect((await plan([...files, young], deletes, { settings: LARGE })).flat()).toEqual(paths);
});

test("files that are left out for their rows are taken where they have many deletes", async () => {
  const one = data("one", 10e6, { recordCount: 100_000n });
  const full = data("full", 60e6, { recordCount: 4_150_000n, sequenceNumber: 2n });
  const deletes = [late("one", 7), late("full", 500_000)];
  expect(await plan([one, full], deletes, { settings: LARGE })).toEqual([["full"]]);
});

test("small files beside a table's changes become few, flush by flush, and no row is written often", async () => {
  let files: ListedFile[] = [];
  const writes = new Map<string, number>();
  for (const [at, flush] of flushes(300).entries()) {
    files.push(flush);
    // A few rows of each file but the last are deleted.
    const deletes = files.slice(0, -1).map(({ path }) => late(path, 7));
    for (const { inputs, bytes } of await groupsOf(files, deletes, LARGE)) {
      const path = `c${at}`;
      writes.set(path, 1 + Math.max(...inputs.map((each) => writes.get(each.path) ?? 0)));
      files = files.filter((each) => !inputs.some((input) => input.path === each.path));
      const recordCount = inputs.reduce((sum, each) => sum + each.recordCount, 0n);
      expect(recordCount).toBeLessThanOrEqual(LIMITS.changedRowsMax);
      files.push(data(path, bytes, { recordCount, sequenceNumber: BigInt(at + 2) }));
    }
  }
  // 30,000,000 rows.
  expect(files.length).toBeLessThanOrEqual(20);
  expect(Math.max(...writes.values())).toBeLessThanOrEqual(8);
});
