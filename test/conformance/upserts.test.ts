/** Changes of keys that we write, as PyIceberg and DuckDB see them, by each way in which older rows go, or stay. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Catalog } from "#catalog/catalog.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { ChangedTable } from "../support/changedTable.ts";
import { realCatalog } from "../support/realCatalogs.ts";
import { readColumns } from "../support/tableReaders.ts";
import { cli } from "../unit/cli/place.ts";

let root: string;
let catalog: Catalog;

beforeAll(async () => {
  root = await temporaryFolder("upserts");
  catalog = await realCatalog({ type: "file", warehouse: root, readOnly: false });
});

afterAll(async () => {
  await catalog?.close();
  await rm(root, { recursive: true, force: true });
});

for (const formatVersion of [2, 3] as const) {
  test(`v${formatVersion}: random changes of keys leave the rows of the model, for every reader`, async () => {
    const table = `changes${formatVersion}`;
    const changed = await ChangedTable.create(catalog, table, { formatVersion });
    for (let flush = 0; flush < 12; flush++) await changed.flush(1500, 400);
    await changed.flush(80_000, 70_000);
    await changed.flush(80_000, 70_000);
    const head = await catalog.load({ namespace: ["db"], table });
    const summary = head?.metadata.snapshots.at(-1)?.summary ?? {};
    expect(summary["total-equality-deletes"]).toBe("0");
    expect(Number(summary["total-position-deletes"])).toBeGreaterThan(50_000);
    const { readers } = await readColumns({
      table: { folder: join(root, "db", table) },
      columns: ["n"],
      order: "n",
    });
    const expected = changed.numbers.map(String);
    for (const reader of ["pyiceberg", "duckdb"] as const) {
      const found = readers[reader]?.["n"];
      expect(Array.isArray(found) ? found.length : found).toBe(expected.length);
      expect(found).toEqual(expected);
    }
  }, 120_000);
}

test("v3: an updated row keeps its id, also where it moves to another partition, and a key that was deleted gets a new one, for DuckDB", async () => {
  const table = "rowids";
  const changed = await ChangedTable.create(catalog, table, { formatVersion: 3 });
  const idsNow = async (): Promise<Map<string, number>> => {
    const columns = ["id", "_row_id"];
    const source = { folder: join(root, "db", table) };
    const { readers } = await readColumns({
      ...{ table: source, columns, order: "id", readers: ["duckdb"] },
    });
    const [keys, ids] = columns.map((name) => readers["duckdb"]?.[name]);
    if (!Array.isArray(keys) || !Array.isArray(ids)) throw new Error(JSON.stringify(readers));
    return new Map(keys.map((key, at) => [String(key), Number(ids[at])]));
  };
  for (let flush = 0; flush < 3; flush++) await changed.flush(1500, 2000);
  const [before, numbers] = [await idsNow(), new Map(changed.rows)];
  await changed.flush(1500, 2000);
  expect(changed.idProblems(before, await idsNow())).toEqual([]);
  const left = [...changed.rows.keys()].filter((key) => numbers.has(key));
  const again = left.filter((key) => changed.deleted.has(key));
  const updated = left.filter((key) => numbers.get(key) !== changed.rows.get(key));
  expect(again.length).toBeGreaterThan(10);
  expect(updated.length - again.length).toBeGreaterThan(500);
}, 240_000);

for (const [what, partitionForms] of [
  ["of all partitions, where rows move between them", ["day"]],
  ["of one partition, where the key says which", ["bucket(4, id)"]],
  ["of a table without partitions", []],
] as const) {
  test(`deletes by equality ${what}, leave the rows of the model for DuckDB; PyIceberg says that it cannot read them`, async () => {
    const table = `equality${partitionForms.length}${partitionForms[0]?.length ?? ""}`;
    const options = { formatVersion: 2, deletes: "equality", partitionForms } as const;
    const changed = await ChangedTable.create(catalog, table, options);
    for (let flush = 0; flush < 8; flush++) await changed.flush(1500, 400);
    const head = await catalog.load({ namespace: ["db"], table });
    const summary = head?.metadata.snapshots.at(-1)?.summary ?? {};
    expect(Number(summary["total-equality-deletes"])).toBeGreaterThan(2000);
    expect(summary["total-position-deletes"]).toBe("0");
    const { readers } = await readColumns({
      table: { folder: join(root, "db", table) },
      columns: ["n"],
      order: "n",
    });
    expect(readers["duckdb"]?.["n"]).toEqual(changed.numbers.map(String));
    expect(JSON.stringify(readers["pyiceberg"])).toContain("quality delete");
  }, 120_000);
}

for (const formatVersion of [2, 3] as const) {
  test(`v${formatVersion}: files that are written anew leave the rows of the model and no delete, and rows keep their ids`, async () => {
    const table = `copied${formatVersion}`;
    const options = { formatVersion, deletes: "copy-on-write" } as const;
    const changed = await ChangedTable.create(catalog, table, options);
    const read = async () => {
      const { readers } = await readColumns({
        table: { folder: join(root, "db", table) },
        columns: formatVersion === 3 ? ["n", "_row_id"] : ["n"],
        order: "n",
      });
      return readers;
    };
    for (let flush = 0; flush < 5; flush++) await changed.flush(1500, 4000);
    const before = (await read())["duckdb"];
    await changed.flush(1500, 4000);
    const after = await read();
    const expected = changed.numbers.map(String);
    expect(after["duckdb"]?.["n"]).toEqual(expected);
    expect(after["pyiceberg"]?.["n"]).toEqual(expected);
    const head = await catalog.load({ namespace: ["db"], table });
    const summary = head?.metadata.snapshots.at(-1)?.summary ?? {};
    expect(summary["total-delete-files"]).toBe("0");
    expect(summary["total-records"]).toBe(`${expected.length}`);
    if (formatVersion === 2) return;
    const idsOf = (answer: typeof before) => {
      const [n, ids] = [answer?.["n"], answer?.["_row_id"]];
      return new Map(
        Array.isArray(n) && Array.isArray(ids) ? n.map((each, at) => [each, ids[at]]) : [],
      );
    };
    const [first, last] = [idsOf(before), idsOf(after["duckdb"])];
    expect(new Set(last.values()).size).toBe(expected.length);
    const same = [...first].filter(([n]) => last.has(n));
    expect(same.length).toBeGreaterThan(1000);
    for (const [n, id] of same) expect([n, last.get(n)]).toEqual([n, id]);
  }, 240_000);
}

/** The statement that CHANGE_DATA gives to those who make a view, over DuckDB's name of the table. */
async function viewOfThePage(): Promise<string> {
  const page = await Bun.file(join(import.meta.dir, "../../docs/CHANGE_DATA.md")).text();
  const [, text] = /CREATE VIEW orders_latest AS\n([\s\S]+?)```/.exec(page) ?? [];
  if (text === undefined) throw new Error("the page has the statement");
  return `(${text.replace(/--.*/g, "").replace("FROM orders", "FROM {table}")})`;
}

test("where every change stays, the view that the page gives and <table>_latest have the rows of the model, before and after a compaction", async () => {
  const table = "kept";
  const changed = await ChangedTable.create(catalog, table, { formatVersion: 3, keepsAll: true });
  for (let flush = 0; flush < 6; flush++) await changed.flush(500, 150);
  const config = join(root, `${table}.toml`);
  const lines = ["[kafka]", `topic = "${table}"`, "[state]", `dir = "${root}/state"`];
  const more = ["[iceberg]", 'database_name = "db"', `warehouse_path = "${root}"`];
  await Bun.write(config, [...lines, ...more].join("\n"));
  const view = await viewOfThePage();
  const judge = async (): Promise<number> => {
    const job = { table: { folder: join(root, "db", table) }, columns: ["n"], order: "n" };
    const expected = changed.numbers.map(String);
    const { readers } = await readColumns({ ...job, view, readers: ["duckdb"] });
    expect(readers["duckdb"]?.["n"]).toEqual(expected);
    const sql = `SELECT n FROM ${table}_latest ORDER BY n`;
    const asked = await cli(["query", sql, "--config", config, "--format", "csv"]);
    expect(asked.err).toBe("");
    expect(asked.out.trim().split("\n").slice(1)).toEqual(expected);
    const all = await readColumns({ ...job, readers: ["pyiceberg"] });
    const rows = all.readers["pyiceberg"]?.["n"];
    return Array.isArray(rows) ? rows.length : -1;
  };
  expect(await judge()).toBe(6 * 2 * 500);
  const compaction = ["maintenance", "compact", `db.${table}`, "--config", config, "--json"];
  expect((await cli(compaction)).code).toBe(0);
  const head = await catalog.load({ namespace: ["db"], table });
  const { operation } = head?.metadata.snapshots.at(-1)?.summary ?? {};
  expect(operation).toBe("overwrite");
  // A file for each day, and one for deletes, which have none: no more than a row for each key in each.
  const left = await judge();
  expect(left).toBeGreaterThan(changed.numbers.length);
  expect(left).toBeLessThanOrEqual(4 * 2 * 150);
}, 240_000);
