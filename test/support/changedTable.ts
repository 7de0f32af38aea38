/** A table of changes on the local disk, written by a writer as the product writes it, for foreign readers to judge. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import type { Feed } from "#base/offsets.ts";
import { type Random, seededRandom, systemRandom } from "#base/random.ts";
import type { Catalog } from "#catalog/catalog.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import type { LatestRows } from "#columns/latest.ts";
import type { Field, PrimitiveType } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { type CopyOnWriteParts, copyOnWrite } from "#maintenance/copyOnWrite.ts";
import { CopySlots } from "#maintenance/copySlots.ts";
import { createRewriteEngine } from "#maintenance/rewriteEngine.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { DeleteMode } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { MemoryLog } from "../sim/process.ts";
import { columnOf } from "./columnOf.ts";
import { WRITER_OPTIONS } from "./writerOptions.ts";

/** Columns of the table. */
const FIELDS: readonly Field[] = [
  { id: 1, name: "id", required: false, type: { kind: "string" } },
  { id: 2, name: "day", required: false, type: { kind: "date" } },
  { id: 3, name: "n", required: false, type: { kind: "long" } },
];

/** Where every change stays: which one it is, and whether it deletes. */
const RECORD: readonly Field[] = [
  { id: 4, name: "_kafka_partition", required: false, type: { kind: "int" } },
  { id: 5, name: "_kafka_offset", required: false, type: { kind: "long" } },
  { id: 6, name: "_kafka_deleted", required: false, type: { kind: "boolean" } },
];

const LATEST: LatestRows = {
  ...{ key: ["id"], orderField: null, deleted: "_kafka_deleted" },
  ...{ partition: "_kafka_partition", offset: "_kafka_offset" },
};

/** Kafka partitions; a key lies on one. */
const PARTITIONS = 2;
const SECRET = { k0: 3n, k1: 4n };

const COPIES: CopyOnWriteParts = {
  engine: createRewriteEngine({
    libraryFolder: null,
    scratch: join(tmpdir(), `copies-${process.pid}`),
    codec: WRITER_OPTIONS,
    encoder: createInlineEncoder(),
  }),
  slots: new CopySlots(() => () => undefined),
  stop: new AbortController().signal,
};

/** A change of a row; n null: the row goes. */
interface Change {
  readonly id: string;
  readonly day: number;
  readonly n: number | null;
}

/** How a table is made and written. */
export interface ChangedTableOptions {
  readonly formatVersion: 2 | 3;
  readonly deletes?: DeleteMode;
  /** Every change is a row that stays. Default: false. */
  readonly keepsAll?: boolean;
  readonly partitionForms?: readonly string[];
}

/** A table of which one process follows random changes. */
export class ChangedTable {
  /** What the table must hold: number of the last change by key. */
  readonly rows: Map<string, number> = new Map();
  /** Keys that the last flush deleted, also those that came again in it. */
  readonly deleted: Set<string> = new Set();
  readonly #writer: TableWriter;
  readonly #random: Random = seededRandom(5);
  readonly #keepsAll: boolean;
  readonly #ends: bigint[] = Array.from({ length: PARTITIONS }, () => 0n);
  #count = 0;

  private constructor(writer: TableWriter, keepsAll: boolean) {
    this.#writer = writer;
    this.#keepsAll = keepsAll;
  }

  /** Creates the table, with both feeds at 0; by default it is partitioned by day, which changes with the row. */
  static async create(
    catalog: Catalog,
    table: string,
    {
      formatVersion,
      deletes = "position",
      keepsAll = false,
      partitionForms = ["day"],
    }: ChangedTableOptions,
  ): Promise<ChangedTable> {
    const writer = await TableWriter.open(
      {
        catalog,
        encoder: createInlineEncoder(),
        txlog: new MemoryLog().reopen(() => 0),
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
        observe: ignoreObservations,
        copyOnWrite: {
          check: () => undefined,
          deleteRows: () => copyOnWrite(COPIES, 512 * 1024 * 1024),
        },
        keys: {
          secret: SECRET,
          openIndex: (_, keyColumns) => {
            const store = volatileKeyStore(createWasmKeyTable());
            return Promise.resolve(createTableIndex({ store, secret: SECRET, keyColumns }));
          },
        },
      },
      {
        ...WRITER_OPTIONS,
        name: { namespace: ["db"], table },
        ...(keepsAll ? { latest: LATEST } : { key: ["id"] }),
        deletes,
        create: { ...WRITER_OPTIONS.create, formatVersion, partitionForms },
      },
      keepsAll ? [...FIELDS, ...RECORD] : FIELDS,
    );
    const feeds = Array.from({ length: PARTITIONS }, (_, partition) => feedOf(partition));
    await writer.claim(feeds.map((feed) => ({ feed, offset: 0n })));
    return new ChangedTable(writer, keepsAll);
  }

