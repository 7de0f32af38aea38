/** Deleted rows in SQL: random tables with every kind of delete, against the rules of the Iceberg spec in plain loops. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { Field } from "#columns/schema.ts";
import type { Database } from "#sql/database.ts";
import { selectRows } from "#sql/selectRows.ts";
import { NO_FILES, type SnapshotFiles } from "#sql/snapshotFiles.ts";
import { encodeVector } from "../../support/deletionVectors.ts";
import { batchOf, bytesOf, encodeWhole } from "../parquet/rows.ts";
import { newFolder, openDatabase } from "./engine.ts";

const folder = newFolder();
let database: Database;
let written = 0;

beforeAll(async () => {
  database = await openDatabase();
  database.allow([folder]);
});
afterAll(() => database.close());

const ID: Field = { id: 1, name: "id", required: false, type: { kind: "int" } };
/** A column of the name that the SQL beside it gives to a row's own number. */
const N: Field = { id: 2, name: "n", required: false, type: { kind: "int" } };
const FIELDS = [ID, N];

async function writeRows(
  fields: readonly Field[],
  rows: readonly (readonly unknown[])[],
): Promise<string> {
  const path = join(folder, `${written++}.parquet`);
  const options = { codec: "snappy", level: null, rowGroupRows: 50, metadata: {} } as const;
  writeFileSync(path, bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], options)));
  return path;
}

/** The answer of a table of these files. */
function query(files: SnapshotFiles, sql: string) {
  const paths = [...files.data, ...files.equalityDeletes].map(({ path }) => path);
  const select = selectRows(FIELDS, files, database.columnsOfFiles(paths), 0);
  const views = [{ schema: "", name: "t", select }];
  const hot = [{ kind: "deleted" as const, vectors: files.vectors }];
  const admitted = database.admit(sql);
  const parameters: string[] = [];
  return database.run({
    admitted,
    views,
    hot,
    parameters,
    form: "json",
    rowsMax: 100_000,
    bytesMax: 1e9,
  });
}

const sequence = fc.bigInt({ min: 1n, max: 6n });
const partition = fc.constantFrom("a", "b");
const key = fc.option(fc.nat(9));
const tables = fc.record({
  data: fc.array(
    fc.record({ sequence, partition, rows: fc.array(fc.tuple(key, key), { maxLength: 120 }) }),
    { minLength: 1, maxLength: 4 },
  ),
  /** By file, rows that are deleted by vector; null: no vector. */
  vectors: fc.array(fc.option(fc.array(fc.nat(119), { minLength: 1, maxLength: 60 })), {
    minLength: 4,
    maxLength: 4,
  }),
  positions: fc.array(fc.tuple(fc.nat(3), fc.nat(119)), { maxLength: 40 }),
  equality: fc.array(
    fc.record({
      sequence,
      partition: fc.option(partition),
      by: fc.constantFrom("id", "n", "both"),
      keys: fc.array(fc.tuple(key, key), { minLength: 1, maxLength: 3 }),
    }),
    { maxLength: 4 },
  ),
});

type TableCase = typeof tables extends fc.Arbitrary<infer Case> ? Case : never;

/** Deletes of one partition, of all, and of another, in this order. */
const INTERLEAVED: TableCase = {
  data: [{ sequence: 1n, partition: "a", rows: [[2, null]] }],
  vectors: [null, null, null, null],
  positions: [],
  equality: [
    { sequence: 1n, partition: "b", by: "id", keys: [[null, null]] },
    { sequence: 1n, partition: null, by: "id", keys: [[null, null]] },
    { sequence: 2n, partition: "a", by: "id", keys: [[2, null]] },
  ],
};

