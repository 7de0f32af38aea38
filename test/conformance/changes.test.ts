/**
 * Tables that follow changes through the whole product, on a real broker: a KTable and Debezium's envelopes,
 * over several partitions and restarts, leave the rows that a fold of the topic has, as PyIceberg and
 * DuckDB read them: by position deletes (v2), by deletion vectors (v3), and for DuckDB by equality deletes.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { seededRandom } from "#base/random.ts";
import { type ExactRecord, produceValues } from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { temporaryFolder, until } from "../../scripts/services/process.ts";
import { type Config, startProduct } from "../../scripts/services/product.ts";
import { fileTable, runUntilEnd, tableFolder } from "../support/binary.ts";
import { readColumns } from "../support/tableReaders.ts";

const PARTITIONS = 3;
const IDS = 300;
const CHANGES = 2500;

let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka();
}, 600_000);

afterAll(async () => {
  await broker?.stop();
});

/** An envelope; of a bare row nothing is logged. */
interface Change {
  readonly op?: string;
  readonly after?: { readonly n: number | null } | null;
  readonly before?: { readonly n: number | null } | null;
}

/** A source of changes, and the rows that it has. */
class Source {
  /** Column `n` by id; a row of null has it null. */
  readonly rows: Map<number, number> = new Map();
  readonly records: ExactRecord[] = [];
  readonly #random = seededRandom(13);
  /** What a log of the changes has of each record, where there is one partition: id, `n` and operation. */
  readonly log: [id: string | null, n: string | null, op: string | null][] = [];
  readonly #isCdc: boolean;
  readonly #partitions: number;
  #count = 0;

  /** @param partitions with one, the source is emptied now and then (truncate) */
  constructor(mode: "ktable" | "cdc", partitions: number) {
    this.#isCdc = mode === "cdc";
    this.#partitions = partitions;
  }

  /** Random inserts, updates, deletes and changes of keys. */
  change(times: number): void {
    for (let done = 0; done < times; done++) {
      const id = this.#below(IDS);
      const kind = this.#below(10);
      if (this.#partitions === 1 && this.#below(300) === 0) this.#empty();
      else if (kind < 3 && this.rows.has(id)) this.#remove(id);
      else if (kind === 3 && this.rows.has(id)) {
        // As a database tells a new key: the row goes, and comes under another one.
        this.#remove(id);
        this.#put(this.#below(IDS));
      } else this.#put(id);
    }
  }

  /** Ids and numbers in the order of the ids. */
  get columns(): { readonly id: string[]; readonly n: string[] } {
    const sorted = [...this.rows].sort(([a], [b]) => a - b);
    return { id: sorted.map(([id]) => String(id)), n: sorted.map(([, n]) => String(n)) };
  }

  #put(id: number): void {
    const n = this.#count++;
    const row = { id, n, ...(n > CHANGES ? { late: `column ${n}` } : {}) };
    const before = this.rows.get(id);
    const image = before === undefined ? null : { id, n: before };
    const op = before === undefined ? "c" : "u";
    this.#send(id, this.#isCdc ? { before: image, after: row, op } : row);
    this.rows.set(id, n);
  }

  #remove(id: number): void {
    const before = { id, n: null };
    if (this.#isCdc) this.#send(id, { before, after: null, op: "d" });
    this.#send(id, null);
    this.rows.delete(id);
  }

  #empty(): void {
    this.rows.clear();
    const value = JSON.stringify({ op: "t", before: null, after: null, source: { lsn: 1 } });
    this.records.push({ partition: 0, key: null, value });
    this.log.push([null, null, "t"]);
  }

  #send(id: number, value: object | null): void {
    const schema = { type: "struct", fields: [{ field: "id", type: "int64" }] };
    const hasSchema = this.#isCdc && this.#below(4) === 0;
    const whole = (body: object): string =>
      JSON.stringify(hasSchema ? { schema, payload: body } : body);
    const source = { ts_ms: 1_700_000_000_000, table: "t", lsn: this.#count };
    const envelope = this.#isCdc && value !== null ? { ...value, source } : value;
    this.records.push({
      partition: id % this.#partitions,
      key: whole({ id }),
      value: envelope === null ? null : whole(envelope),
    });
    const { op = null, before = null, after = before } = (value ?? {}) as Change;
    const n = (after ?? before)?.n ?? null;
    this.log.push([String(id), n === null ? null : String(n), op]);
  }

  #below(bound: number): number {
    return Math.floor(this.#random.unit() * bound);
  }
}

