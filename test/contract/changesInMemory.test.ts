/**
 * Changes in memory over the files of a table, where WHERE says which files can have rows of the answer: a
 * row that is not wanted itself may be newer than a change, or have values that a change leaves as they were.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { EXIT } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import type { FeedKey } from "#base/offsets.ts";
import { systemRandom } from "#base/random.ts";
import type { LentSegment } from "#buffer/lease.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import { PLACEHOLDER } from "#columns/unavailable.ts";
import { answerQuestion } from "#sql/answer.ts";
import type { Database } from "#sql/database.ts";
import { createLocalStorage } from "#storage/local.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { batchOf, field } from "../unit/parquet/rows.ts";
import { openDatabase } from "../unit/sql/engine.ts";
import { endAll, LIMITS, newWarehouse, pipelineOf } from "./pipelineRunRig.ts";

let database: Database;
beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());
afterEach(endAll);

const FIELDS = [
  { ...field("id", { kind: "long" }, true), id: 0 },
  { ...field("n", { kind: "long" }), id: 0 },
  { ...field("text", { kind: "string" }), id: 0 },
];

type Row = readonly [id: bigint, n: bigint, text: string | null];

/** A table of these rows, each of which has a file of its own. */
async function committed(rows: readonly Row[], order: string | null): Promise<string> {
  const warehouse = newWarehouse();
  const broker = new FakeKafka();
  broker.topic("t", 1);
  for (const [at, [id, n, text]] of rows.entries()) {
    const value = JSON.stringify({ id: Number(id), n: Number(n), text });
    const records = [{ key: `{"id":${id}}`, value }];
    broker.append("t", 0, buildBatch({ baseOffset: at, records, leaderEpoch: 0 }));
    const changes = {
      mode: "ktable",
      keyFields: ["id"],
      keyFormat: "json",
      opField: null,
    } as const;
    const onDelete = order === null ? "delete" : "ignore";
    const run = pipelineOf(broker, {
      ...{ topics: ["t"], warehouse },
      decoder: { changes: { ...changes, onDelete, orderColumn: order }, fields: FIELDS },
      key: { key: ["id"], order },
    });
    expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
  }
  return warehouse;
}

function lent(rows: readonly (readonly [...Row, change: number])[]): LentSegment {
  const { columns, rowCount } = batchOf([...FIELDS, CHANGE_TYPE], rows);
  const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rowCount);
  return { id: 0, key: "k" as FeedKey, start: 0n, columns, watermark };
}

async function ask(
  sql: string,
  warehouse: string,
  hot: { readonly segments: readonly LentSegment[]; readonly order: string | null },
): Promise<unknown> {
  const storage = createLocalStorage({ disk: systemDisk, random: systemRandom });
  const parts = { storage, clock: systemClock, log: silentLogger };
  const catalog = createFileCatalog({ warehouse, readOnly: true }, parts);
  const table = await catalog.load({ namespace: ["db"], table: "t" });
  if (table === null) throw new Error("the table is there");
  const release = (): void => undefined;
  const part = { ...hot, partitions: ["t/0"], key: ["id"], release };
  const question = { sql, parameters: [], form: "text", rowsMax: 100, bytesMax: 1e6 } as const;
  const { answer } = await answerQuestion(
    database,
    {
      useTable: (_name, _part, use) => use({ table, hot: part }),
      tableNames: () => ["db.t"],
      syncPoints: () => Promise.resolve([]),
      logFolder: "",
    },
    { ...question, snapshot: { kind: "current" } },
    () => Promise.resolve(new Map()),
  );
  return answer.rows;
}

test("a change that is older than its row is not shown, also when WHERE leaves the row's file out", async () => {
  const warehouse = await committed(
    [
      [1n, 5n, "stored"],
      [2n, 1n, "stored"],
    ],
    "n",
  );
  const segments = [
    lent([
      [1n, 3n, "older", CHANGE.put],
      [2n, 2n, "newer", CHANGE.put],
      [3n, 0n, "new", CHANGE.put],
    ]),
  ];
  const sql = "SELECT id, n, text FROM t WHERE n < 4 ORDER BY id";
  expect(await ask(sql, warehouse, { segments, order: "n" })).toEqual([
    ["2", "2", "newer"],
    ["3", "0", "new"],
  ]);
});

test("a change that leaves a value as it was has that of its row, also when WHERE leaves the row's file out", async () => {
  const warehouse = await committed(
    [
      [1n, 1n, "long"],
      [2n, 1n, null],
      [3n, 1n, "gone"],
    ],
    null,
  );
  const held = PLACEHOLDER.toString();
  const segments = [
    lent([
      [1n, 7n, held, CHANGE.partial],
      [2n, 8n, held, CHANGE.partial],
      [3n, 9n, "newer", CHANGE.put],
      [4n, 9n, held, CHANGE.partial],
    ]),
    lent([[3n, 10n, held, CHANGE.partial]]),
  ];
  const sql = "SELECT id, n, text FROM t WHERE n > 5 ORDER BY id";
  expect(await ask(sql, warehouse, { segments, order: null })).toEqual([
    ["1", "7", "long"],
    ["2", "8", null],
    ["3", "10", "newer"],
  ]);
});
