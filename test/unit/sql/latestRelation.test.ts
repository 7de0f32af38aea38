/** `<table>_latest` in a statement: the newest row of each key of what is committed and what is in memory. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { systemDisk } from "#base/disk.ts";
import { describe } from "#base/errors.ts";
import type { FeedKey } from "#base/offsets.ts";
import { systemRandom } from "#base/random.ts";
import type { LentSegment } from "#buffer/lease.ts";
import { LATEST_PROPERTY, writeLatest } from "#columns/latest.ts";
import { newTableMetadata, UNPARTITIONED } from "#iceberg/metadata/newTable.ts";
import { answerQuestion, type Sources } from "#sql/answer.ts";
import type { Database } from "#sql/database.ts";
import { createLocalStorage } from "#storage/local.ts";
import { batchOf, field } from "../parquet/rows.ts";
import { newFolder, openDatabase } from "./engine.ts";

let database: Database;
beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());

const FIELDS = [
  field("id", { kind: "string" }, true),
  field("v", { kind: "long" }),
  field("p", { kind: "int" }),
  field("o", { kind: "long" }),
  field("gone", { kind: "boolean" }),
].map((each, at) => ({ ...each, id: at + 1 }));
const LATEST = { key: ["id"], orderField: null, partition: "p", offset: "o", deleted: "gone" };

type Row = readonly [id: string, v: bigint | null, p: number, o: bigint, gone: boolean | null];

function lent(rows: readonly Row[]): LentSegment {
  const { columns, rowCount } = batchOf(FIELDS, rows);
  const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rowCount);
  return { id: 0, key: "k" as FeedKey, start: 0n, columns, watermark };
}

let released = 0;
let used = 0;

/** Tables of these names with these properties, and the same rows in memory. */
function sourcesOf(tables: Readonly<Record<string, Record<string, string>>>, rows: readonly Row[]) {
  const sources: Sources = {
    useTable: (name, _part, use) => {
      const properties = tables[name.replace("db.", "")];
      if (properties === undefined) return use(null);
      used++;
      const folder = newFolder();
      const metadata = newTableMetadata({
        ...{ uuid: "11111111-2222-4333-8444-555555555555", location: folder, fields: FIELDS },
        ...{ spec: () => UNPARTITIONED, formatVersion: 2, properties, timestampMs: 1000 },
      });
      const storage = createLocalStorage({ disk: systemDisk, random: systemRandom });
      const table = {
        ...{ name: { namespace: ["db"], table: name }, metadata, storage },
        metadataLocation: `${folder}metadata.json`,
      };
      const release = (): void => void released++;
      const segments = [lent(rows.slice(0, 2)), lent(rows.slice(2))];
      return use({ table, hot: { segments, partitions: ["t/0"], key: [], order: null, release } });
    },
    tableNames: () => Object.keys(tables),
    syncPoints: () => Promise.resolve([]),
    logFolder: newFolder(),
  };
  return sources;
}

async function ask(sql: string, sources: Sources) {
  const question = {
    ...({ sql, parameters: [], form: "text", rowsMax: 100, bytesMax: 1e6 } as const),
    snapshot: { kind: "current" } as const,
  };
  const noStore = () => Promise.resolve(new Map<string, string>());
  return (await answerQuestion(database, sources, question, noStore)).answer.rows;
}

const ROWS: readonly Row[] = [
  ["a", 1n, 0, 1n, null],
  ["b", 2n, 1, 9n, null],
  ["a", 3n, 0, 5n, null],
  ["b", null, 1, 10n, true],
  ["c", 4n, 0, 6n, null],
  ["a", 5n, 0, 4n, null],
];
const SAYS = { [LATEST_PROPERTY]: writeLatest(LATEST) };

test("the newest row of each key is shown once, and none of a key whose newest says that it was deleted", async () => {
  const sources = sourcesOf({ Events: SAYS }, ROWS);
  const newest = [
    ["a", "3"],
    ["c", "4"],
  ];
  expect(await ask("SELECT id, v FROM Events_LATEST ORDER BY id", sources)).toEqual(newest);
  expect(await ask("SELECT id, v FROM db.Events_latest ORDER BY id", sources)).toEqual(newest);
  expect(await ask("SELECT count(*) FROM Events", sources)).toEqual([["6"]]);
  // A row that is not the newest stays hidden, whatever is asked for.
  expect(await ask("SELECT v FROM Events_latest WHERE v < 3", sources)).toEqual([]);
  expect([released, used]).toEqual([used, 4]);
});

test("a table of that name stands before it; of tables that say nothing of newest rows there is none", async () => {
  const own = sourcesOf({ events: SAYS, events_latest: {} }, ROWS);
  expect(await ask("SELECT count(*) FROM events_latest", own)).toEqual([["6"]]);
  const none = ask("FROM events_latest", sourcesOf({ events: {} }, ROWS)).then(String, describe);
  expect(await none).toContain("no table events_latest");
  expect(await ask("FROM _latest", sourcesOf({}, [])).then(String, describe)).toContain("no table");
  const lost = { [LATEST_PROPERTY]: writeLatest({ ...LATEST, key: ["lost"] }) };
  const without = ask("FROM events_latest", sourcesOf({ events: lost }, ROWS));
  expect(await without.then(String, describe)).toContain("no column lost");
  expect(released).toBe(used);
});