  /** One flush: `count` changes of each partition, over `keys` keys of it. */
  async flush(count: number, keys: number): Promise<void> {
    this.deleted.clear();
    const segments = this.#ends.map((start, partition) => {
      const changes = Array.from({ length: count }, () => this.#change(partition, keys));
      const end = start + BigInt(count);
      this.#ends[partition] = end;
      return {
        range: { feed: feedOf(partition), start, end },
        batch: this.#batch(changes, partition, start),
      };
    });
    const result = await this.#writer.flush(this.#writer.newFlush(segments));
    if (result.kind !== "committed") throw new Error(`not committed: ${JSON.stringify(result)}`);
  }

  #batch(changes: readonly Change[], partition: number, start: bigint): ColumnBatch {
    if (!this.#keepsAll) return changeBatch(changes);
    const records = changes.map((_, at) => start + BigInt(at));
    const values = [
      ...FIELDS.map(({ name }) => changes.map((change) => VALUES[name]?.(change) ?? null)),
      changes.map(() => partition),
      records,
      changes.map(({ n }) => n === null),
    ];
    return batchOf([...FIELDS, ...RECORD], values);
  }

  /**
   * What is wrong with row ids, by key: the rows before the last flush must keep theirs, but for keys that it deleted;
   * other rows must have ids that none had.
   */
  idProblems(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string[] {
    const newest = Math.max(...before.values());
    const problems = [...this.rows.keys()].flatMap((key) => {
      const kept = this.deleted.has(key) ? undefined : before.get(key);
      const id = after.get(key);
      const isRight = kept === undefined ? (id ?? 0) > newest : id === kept;
      return isRight ? [] : [`${key}: ${id}, before ${before.get(key)}`];
    });
    const distinct = new Set(after.values()).size;
    const isWhole = after.size === this.rows.size && distinct === after.size;
    return isWhole
      ? problems
      : [...problems, `${after.size} rows of ${this.rows.size}, ${distinct} ids`];
  }

  /** Rows of the model, as `n` in order. */
  get numbers(): number[] {
    return [...this.rows.values()].sort((a, b) => a - b);
  }

  #change(partition: number, keys: number): Change {
    const id = `key-${partition}-${Math.floor(this.#random.unit() * keys)}`;
    // Rows move between the partitions of the table.
    const day = 20_000 + Math.floor(this.#random.unit() * 3);
    const isDelete = this.#random.unit() < 0.2;
    const n = isDelete ? null : this.#count++;
    if (n === null) this.deleted.add(id);
    if (n === null) this.rows.delete(id);
    else this.rows.set(id, n);
    return { id, day, n };
  }
}

function feedOf(partition: number): Feed {
  const topicId = "00000000-0000-4000-8000-000000000001";
  return { clusterId: "c", topic: "changes", topicId, partition };
}

/** Values of a change, by the name of their column. */
const VALUES: Readonly<Record<string, (change: Change) => PartitionValue>> = {
  id: ({ id }) => id,
  day: ({ day, n }) => (n === null ? null : day),
  n: ({ n }) => (n === null ? null : BigInt(n)),
  [CHANGE_TYPE.name]: ({ n }) => (n === null ? CHANGE.delete : CHANGE.put),
};

function changeBatch(changes: readonly Change[]): ColumnBatch {
  const fields = [...FIELDS, CHANGE_TYPE];
  const values = fields.map(({ name }) => changes.map((each) => VALUES[name]?.(each) ?? null));
  return batchOf(fields, values);
}

function batchOf(
  fields: readonly Field[],
  values: readonly (readonly PartitionValue[])[],
): ColumnBatch {
  const columns = fields.map((field, at) => ({
    ...columnOf(field.id, field.type as PrimitiveType, values[at] ?? []),
    field,
  }));
  const rowCount = values[0]?.length ?? 0;
  return { fields, columns, rowCount, byteCount: 40 * rowCount };
}
