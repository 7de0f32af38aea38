/** PyIceberg and our catalogs on the same tables: each reads what the other wrote, and goes on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { LoadedTable } from "#catalog/catalog.ts";
import { readersPython } from "../../scripts/services/cache.ts";
import { startIcebergRest } from "../../scripts/services/icebergRest.ts";
import { run, temporaryFolder } from "../../scripts/services/process.ts";
import { restOptions } from "../support/catalogPlaces.ts";
import { commitEmpty, createSample, realCatalog } from "../support/realCatalogs.ts";

/** What `catalog_pyiceberg.py` answers. */
interface Seen {
  readonly uuid: string;
  readonly metadata: string;
  readonly snapshots: string[];
  readonly current: string | null;
  readonly properties: Record<string, string>;
  readonly columns: string[];
  readonly spec: string;
  readonly order: string;
  readonly summaries: Record<string, string>[];
  readonly refs: string[];
  readonly log: string[];
  readonly tables?: string[];
  readonly namespaces?: string[];
  readonly rows?: unknown[] | null;
}

const NAME = { namespace: ["db"], table: "t" };
const ROWS = [1, 2, 3].map((id) => ({ id, ts: null, name: `n${id}` }));
let python: string;
let root: string;

beforeAll(async () => {
  python = await readersPython();
  root = await temporaryFolder("catalog");
}, 600_000);

afterAll(() => rm(root, { recursive: true, force: true }));

async function pyiceberg(job: Record<string, unknown>): Promise<Seen> {
  const script = join(import.meta.dir, "..", "support", "catalog_pyiceberg.py");
  return JSON.parse(await run([python, script], { stdin: JSON.stringify(job) })) as Seen;
}

/** Our view of a table in PyIceberg's words. */
function ours(
  table: LoadedTable,
): Pick<Seen, "uuid" | "snapshots" | "current" | "properties" | "log"> {
  return {
    uuid: table.metadata.tableUuid,
    snapshots: table.metadata.snapshots.map((snapshot) => String(snapshot.snapshotId)),
    current: table.metadata.currentSnapshotId?.toString() ?? null,
    properties: { ...table.metadata.properties },
    log: table.metadata.metadataLog.map((entry) => entry.metadataFile),
  };
}

describe("SQL catalog", () => {
  test("PyIceberg lists and loads our table, appends, and we go on from there", async () => {
    const folder = join(root, "ours");
    const uri = `sqlite://${folder}/catalog.db`;
    const catalog = await realCatalog({
      type: "sql",
      uri,
      name: "default",
      warehouse: `${folder}/wh`,
      readOnly: false,
    });
    await createSample(catalog, NAME, ["name"]);
    const first = await commitEmpty(catalog, NAME);
    const properties = { uri: `sqlite:///${folder}/catalog.db`, warehouse: `file://${folder}/wh` };
    const appended = await pyiceberg({
      action: "append",
      catalog: properties,
      table: "db.t",
      rows: ROWS,
    });
    expect(appended.tables).toEqual(["db.t"]);
    expect(appended.namespaces).toEqual(["db"]);
    expect(appended.columns).toEqual(["1 id long", "2 ts timestamptz", "3 name string"]);
    expect(appended.spec).toContain("name: identity(3)");
    expect(appended.order).toContain("DESC");
    expect(appended.snapshots.slice(0, 1)).toEqual(ours(first).snapshots);

    const theirs = await catalog.load(NAME);
    if (theirs === null) throw new Error("the table is gone");
    expect(ours(theirs)).toMatchObject({
      uuid: appended.uuid,
      snapshots: appended.snapshots,
      current: appended.current,
      properties: appended.properties,
    });
    expect(theirs.metadata.snapshots.at(-1)?.summary["by"]).toBe("pyiceberg");

    const next = await commitEmpty(catalog, NAME);
    const again = await pyiceberg({ action: "scan", catalog: properties, table: "db.t" });
    expect(again).toMatchObject(ours(next));
    expect(again.rows).toHaveLength(ROWS.length);
    await catalog.close();
  }, 60_000);

  test("we open PyIceberg's database, commit on its table, and it goes on from there", async () => {
    const folder = join(root, "theirs");
    await Bun.write(join(folder, "x"), "");
    const properties = { uri: `sqlite:///${folder}/catalog.db`, warehouse: `file://${folder}/wh` };
    const rows = [{ id: 1, name: "a" }];
    await pyiceberg({ action: "create", catalog: properties, table: "db.t", rows });
    const catalog = await realCatalog({
      type: "sql",
      uri: `sqlite://${folder}/catalog.db`,
      name: "default",
      warehouse: `${folder}/wh`,
      readOnly: false,
    });
    expect(await catalog.list(["db"])).toEqual([NAME]);
    const next = await commitEmpty(catalog, NAME);
    const seen = await pyiceberg({ action: "append", catalog: properties, table: "db.t", rows });
    expect(seen.snapshots.slice(0, 2)).toEqual(ours(next).snapshots);
    expect(seen.rows).toHaveLength(2);
    expect((await catalog.load(NAME))?.metadata.snapshots).toHaveLength(3);
    await catalog.close();
  }, 60_000);
});

