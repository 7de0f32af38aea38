/** Compactions of tables that keep every change: what `<table>_latest` shows is the same before and after, whatever they put together. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Random, seededRandom } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { LATEST_PROPERTY, type LatestRows, writeLatest } from "#columns/latest.ts";
import type { PlannedInput } from "#maintenance/compactPlan.ts";
import type { Database } from "#sql/database.ts";
import { selectLatest } from "#sql/latestRows.ts";
import { selectRows } from "#sql/selectRows.ts";
import { NO_FILES } from "#sql/snapshotFiles.ts";
import { RewriteRig } from "../../support/rewriteRig.ts";
import { field, type Row } from "../parquet/rows.ts";
import { openDatabase, ownStatement, WHOLE_ANSWER } from "../sql/engine.ts";

const rig = new RewriteRig(mkdtempSync(join(tmpdir(), "latest-")));
let database: Database;
beforeAll(async () => {
  database = await openDatabase();
  database.allow([`${rig.folder}/`]);
});
afterAll(() => {
  database.close();
  rmSync(rig.folder, { recursive: true });
});

const FIELDS = [
  field("id", { kind: "string" }, true),
  field("v", { kind: "long" }),
  field("at", { kind: "long" }),
  field("p", { kind: "int" }),
  field("o", { kind: "long" }),
  field("gone", { kind: "boolean" }),
].map((each, at) => ({ ...each, id: at + 1 }));
const BY_OFFSET: LatestRows = {
  ...{ key: ["id"], orderField: null, partition: "p", offset: "o", deleted: "gone" },
};

function tableOf(latest: LatestRows | null, formatVersion: 2 | 3): LoadedTable {
  const table = rig.tableOf(FIELDS, formatVersion);
  const properties = latest === null ? {} : { [LATEST_PROPERTY]: writeLatest(latest) };
  return { ...table, metadata: { ...table.metadata, properties } };
}

/** Rows of the view, or of the table. */
function shown(
  files: readonly PlannedInput[],
  latest: LatestRows | null,
): readonly (readonly (string | null)[])[] {
  const data = files.map(({ path }) => ({ path, location: path, sequence: 1n, partition: "" }));
  const nodes = database.columnsOfFiles(data.map(({ path }) => path));
  const all = selectRows(FIELDS, { ...NO_FILES, data }, nodes, 0);
  const select = latest === null ? all : selectLatest(all, FIELDS, latest);
  const views = [{ schema: "", name: "t", select }];
  const admitted = ownStatement("SELECT * FROM t ORDER BY ALL");
  return database.run({ ...WHOLE_ANSWER, admitted, views, form: "text" }).rows;
}

/** Rows of a few keys, each key in one partition; files of several flushes have them in any order. */
class Flow {
  readonly #random: Random;
  readonly #ends = [0, 0, 0];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  below(bound: number): number {
    return Math.floor(this.#random.unit() * bound);
  }

  rows(count: number): Row[] {
    return Array.from({ length: count }, (): Row => {
      const key = this.below(9);
      const partition = key % 3;
      const offset = this.#ends[partition] ?? 0;
      this.#ends[partition] = offset + 1 + this.below(3);
      const at = this.below(8) === 0 ? null : BigInt(this.below(40));
      const isGone = this.below(4) === 0;
      const value = isGone ? null : BigInt(this.below(1000));
      return [`k${key}`, value, at, partition, BigInt(offset), isGone ? true : null];
    });
  }
}

/** The newest rows, by a map. */
function modelOf(rows: readonly Row[], { orderField, deleted }: LatestRows): string[] {
  const newest = new Map<unknown, Row>();
  const rankOf = ([, , at, p, o]: Row): number[] => [
    ...(orderField === null ? [] : [at === null ? -1 : Number(at)]),
    ...[Number(p), Number(o)],
  ];
  for (const row of rows) {
    const other = newest.get(row[0]);
    const [mine, theirs] = [rankOf(row), other === undefined ? [] : rankOf(other)];
    const differs = mine.findIndex((each, at) => each !== theirs[at]);
    if (other === undefined || (mine[differs] ?? 0) > (theirs[differs] ?? 0))
      newest.set(row[0], row);
  }
  const left = [...newest.values()].filter((row) => deleted === null || row[5] !== true);
  return left.map((row) => row.map(String).join()).sort();
}

