/**
 * Rows of the simulation: which records a feed has, columns that name them, and files that can be
 * read back without Parquet.
 */
import type { Random } from "#base/random.ts";
import type { Column, ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import type { CoordinateReader } from "#commit/liveRows.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type {
  ByteSink,
  EncodedFile,
  EncodeOptions,
  OpenFile,
  ParquetEncoder,
  RowSlice,
} from "#parquet/encoder.ts";
import { FileBytes } from "#parquet/fileBytes.ts";

/** No batch has the topic's column: it is there for the coordinates alone. */
export const TOPIC: Field = { id: 0, name: "topic", required: false, type: { kind: "string" } };

/** Fields of the rows: enough to say which record a row is. */
export const FIELDS: readonly Field[] = [
  { id: 0, name: "partition", required: false, type: { kind: "int" } },
  { id: 0, name: "offset", required: false, type: { kind: "long" } },
];

/** One life of the topic: a topic that is deleted and made again has another id and begins at 0. */
export interface Topic {
  readonly index: number;
  readonly id: string;
  /** Offsets that hold a visible record, per partition; not dense. */
  readonly records: number[][];
}

/** Offsets below 40 that hold a record; not dense. */
export function holes(random: Random): number[] {
  const offsets: number[] = [];
  for (let offset = 0; offset < 40; offset++) if (random.unit() < 0.7) offsets.push(offset);
  return offsets;
}

/** The id of one life of the topic. */
export function topicId(index: number): string {
  return `00000000-0000-4000-8000-00000000000${index + 1}`;
}

/** The number that tells a record of one life of a topic from all others. */
export function rowNumber(topic: { readonly index: number }, offset: number): number {
  return topic.index * 1000 + offset;
}

/** Rows of one partition as columns; further columns hold zeros. */
export function columns(
  partition: number,
  numbers: readonly number[],
  more: readonly Field[] = [],
): ColumnBatch {
  const length = numbers.length;
  const column = (field: Field | undefined, data: Uint8Array) => ({
    field: field ?? (FIELDS[0] as Field),
    length,
    nullCount: 0,
    validity: null,
    offsets: null,
    data,
    children: [],
  });
  const partitions = new Uint8Array(new Int32Array(length).fill(partition).buffer);
  const longs = new Uint8Array(new BigInt64Array(numbers.map(BigInt)).buffer);
  const zeros = (field: Field): Uint8Array =>
    new Uint8Array(length * (field.type.kind === "int" ? 4 : 8));
  return {
    fields: [...FIELDS, ...more],
    rowCount: length,
    columns: [
      column(FIELDS[0], partitions),
      column(FIELDS[1], longs),
      ...more.map((field) => column(field, zeros(field))),
    ],
    byteCount: length * 12,
  };
}

/** An encoder whose files say which records they hold; each slice is a row group of its own. */
export const rowEncoder: ParquetEncoder = {
  encode: (_fields, slices, _options, sink) => new RowFile().finish(slices, {}, sink),
  open: () => new RowFile(),
  close: () => Promise.resolve(),
};

/** A file of {@link rowEncoder}: `[[partition,number],..]`. */
class RowFile implements OpenFile {
  #sink: ByteSink = () => Promise.resolve();
  readonly #file = new FileBytes((chunk) => this.#sink(chunk));
  #rowCount = 0;
  #text = "[";

  async append(slices: Iterable<RowSlice>, sink: ByteSink): Promise<void> {
    await this.#take(slices, sink);
    if (this.#rowCount > 0) await this.#write(this.#text);
    this.#text = "";
  }

  async #take(slices: Iterable<RowSlice>, sink: ByteSink): Promise<void> {
    this.#sink = sink;
    for (const slice of slices) {
      const rows = recordsOf(slice);
      if (this.#text.length > 1) await this.#write(this.#text);
      this.#text = `${this.#rowCount === 0 ? "[" : ","}${rows.join(",")}`;
      this.#rowCount += rows.length;
    }
  }

  async finish(
    slices: Iterable<RowSlice>,
    _metadata: EncodeOptions["metadata"],
    sink: ByteSink,
  ): Promise<EncodedFile> {
    await this.#take(slices, sink);
    await this.#write(`${this.#rowCount === 0 ? "[" : this.#text}]`);
    const rowCount = this.#rowCount;
    return { rowCount, splitOffsets: [4n], metrics: [], ...this.#file.finish() };
  }

  discard(): void {
    this.#sink = () => Promise.reject(new Error("a file that nobody wants is not written on"));
  }

  async #write(json: string): Promise<void> {
    await this.#file.write(new TextEncoder().encode(json));
  }
}

/** The records of a slice as `[partition,number]`. */
function recordsOf({ batch, rows: wanted }: RowSlice): string[] {
  const data = (name: string): ArrayBuffer => {
    const column = batch.columns.findLast(({ field }) => `_${field.name}`.endsWith(`_${name}`));
    const bytes = column?.data ?? new Uint8Array(0);
    return bytes.slice().buffer as ArrayBuffer;
  };
  const ints = new Int32Array(data("partition"));
  // Records of the pipeline simulation say their number themselves, in dead letters as they came.
  const bytes = data(batch.fields.some((field) => field.name === "n") ? "n" : "offset");
  const values = batch.columns.find((each) => each.field.name === "value");
  const longs =
    values === undefined
      ? new BigInt64Array(bytes, 0, Math.floor(bytes.byteLength / 8))
      : numbersIn(values);
  const numbers = wanted ?? Int32Array.from(Array(batch.rowCount).keys());
  return [...numbers].map((row) => `[${ints[row] ?? -1},${longs[row] ?? -1n}]`);
}

/** The numbers in a column of records. */
function numbersIn({ length, offsets, data }: Column): bigint[] {
  return Array.from({ length }, (_, row) => {
    const bytes = data?.subarray(offsets?.[row] ?? 0, offsets?.[row + 1] ?? 0);
    return BigInt(JSON.parse(new TextDecoder().decode(bytes)).n);
  });
}

/** The table's columns of coordinates. */
export const COORDINATES = { topic: "topic", partition: "partition", offset: "offset" };

/** Coordinates of a file that {@link rowEncoder} wrote. */
export const readCoordinates: CoordinateReader = async function* (storage, { filePath }, fields) {
  const text = new TextDecoder().decode(await storage.get(filePath));
  const rows = JSON.parse(text) as [number, number][];
  yield {
    // Dead letters have the topic's id behind its name.
    topics: rows.map(([, number]) =>
      fields.topic === 2 ? topicId(Math.floor(number / 1000)) : "t",
    ),
    // Rows of another engine have no coordinates.
    partitions: rows.map(([partition]) => (partition < 0 ? null : partition)),
    // Without the number of the topic's life, which no row holds.
    offsets: rows.map(([partition, number]) => (partition < 0 ? null : BigInt(number % 1000))),
  };
};

/** An empty data file of another engine. */
export function foreignFile(filePath: string): DataFile {
  const none = new Map<number, never>();
  return {
    content: "data",
    filePath,
    fileFormat: "PARQUET",
    specId: 0,
    partition: [],
    recordCount: 0n,
    fileSizeBytes: 2n,
    columnSizes: none,
    valueCounts: none,
    nullValueCounts: none,
    nanValueCounts: none,
    lowerBounds: none,
    upperBounds: none,
    splitOffsets: [],
    equalityIds: null,
    sortOrderId: 0,
    firstRowId: null,
    referencedDataFile: null,
    contentOffset: null,
    contentSizeBytes: null,
  };
}