test("a row is there unless a vector, a position of a file without one, or a newer equal row deletes it", async () => {
  await fc.assert(
    fc.asyncProperty(tables, async ({ data, vectors, positions, equality }) => {
      const files = await Promise.all(
        data.map(async ({ rows, ...about }) => {
          const path = await writeRows(FIELDS, rows);
          return { ...about, path, location: `file:${path}` };
        }),
      );
      const inside = vectors.map((rows, file) => {
        const last = data[file]?.rows.length ?? 0;
        const kept = [...new Set(rows?.filter((row) => row < last) ?? [])];
        return kept.length === 0 ? null : kept;
      });
      const deletes = equality.map(({ by, keys, ...about }) => {
        const fields = FIELDS.filter(({ name }) => by === "both" || name === by);
        const rows = keys.map((pair) => pair.filter((_, at) => fields.includes(FIELDS[at] ?? ID)));
        return { ...about, fields, rows };
      });
      const placed = positions.map(
        ([file, row]) => [files[file]?.location ?? "gone", row] as const,
      );
      const expected = data.flatMap(({ rows, ...file }, at) =>
        rows.filter((row, number) => {
          const vector = inside[at] ?? null;
          if (vector?.includes(number) === true) return false;
          const isAt = placed.some(([to, n]) => to === files[at]?.location && n === number);
          if (vector === null && isAt) return false;
          return !deletes.some(
            (each) =>
              each.sequence > file.sequence &&
              (each.partition === null || each.partition === file.partition) &&
              each.rows.some((values) =>
                each.fields.every((of, k) => values[k] === row[FIELDS.indexOf(of)]),
              ),
          );
        }),
      );
      const answer = query(
        {
          data: files,
          positionDeletes: placed.length === 0 ? [] : [await writePositions(placed)],
          equalityDeletes: await Promise.all(
            deletes.map(async ({ rows, ...about }) => ({
              ...about,
              path: await writeRows(about.fields, rows),
            })),
          ),
          vectors: inside.flatMap((rows, file) =>
            rows === null
              ? []
              : {
                  file,
                  blob: encodeVector(rows, "plain"),
                  puffin: "p",
                  rows: data[file]?.rows.length ?? 0,
                  deleted: rows.length,
                },
          ),
        },
        "SELECT id, n FROM t",
      );
      const seen = answer.rows.map((row) => row.map((value) => JSON.parse(value ?? "null")));
      expect(sorted(seen)).toEqual(sorted(expected));
    }),
    { numRuns: 100, examples: [[INTERLEAVED]] },
  );
}, 60_000);

function writePositions(placed: readonly (readonly [string, number])[]): Promise<string> {
  const path: Field = { id: 1, name: "file_path", required: true, type: { kind: "string" } };
  const pos: Field = { id: 2, name: "pos", required: true, type: { kind: "long" } };
  return writeRows(
    [path, pos],
    placed.map(([file, row]) => [file, BigInt(row)]),
  );
}

function sorted(rows: readonly (readonly unknown[])[]): string[] {
  return rows.map((row) => JSON.stringify(row)).sort();
}

test("each of a hundred thousand rows is hidden or shown by its own number", async () => {
  const count = 100_000;
  const path = await writeRows(
    FIELDS,
    Array.from({ length: count }, (_, id) => [id, null]),
  );
  const gone = Array.from({ length: count }, (_, id) => id).filter(
    (id) => id % 32 === 31 || id % 7 === 0 || (id > 70_000 && id < 90_000),
  );
  const vector = { file: 0, blob: encodeVector(gone, "plain"), puffin: "p", rows: count };
  const files: SnapshotFiles = {
    ...NO_FILES,
    data: [{ path, location: path, sequence: 1n, partition: "" }],
    vectors: [{ ...vector, deleted: gone.length }],
  };
  const { rows } = query(files, "SELECT id FROM t ORDER BY id");
  const dead = new Set(gone);
  const left = Array.from({ length: count }, (_, id) => id).filter((id) => !dead.has(id));
  expect(rows.map(([id]) => Number(id))).toEqual(left);
});

test("a damaged vector is an error, and the next statement is answered", async () => {
  const path = await writeRows(FIELDS, [[1, 1]]);
  const data = [{ path, location: path, sequence: 1n, partition: "" }];
  const blob = encodeVector([0], "plain").with(30, 0xff);
  const vectors = [{ file: 0, blob, puffin: "p.puffin", rows: 1, deleted: 1 }];
  expect(() => query({ ...NO_FILES, data, vectors }, "SELECT * FROM t")).toThrow(
    "A deletion vector in p.puffin is damaged: its checksum is wrong",
  );
  expect(query({ ...NO_FILES, data }, "SELECT count(*) FROM t").rows).toEqual([["1"]]);
});

test("a column that hides the place of a row is refused where rows are deleted, and read elsewhere", async () => {
  const fields = [{ ...ID, name: "File_Row_Number" }, N];
  const path = await writeRows(fields, [[1, 1]]);
  const data = [{ path, location: path, sequence: 1n, partition: "" }];
  expect(query({ ...NO_FILES, data }, "SELECT id FROM t").rows).toEqual([["1"]]);
  const positionDeletes = [await writePositions([[path, 0]])];
  expect(() => query({ ...NO_FILES, data, positionDeletes }, "SELECT id FROM t")).toThrow(
    "A table with deleted rows and a column File_Row_Number cannot be read here",
  );
});
