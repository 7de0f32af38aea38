/** Every change as a row, in the log beside a table or in the table itself, from a broker in memory to the rows. */
import { afterEach, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { EXIT } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom, systemRandom } from "#base/random.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { buildPipeline, type PipelineOptions } from "#config/buildPipeline.ts";
import { openEnvironment } from "#config/environment.ts";
import { deletesOf, readHeadFiles } from "#iceberg/io/headFiles.ts";
import { PositionDeletes } from "#keyindex/positionDeletes.ts";
import { hiddenRows } from "#keyindex/readKeys.ts";
import { parquetBytes, readRows } from "#parquet/readColumns.ts";
import { createLocalStorage } from "#storage/local.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { loadRight } from "../unit/config/helpers.ts";
import { endAll, LIMITS, newWarehouse, pipelineOf } from "./pipelineRunRig.ts";

afterEach(endAll);

type Row = Record<string, unknown>;

/** Live rows of a table, these columns of them. */
async function rowsIn(
  warehouse: string,
  table: string,
  columns: readonly string[],
): Promise<Row[]> {
  const local = createLocalStorage({ disk: systemDisk, random: systemRandom });
  const parts = { storage: local, clock: systemClock, log: silentLogger };
  const catalog = createFileCatalog({ warehouse, readOnly: true }, parts);
  const loaded = await catalog.load({ namespace: ["db"], table });
  if (loaded === null) throw new Error(`table ${table} is there`);
  const { storage, metadata } = loaded;
  const head = await readHeadFiles(loaded, metadata.currentSnapshotId);
  const found: Row[] = [];
  for (const file of head.data.values()) {
    const positionDeletes = new PositionDeletes(storage);
    const hidden = await hiddenRows({ positionDeletes }, file, deletesOf(head.index, file));
    const bytes = parquetBytes(storage, file.path, file.bytes);
    const rows = (await Array.fromAsync(readRows(bytes, columns))).flat();
    found.push(...rows.filter((_, position) => !hidden.has(position)));
  }
  return found;
}

async function pipelineOptions(text: string): Promise<PipelineOptions> {
  const [pipeline] = (await loadRight(text)).pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  return await buildPipeline(pipeline, await openEnvironment(null, null, {}), "instance");
}

function optionsOf(mode: string): Promise<PipelineOptions> {
  const text = `[kafka]
topic = "t"
[source]
mode = "${mode}"
key_field = ["id"]
key_format = "json"
track_changes = true
[schema]
fields = [{name = "id", type = "long", required = true}, {name = "v", type = "long", required = true}]
infer = false
`;
  return pipelineOptions(text);
}

/** Random changes of a few keys, as records, as what the log is to hold of each, and as what they come to. */
class Changes {
  readonly logged: Row[] = [];
  readonly left: Map<number, number> = new Map();
  readonly #mode: "ktable" | "cdc";
  readonly #random = seededRandom(5);

  constructor(mode: "ktable" | "cdc") {
    this.#mode = mode;
  }