/** Before anything of a round is committed, `/query` and `/lookup` have its rows, once each. */
async function askWhileInMemory(folder: string, config: Config, source: Source): Promise<void> {
  const commit = { interval_ms: 600_000, max_rows: 1_000_000 };
  const product = await startProduct({
    folder,
    config: { ...config, "iceberg.commit": commit, logging: { format: "json" } },
  });
  try {
    await product.ready();
    const sql = `SELECT id::VARCHAR, n::VARCHAR FROM "${config["kafka"]?.["topic"]}" ORDER BY id`;
    const wanted = source.columns.id.map((id, at) => [id, source.columns.n[at]]);
    let snapshots: unknown;
    await until(
      "every change is seen",
      async () => {
        const body = JSON.stringify({ sql });
        const answer = await fetch(`${product.url}/query`, { method: "POST", body });
        const { rows, snapshot_id } = (await answer.json()) as {
          rows: unknown;
          snapshot_id: unknown;
        };
        snapshots ??= snapshot_id;
        return snapshots === snapshot_id && Bun.deepEquals(rows, wanted);
      },
      30_000,
    );
    for (const id of [...source.rows.keys()].slice(0, 20)) {
      const answer = await fetch(`${product.url}/lookup/${config["kafka"]?.["topic"]}/${id}`);
      if (answer.status === 404) continue;
      const { row } = (await answer.json()) as { row: { n: number } };
      expect([id, row.n]).toEqual([id, source.rows.get(id) ?? -1]);
    }
  } finally {
    await product.kill();
  }
}

for (const [mode, formatVersion, deleteMode, partitions, names] of [
  ["ktable", 2, "auto", PARTITIONS, ["pyiceberg", "duckdb"]],
  ["cdc", 3, "auto", PARTITIONS, ["pyiceberg", "duckdb"]],
  ["cdc", 2, "equality", PARTITIONS, ["duckdb"]],
  ["cdc", 2, "auto", 1, ["pyiceberg", "duckdb"]],
] as const) {
  const what = partitions === 1 ? ", with a log, of a source that is emptied" : "";
  test(`${mode}, format v${formatVersion}, deletes ${deleteMode}${what}: readers see one row for each key, the last one, also after restarts`, async () => {
    const topic = `changes-${mode}-${deleteMode}-${partitions}`;
    await createTopic(broker.bootstrap, { topic, partitions });
    const folder = await temporaryFolder(topic);
    const warehouse = join(folder, "warehouse");
    const more: Config = {
      source: {
        ...{ mode, key_field: ["id"], key_format: "json" },
        ...{ track_changes: partitions === 1 },
      },
      schema: { fields: [{ name: "id", type: "long", required: true }] },
      "iceberg.write": { format_version: formatVersion, delete_mode: deleteMode },
      "iceberg.commit": { max_rows: 700 },
      partitioning: { spec: ["bucket(2, id)"] },
    };
    const config = fileTable({ bootstrap: broker.bootstrap, topic, warehouse, config: more });
    const source = new Source(mode, partitions);
    for (let round = 0; round < 3; round++) {
      source.change(CHANGES / 2);
      await produceValues({ bootstrap: broker.bootstrap, topic }, source.records.splice(0));
      if (round === 1) await askWhileInMemory(folder, config, source);
      const { product, exitCode } = await runUntilEnd({ folder, config });
      expect([exitCode, product.log().slice(-2000)]).toEqual([0, expect.any(String)]);
      const { readers } = await readColumns({
        table: { folder: tableFolder(warehouse, topic) },
        columns: ["id", "n"],
        order: "id",
        readers: names,
      });
      expect(readers).toEqual(Object.fromEntries(names.map((name) => [name, source.columns])));
    }
    if (partitions > 1) return;
    const columns = ["id", "n", "_kafka_op"];
    const { readers } = await readColumns({
      table: { folder: tableFolder(warehouse, `${topic}__changes`) },
      columns,
    });
    const logged = Object.fromEntries(
      columns.map((name, at) => [name, source.log.map((row) => row[at] ?? null)]),
    );
    expect(readers).toEqual({ pyiceberg: logged, duckdb: logged });
  }, 240_000);
}