describe("REST catalog on Iceberg's own server", () => {
  test("PyIceberg loads our table, appends, evolves it, and we go on from there; so does it from us", async () => {
    const server = await startIcebergRest();
    try {
      const catalog = await realCatalog({ type: "rest", ...restOptions(server.uri) });
      await createSample(catalog, NAME, ["name"]);
      const first = await commitEmpty(catalog, NAME);
      const job = { catalog: { uri: server.uri }, table: "db.t" };
      const schema = [["add", "more", "long"]];
      const appended = await pyiceberg({ action: "append", ...job, schema, rows: ROWS });
      expect(appended.tables).toEqual(["db.t"]);
      expect(appended.columns).toContain("4 more long");
      expect(appended.snapshots.slice(0, 1)).toEqual(ours(first).snapshots);

      const theirs = await catalog.load(NAME);
      if (theirs === null) throw new Error("the table is gone");
      expect(ours(theirs)).toMatchObject({
        uuid: appended.uuid,
        snapshots: appended.snapshots,
        current: appended.current,
      });
      const next = await commitEmpty(catalog, NAME);
      const again = await pyiceberg({ action: "append", ...job, rows: ROWS });
      expect(again.snapshots.slice(0, 3)).toEqual(ours(next).snapshots);
      expect(again.rows).toHaveLength(2 * ROWS.length);
      await catalog.close();
    } finally {
      await server.stop();
    }
  }, 120_000);
});

describe("file catalog", () => {
  test("PyIceberg's StaticTable reads our metadata file, v2 and v3", async () => {
    const warehouse = join(root, "files");
    const catalog = await realCatalog({ type: "file", warehouse, readOnly: false });
    for (const formatVersion of [2, 3] as const) {
      const name = { namespace: ["db"], table: `v${formatVersion}` };
      await createSample(catalog, name, ["day(ts)", "bucket(4, id)"], formatVersion);
      const empty = await catalog.load(name);
      expect((await pyiceberg({ metadata: empty?.metadataLocation })).current).toBeNull();
      const next = await commitEmpty(catalog, name);
      const seen = await pyiceberg({ metadata: next.metadataLocation });
      expect(seen).toMatchObject(ours(next));
      expect(seen.refs).toEqual(["main"]);
      const { operation, ...summary } = next.metadata.snapshots[0]?.summary ?? {};
      expect(operation).toBe("append");
      expect(seen.summaries).toEqual([summary]);
      expect(seen.spec).toContain("ts_day: day(2)");
      expect(seen.spec).toContain("id_bucket: bucket[4](1)");
    }
  }, 60_000);
});