function asText(rows: readonly (readonly (string | null)[])[]): string[] {
  return rows.map((row) => row.map(String).join()).sort();
}

for (const latest of [
  BY_OFFSET,
  { ...BY_OFFSET, orderField: "at" },
  { ...BY_OFFSET, orderField: "at", deleted: null },
]) {
  const what = `${latest.orderField ?? "offset"}, ${latest.deleted === null ? "deleted ones too" : "without deleted ones"}`;
  test(`the view has the newest row of each key, before and after any files are put together (by ${what})`, async () => {
    for (let seed = 1; seed <= 2; seed++) {
      const flow = new Flow(seed);
      const batches = Array.from({ length: 5 }, () => flow.rows(1 + flow.below(12)));
      let files = await Promise.all(batches.map((rows) => rig.write(FIELDS, rows)));
      const wanted = modelOf(batches.flat(), latest);
      expect(asText(shown(files, latest))).toEqual(wanted);
      const head = tableOf(latest, seed % 2 === 0 ? 3 : 2);
      while (files.length > 1) {
        const first = flow.below(files.length - 1);
        const inputs = files.slice(first, first + 2 + flow.below(2));
        const { output } = await rig.rewrite(head, inputs);
        if (output === null) throw new Error("the newest rows are left");
        const { filePath: path, recordCount, fileSizeBytes: sizeBytes } = output;
        const [input] = inputs;
        if (input === undefined) throw new Error("a group has files");
        files = [
          ...files.filter((file) => !inputs.includes(file)),
          { ...input, path, recordCount, sizeBytes },
        ];
        expect([seed, ...asText(shown(files, latest))]).toEqual([seed, ...wanted]);
      }
      // All in one: a row for each key, and those that say that theirs was deleted.
      const keys = new Set(batches.flat().map(([id]) => id));
      expect(Number(files[0]?.recordCount)).toBe(keys.size);
    }
  }, 60_000);
}

test("a row that is deleted does not overtake another, and what overtakes keeps its row id", async () => {
  const older: Row = ["k", 1n, null, 0, 1n, null];
  const newer: Row = ["k", 2n, null, 0, 2n, null];
  const first = await rig.write(FIELDS, [older], { firstRowId: 10n });
  const second = await rig.write(FIELDS, [newer, newer], { firstRowId: 20n });
  const head = tableOf(BY_OFFSET, 3);
  const vector = await rig.vector(second.path, [0, 1]);
  const { output } = await rig.rewrite(head, [first, { ...second, deletes: [vector] }]);
  expect(output?.recordCount).toBe(1n);
  const other = await rig.write(FIELDS, [newer], { firstRowId: 30n });
  const thinned = await rig.rewrite(head, [first, other]);
  expect([thinned.output?.recordCount, thinned.moved, thinned.isThinned]).toEqual([1n, null, true]);
  const sql = `SELECT "_row_id"::VARCHAR FROM read_parquet('${thinned.output?.filePath}')`;
  const run = { ...WHOLE_ANSWER, admitted: ownStatement(sql), views: [], form: "text" } as const;
  expect(database.run(run).rows).toEqual([["30"]]);
});

test("where no row is overtaken, and in tables that say nothing of newest rows, every row stays in its place", async () => {
  const row = (id: string, offset: bigint): Row => [id, 1n, null, 0, offset, null];
  const inputs = [await rig.write(FIELDS, [row("a", 1n)]), await rig.write(FIELDS, [row("b", 2n)])];
  const whole = await rig.rewrite(tableOf(BY_OFFSET, 2), inputs);
  expect(whole.moved?.map(({ hidden }) => hidden.size)).toEqual([0, 0]);
  expect(whole.isThinned).toBeFalse();
  const same = [await rig.write(FIELDS, [row("a", 1n)]), await rig.write(FIELDS, [row("a", 2n)])];
  for (const latest of [null, { ...BY_OFFSET, key: ["lost"] }]) {
    const { output, isThinned } = await rig.rewrite(tableOf(latest, 2), same);
    expect([output?.recordCount, isThinned]).toEqual([2n, false]);
  }
});
