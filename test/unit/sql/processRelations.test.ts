/**
 * Relations of a process that are no tables: where its tables stand, its transaction log, its rows in memory.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { describe } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import type { FeedKey } from "#base/offsets.ts";
import { systemRandom } from "#base/random.ts";
import type { LentSegment } from "#buffer/lease.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { newTableMetadata, UNPARTITIONED } from "#iceberg/metadata/newTable.ts";
import { answerQuestion, type Sources } from "#sql/answer.ts";
import type { Database } from "#sql/database.ts";
import { createLocalStorage } from "#storage/local.ts";
import { openTransactionLog } from "#txlog/openLog.ts";
import { batchOf, field } from "../parquet/rows.ts";
import { newFolder, openDatabase } from "./engine.ts";

let database: Database;
beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());

const FIELDS = [{ ...field("x", { kind: "long" }), id: 1 }];
let released = 0;

function lent(first: bigint, values: readonly bigint[]): LentSegment {
  const { columns, rowCount } = batchOf(
    FIELDS,
    values.map((value) => [value]),
  );
  const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rowCount);
  return { id: 0, key: "k" as FeedKey, start: first, columns, watermark };
}

function tableNamed(name: string): LoadedTable {
  const folder = newFolder();
  return {
    name: { namespace: ["default"], table: name },
    metadata: newTableMetadata({
      uuid: "11111111-2222-4333-8444-555555555555",
      location: folder,
      fields: FIELDS,
      spec: () => UNPARTITIONED,
      formatVersion: 2,
      properties: {},
      timestampMs: 1000,
    }),
    metadataLocation: `${folder}metadata.json`,
    storage: createLocalStorage({ disk: systemDisk, random: systemRandom }),
  };
}

/** Tables of these names; the rows 1, 2, 3 are in memory of each, of which the table has 1 and 2. */
function sourcesOf(names: readonly string[], logFolder = newFolder()): Sources {
  return {
    useTable: (name, part, use) => {
      const plain = name.replace("default.", "");
      if (!names.includes(plain)) return use(null);
      const all = [lent(0n, [1n, 2n]), lent(2n, [3n])];
      const segments = part === "memory" ? all : all.slice(1);
      const release = (): void => void released++;
      return use({
        table: tableNamed(plain),
        hot: { segments, partitions: ["t/0"], key: [], order: null, release },
      });
    },
    tableNames: () => names.map((name) => `default.${name}`),
    syncPoints: () =>
      Promise.resolve([
        {
          table: "default.a",
          topic: "t",
          partition: 3,
          offset: 12345n,
          committedMs: 1_767_000_000_000,
        },
        {
          table: "default.a",
          topic: "t",
          partition: 4,
          offset: 9_007_199_254_740_993n,
          committedMs: null,
        },
      ]),
    logFolder,
  };
}

async function ask(sql: string, sources: Sources) {
  const question = {
    ...({ sql, parameters: [], form: "text", rowsMax: 100, bytesMax: 1e6 } as const),
    snapshot: { kind: "current" } as const,
  };
  const noStore = () => Promise.resolve(new Map<string, string>());
  const { answer } = await answerQuestion(database, sources, question, noStore);
  return answer.rows;
}

test("sync_points tells the next offset of each partition", async () => {
  const sources = sourcesOf(["a"]);
  const sql =
    "SELECT sync_value FROM sync_points WHERE source_name = 't' AND sync_key = 'partition:3'";
  expect(await ask(sql, sources)).toEqual([["12345"]]);
  expect(await ask("SELECT * FROM sync_points ORDER BY sync_key DESC LIMIT 1", sources)).toEqual([
    ["t", "partition:4", "9007199254740993", null, "default.a"],
  ]);
});

test("transaction_log has the entries of the log, in their order", async () => {
  const dir = newFolder();
  const log = await openTransactionLog(
    {
      ...{ dir, sync: "never", checkpointIntervalEntries: 1000, checkpointIntervalMs: 1e9 },
      ...{ retentionMs: 1e9, bytesMax: 0 },
    },
    { clock: systemClock, disk: systemDisk, log: silentLogger },
  );
  await log.append({ type: "OffsetCommit", topic: "t", partition: 1, offset: 2n ** 60n });
  await log.append({ type: "BufferSnapshot", record_count: 5, size_bytes: 6 });
  await log.close();
  const sql =
    "SELECT type, entry->>'offset', entry->>'record_count' FROM transaction_log " +
    "WHERE type IN ('OffsetCommit', 'BufferSnapshot') ORDER BY sequence";
  expect(await ask(sql, sourcesOf(["a"], dir))).toEqual([
    ["OffsetCommit", String(2n ** 60n), null],
    ["BufferSnapshot", null, "5"],
  ]);
});

test("hot_buffer is all that is in memory of the only table, the table itself what it does not have", async () => {
  const sources = sourcesOf(["a"]);
  expect(await ask("SELECT x FROM hot_buffer ORDER BY x", sources)).toEqual([["1"], ["2"], ["3"]]);
  expect(await ask('SELECT x FROM "a$hot_buffer" ORDER BY x', sources)).toEqual([
    ["1"],
    ["2"],
    ["3"],
  ]);
  expect(await ask("SELECT x FROM a", sources)).toEqual([["3"]]);
  expect(released).toBe(3);
});

test("of several tables each has its own, and a table of that name stands before it", async () => {
  const refusal = (sql: string, names: readonly string[]): Promise<string> =>
    ask(sql, sourcesOf(names)).then(String, describe);
  expect(await refusal("FROM hot_buffer", ["a", "b"])).toContain("several tables");
  expect(await refusal("FROM hot_buffer", [])).toContain("--url");
  const atAnotherTime = "FROM hot_buffer AT (VERSION => 7)";
  expect(await refusal(atAnotherTime, ["a"])).toContain("no snapshot 7");
  expect(await ask("SELECT x FROM hot_buffer", sourcesOf(["hot_buffer", "b"]))).toEqual([["3"]]);
});