  /** The next record, of a key of this partition. */
  next(partition: number, offset: number): { readonly key: string; readonly value: string | null } {
    const id = 2 * this.#below(10) + partition;
    const isDelete = this.#below(4) === 0;
    const before = { id, v: this.left.get(id) ?? 0 };
    const after = isDelete ? null : { id, v: this.#below(1000) };
    if (after === null) this.left.delete(id);
    else this.left.set(id, after.v);
    const isBare = this.#mode === "ktable";
    const known = isBare ? { id, v: null } : before;
    const op = after === null ? "d" : "u";
    const place = { partition, offset, op: isBare ? undefined : op };
    this.logged.push({ ...place, ...(after ?? known), isDelete });
    const value = isBare ? after : { op, before, after };
    return { key: JSON.stringify({ id }), value: value && JSON.stringify(value) };
  }

  #below(bound: number): number {
    return Math.floor(this.#random.unit() * bound);
  }
}

function inOrder(rows: readonly Row[]): Row[] {
  const place = (row: Row): number => Number(row["partition"]) * 1000 + Number(row["offset"]);
  return [...rows].sort((a, b) => place(a) - place(b));
}

async function logIn(
  warehouse: string,
  mode: "ktable" | "cdc",
  table = "t__changes",
): Promise<Row[]> {
  const columns = ["id", "v", "_kafka_partition", "_kafka_offset", "_kafka_deleted"];
  const ops = mode === "cdc" ? ["_kafka_op"] : [];
  const rows = await rowsIn(warehouse, table, [...columns, ...ops]);
  return rows.map((row) => ({
    partition: Number(row["_kafka_partition"]),
    offset: Number(row["_kafka_offset"]),
    id: Number(row["id"]),
    v: row["v"] === null ? null : Number(row["v"]),
    isDelete: row["_kafka_deleted"],
    op: row["_kafka_op"],
  }));
}

for (const mode of ["ktable", "cdc"] as const) {
  test(`every change is in the log once, in whatever run it came, and folded they are the table (${mode})`, async () => {
    const warehouse = newWarehouse();
    const broker = new FakeKafka();
    broker.topic("t", 2);
    const { decoder, changeLog } = await optionsOf(mode);
    const changes = new Changes(mode);
    for (let baseOffset = 0; baseOffset < 150; baseOffset += 50) {
      for (const partition of [0, 1]) {
        const records = Array.from({ length: 50 }, (_, index) =>
          changes.next(partition, baseOffset + index),
        );
        broker.append("t", partition, buildBatch({ baseOffset, records, leaderEpoch: 0 }));
      }
      const key = { key: ["id"] };
      const run = pipelineOf(broker, { topics: ["t"], warehouse, decoder, changeLog, key });
      expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
    }
    expect(inOrder(await logIn(warehouse, mode))).toEqual(inOrder(changes.logged));
    const table = await rowsIn(warehouse, "t", ["id", "v"]);
    expect(new Map(table.map(({ id, v }) => [Number(id), Number(v)]))).toEqual(changes.left);
    expect(table).toHaveLength(changes.left.size);
  });
}

for (const mode of ["ktable", "cdc"] as const) {
  test(`where all changes stay, each is in the table once, and the newest of each key are the rows that are left (${mode})`, async () => {
    const options = await pipelineOptions(`[kafka]
topic = "t"
[source]
mode = "${mode}"
key_field = ["id"]
key_format = "json"
${mode === "cdc" ? 'metadata_columns = ["timestamp", "op"]' : ""}
[schema]
fields = [{name = "id", type = "long", required = true}, {name = "v", type = "long"}]
infer = false
[iceberg.write]
delete_mode = "append-dedupe"
`);
    const warehouse = newWarehouse();
    const broker = new FakeKafka();
    broker.topic("t", 2);
    const changes = new Changes(mode);
    const { key = [], order = null, latest = null } = options.writer("t");
    for (let baseOffset = 0; baseOffset < 150; baseOffset += 50) {
      for (const partition of [0, 1]) {
        const records = Array.from({ length: 50 }, (_, index) =>
          changes.next(partition, baseOffset + index),
        );
        broker.append("t", partition, buildBatch({ baseOffset, records, leaderEpoch: 0 }));
      }
      const { decoder } = options;
      const run = pipelineOf(broker, {
        ...{ topics: ["t"], warehouse, decoder },
        key: { key, order, latest },
      });
      expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
    }
    const rows = inOrder(await logIn(warehouse, mode, "t"));
    const wasDeleted = (row: Row): Row => ({ ...row, isDelete: row["isDelete"] === true });
    expect(rows.map(wasDeleted)).toEqual(inOrder(changes.logged));
    const newest = new Map(rows.map((row) => [Number(row["id"]), row]));
    const left = [...newest].filter(([, row]) => row["isDelete"] !== true);
    expect(new Map(left.map(([id, row]) => [id, Number(row["v"])]))).toEqual(changes.left);
    // Another way to write it is refused: rows of a key stand side by side.
    const other = pipelineOf(broker, {
      ...{ topics: ["t"], warehouse, key: { key: ["id"] } },
      decoder: (await optionsOf(mode)).decoder,
    });
    expect(await other.run(LIMITS, true)).toBe(EXIT.usage);
  });
}

test("a partition that is added to the topic stops a table whose newest rows are known by their place in it", async () => {
  const text = (order: string): string =>
    `[kafka]\ntopic = "t"\n[source]\nmode = "ktable"\nkey_field = ["id"]\nkey_format = "json"\n${order}\n` +
    '[iceberg.write]\ndelete_mode = "append-dedupe"\n';
  for (const [order, end] of [
    ["", EXIT.question],
    ['order_field = "v"', EXIT.ok],
  ] as const) {
    const { decoder, writer } = await pipelineOptions(text(order));
    const warehouse = newWarehouse();
    const broker = new FakeKafka();
    const record = { key: '{"id": 1}', value: '{"id": 1, "v": 1}' };
    const batch = buildBatch({ baseOffset: 0, records: [record], leaderEpoch: 0 });
    for (const partitions of [1, 2]) {
      const next = partitions === 1 ? broker : new FakeKafka();
      next.topic("t", partitions);
      for (let at = 0; at < partitions; at++) next.append("t", at, batch);
      const { key = [], latest = null } = writer("t");
      const options = { topics: ["t"], warehouse, decoder, key: { key, latest } };
      const ended = await pipelineOf(next, options).run(LIMITS, true);
      expect([order, partitions, ended]).toEqual([
        order,
        partitions,
        partitions === 1 ? EXIT.ok : end,
      ]);
    }
  }
});
