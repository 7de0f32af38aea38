/** Changes that leave values as they were, in Debezium's envelope, from a broker in memory to the rows of the table. */
import { afterEach, expect, test } from "bun:test";
import { EXIT } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import type { ChangeOptions } from "#decode/options.ts";
import type { ParquetRow } from "#parquet/readColumns.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { liveRows } from "./liveRows.ts";
import { endAll, LIMITS, newWarehouse, pipelineOf } from "./pipelineRunRig.ts";

afterEach(endAll);

const PLACEHOLDER = "__debezium_unavailable_value";
const LIST = {
  kind: "list",
  element: { id: 0, name: "element", required: false, type: { kind: "long" } },
} as const;
const FIELDS = [
  { id: 0, name: "id", required: true, type: { kind: "long" } },
  { id: 0, name: "n", required: false, type: { kind: "long" } },
  { id: 0, name: "text", required: false, type: { kind: "string" } },
  { id: 0, name: "bytes", required: false, type: { kind: "binary" } },
  { id: 0, name: "list", required: false, type: LIST },
] as const;
const CHANGES: ChangeOptions = {
  mode: "cdc",
  keyFields: ["id"],
  keyFormat: "json",
  onDelete: "delete",
  opField: null,
  orderColumn: null,
};

interface Row {
  readonly id: number;
  readonly n: number;
  readonly text: string | null;
  readonly bytes: string | null;
  readonly list: readonly number[] | null;
}

/** What stands for a value of each column. */
const HELD = {
  text: PLACEHOLDER,
  bytes: Buffer.from(PLACEHOLDER).toString("base64"),
  list: [...Buffer.from(PLACEHOLDER)],
} as const;

function envelope(op: string, before: object | null, after: object | null): string {
  return JSON.stringify({ op, before, after, source: { lsn: 1 } });
}

/** The rows of a source, and random changes of them. */
class Source {
  readonly rows = new Map<number, Row>();
  readonly #random = seededRandom(9);
  #n = 0;

  below(bound: number): number {
    return Math.floor(this.#random.unit() * bound);
  }

  /** A change of a row, as Debezium tells it. */
  change(id: number): string {
    const before = this.rows.get(id);
    if (before !== undefined && this.below(8) === 0) {
      this.rows.delete(id);
      return envelope("d", { id }, null);
    }
    const fresh = this.#row(id);
    if (before === undefined) {
      this.rows.set(id, fresh);
      return envelope("c", null, fresh);
    }
    // A null is never left out.
    const kept = (["text", "bytes", "list"] as const).filter(
      (name) => before[name] !== null && this.below(2) > 0,
    );
    const after = Object.fromEntries(kept.map((name) => [name, before[name]]));
    const sent = Object.fromEntries(kept.map((name) => [name, HELD[name]]));
    this.rows.set(id, { ...fresh, ...after });
    return envelope("u", null, { ...fresh, ...sent });
  }

  #row(id: number): Row {
    const n = ++this.#n;
    return {
      ...{ id, n },
      text: this.below(6) === 0 ? null : `text ${n}`.repeat(1 + this.below(300)),
      bytes: this.below(6) === 0 ? null : Buffer.from(`bytes ${n}`).toString("base64"),
      list: this.below(6) === 0 ? null : [n, -n],
    };
  }
}

/** A row as the source has it. */
function sourceRow({ id, n, text, bytes, list }: ParquetRow): unknown {
  return {
    ...{ id: Number(id), n: Number(n), text: text ?? null },
    bytes: bytes instanceof Uint8Array ? Buffer.from(bytes).toString("base64") : null,
    list: Array.isArray(list) ? list.map(Number) : null,
  };
}

test("values that a change leaves as they were are those of the row before, in its flush or in the table", async () => {
  const warehouse = newWarehouse();
  const broker = new FakeKafka();
  broker.topic("t", 2);
  const source = new Source();
  const ends = [0, 0];
  for (let round = 0; round < 4; round++) {
    for (const partition of ends.keys()) {
      const records = Array.from({ length: 50 }, () => {
        const id = 2 * source.below(12) + partition;
        return { key: JSON.stringify({ id }), value: source.change(id) };
      });
      const baseOffset = ends[partition] ?? 0;
      broker.append("t", partition, buildBatch({ baseOffset, records, leaderEpoch: 0 }));
      ends[partition] = baseOffset + records.length;
    }
    const run = pipelineOf(broker, {
      topics: ["t"],
      warehouse,
      decoder: { changes: CHANGES, fields: FIELDS },
      key: { key: ["id"], order: null },
    });
    expect(await run.run(LIMITS, true)).toBe(EXIT.ok);
    const names = FIELDS.map(({ name }) => name);
    const rows = await liveRows(warehouse, names);
    rows.sort((a, b) => Number(a["id"]) - Number(b["id"]));
    const wanted: unknown[] = [...source.rows.values()].sort((a, b) => a.id - b.id);
    expect(rows.map(sourceRow)).toEqual(wanted);
  }
});

test("a change that leaves a value as it was stops the table where it has no row of the key", async () => {
  const warehouse = newWarehouse();
  const broker = new FakeKafka();
  broker.topic("t", 1);
  const first = { key: '{"id":1}', value: envelope("c", null, { id: 1, text: "x" }) };
  const update = { key: '{"id":2}', value: envelope("u", null, { id: 2, text: PLACEHOLDER }) };
  const records = [first, update];
  broker.append("t", 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  const run = pipelineOf(broker, {
    topics: ["t"],
    warehouse,
    decoder: { changes: CHANGES, fields: FIELDS },
    key: { key: ["id"], order: null },
  });
  expect(await run.run(LIMITS, true)).not.toBe(EXIT.ok);
  expect(await liveRows(warehouse, ["id"])).toEqual([]);
});
