/**
 * Rows -> one Parquet file by the encode kernel (`kernel/assembly/encode/`): {@link encodeWithKernel}.
 *
 * Row group by row group, column by column, page by page: memory holds the batches of a row group
 * (by reference) and one page. Data pages V1, PLAIN and RLE_DICTIONARY only: what every reader
 * takes. Reference and stand-in is `parquet-wasm` (`parquet/reference.ts`).
 */
import { assert } from "#base/assert.ts";
import { childFields, type Field, isPrimitive } from "#columns/schema.ts";
import type { BatchSource } from "#parquet/columnData.ts";
import type {
  BloomColumn,
  ByteSink,
  EncodedFile,
  EncodeOptions,
  OpenFileOptions,
} from "#parquet/encoder.ts";
import { FileBytes } from "#parquet/fileBytes.ts";
import type { FloatSummary } from "#parquet/floats.ts";
import type { ChunkMetadata, RowGroupMetadata } from "#parquet/footer.ts";
import { columnMetrics, leavesOf } from "#parquet/metrics.ts";
import { type EncodedChunk, encodeChunk } from "./chunk.ts";
import { type PageCodec, type PageCompression, pageCompression } from "./compress.ts";
import { type LeafColumn, leafColumns } from "./leaves.ts";
import { NODES_MAX, PAGE_LIMITS, type PageLimits, Workspace } from "./memory.ts";
import { Output } from "./output.ts";
import type { RowRange } from "./pieces.ts";
import { RowGroupSize, rowGroups } from "./rowGroups.ts";
import { schemaElements } from "./schema.ts";
import { addFloats } from "./statistics.ts";
import { type ColumnMetaData, footerBytes, MAGIC, type RowGroup } from "./thrift.ts";

const CREATED_BY = "kafka-iceberg";

/** So many row groups of a file after which it is tried again which columns are worth compressing. */
const TRIAL_GROUPS = 4;

/** Memory of a workspace that is worth keeping for the next file. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/** Workspaces without a file: one, unless files were encoded side by side. */
const idle: Workspace[] = [];

/** True when the kernel can write a file of these fields with these options. */
export function kernelTakes(fields: readonly Field[], options: OpenFileOptions): boolean {
  return pageCompression(options) !== null && fields.every((field) => isTaken(field, 1));
}

function isTaken({ type }: Field, depth: number): boolean {
  if (depth > NODES_MAX) return false;
  const children = childFields(type);
  if (children.length === 0) return isPrimitive(type);
  return children.every((child) => isTaken(child, depth + 1));
}

/** As `encodeParquet`, for what {@link kernelTakes}. `limits`: other than the defaults in tests. */
export async function encodeWithKernel(
  fields: readonly Field[],
  batches: BatchSource,
  options: EncodeOptions,
  sink: ByteSink,
  limits: PageLimits = PAGE_LIMITS,
): Promise<EncodedFile> {
  const file = new KernelFile(fields, options, limits);
  await file.append(batches, sink);
  return await file.finish(options.metadata, sink);
}

/** Bytes of this thread's WASM memory that wait for the next file. */
export function kernelBytes(): number {
  return idle.reduce((sum, workspace) => sum + workspace.memoryBytes, 0);
}

/** A group, as the footer and as the manifests have it. */
interface EncodedGroup {
  readonly footer: RowGroup;
  readonly metadata: RowGroupMetadata;
}

/**
 * One file, from its first bytes to its footer, in as many calls as its rows take; memory of the kernel is
 * its only while it encodes.
 */
export class KernelFile {
  readonly #fields: readonly Field[];
  readonly #compression: PageCompression;
  readonly #limits: PageLimits;
  readonly #file: FileBytes;
  readonly #output: Output;
  readonly #leaves: readonly LeafColumn[];
  /** By leaf. */
  readonly #blooms: readonly (BloomColumn | null)[];
  /** By leaf: what the last trial has chosen. */
  readonly #chosen: (PageCodec | null)[] = [];
  readonly #floats = new Map<number, FloatSummary>();
  readonly #size: RowGroupSize;
  readonly #groups: EncodedGroup[] = [];
  #sink: ByteSink = () => Promise.resolve();

  /** For fields and options that {@link kernelTakes}. */
  constructor(
    fields: readonly Field[],
    options: OpenFileOptions,
    limits: PageLimits = PAGE_LIMITS,
  ) {
    const compression = pageCompression(options);
    assert(compression !== null, "the kernel was asked whether it takes the codec");
    const { bloomFilters = [] } = options;
    this.#fields = fields;
    this.#compression = compression;
    this.#limits = limits;
    this.#size = new RowGroupSize(options);
    this.#file = new FileBytes((chunk) => this.#sink(chunk));
    this.#output = new Output(this.#file);
    this.#leaves = leafColumns(fields);
    this.#blooms = leavesOf(fields).map(
      ({ fieldId, type }) =>
        bloomFilters.find((each) => each.fieldId === fieldId && type.kind !== "boolean") ?? null,
    );
  }

  /** Encodes rows as row groups of their own; their bytes have gone to the sink when it resolves. */
  async append(batches: BatchSource, sink: ByteSink): Promise<void> {
    this.#sink = sink;
    if (this.#output.position === 0) await this.#output.write(MAGIC);
    const isUsual = this.#limits === PAGE_LIMITS;
    const workspace = (isUsual ? idle.pop() : null) ?? new Workspace(this.#limits);
    for await (const ranges of rowGroups(batches, this.#size)) {
      const group = await this.#encodeGroup(workspace, ranges);
      this.#size.learn(ranges, group.footer.total_compressed_size ?? 0n);
      this.#groups.push(group);
      // Whoever wants files of a size counts what has come.
      await this.#output.flush();
    }
    // Only now: after a fault its memory is not used again.
    if (isUsual && workspace.memoryBytes <= KEPT_BYTES_MAX) idle.push(workspace);
  }

  /** Ends the file. */
  async finish(metadata: EncodeOptions["metadata"], sink: ByteSink): Promise<EncodedFile> {
    this.#sink = sink;
    const rowGroupsOf = this.#groups.map((group) => group.metadata);
    const rowCount = rowGroupsOf.reduce((sum, group) => sum + group.rowCount, 0n);
    const keyValues = Object.entries(metadata).map(([key, value]) => ({ key, value }));
    const footer = footerBytes({
      version: 1,
      schema: schemaElements(this.#fields),
      num_rows: rowCount,
      row_groups: this.#groups.map((group) => group.footer),
      ...(keyValues.length > 0 ? { key_value_metadata: keyValues } : {}),
      created_by: CREATED_BY,
      metadata_length: 0,
    });
    await this.#output.write(footer);
    await this.#output.flush();
    return {
      rowCount: Number(rowCount),
      splitOffsets: rowGroupsOf.map((group) => group.offset),
      metrics: columnMetrics(
        leavesOf(this.#fields),
        { rowCount, rowGroups: rowGroupsOf },
        this.#floats,
      ),
      ...this.#file.finish(),
    };
  }

  async #encodeGroup(workspace: Workspace, ranges: readonly RowRange[]): Promise<EncodedGroup> {
    const rows = BigInt(ranges.reduce((sum, range) => sum + range.end - range.start, 0));
    const offset = BigInt(this.#output.position);
    const chunks: EncodedChunk[] = [];
    const parts = { workspace, compression: this.#compression, output: this.#output };
    if (this.#groups.length % TRIAL_GROUPS === 0) this.#chosen.length = 0;
    for (const [index, leaf] of this.#leaves.entries()) {
      const bloom = this.#blooms[index] ?? null;
      const chosen = this.#chosen[index] ?? null;
      const chunk = await encodeChunk({ ...parts, leaf, bloom, chosen }, ranges);
      this.#chosen[index] = chunk.chosen;
      chunks.push(chunk);
    }
    this.#addFloats(chunks);
    const columns: ColumnMetaData[] = [];
    for (const chunk of chunks) columns.push(await this.#withBloomFilter(chunk));
    const total = (part: (chunk: EncodedChunk) => bigint): bigint =>
      chunks.reduce((sum, chunk) => sum + part(chunk), 0n);
    const footer: RowGroup = {
      columns: columns.map((meta_data) => ({ file_offset: 0n, meta_data })),
      total_byte_size: total((chunk) => chunk.metadata.total_uncompressed_size),
      num_rows: rows,
      file_offset: offset,
      total_compressed_size: total((chunk) => chunk.metadata.total_compressed_size),
    };
    return { footer, metadata: { offset, rowCount: rows, chunks: chunks.map(metadataOf) } };
  }

  /** Writes a chunk's bloom filter, and says where. */
  async #withBloomFilter({ metadata, bloomFilter }: EncodedChunk): Promise<ColumnMetaData> {
    if (bloomFilter === null) return metadata;
    const offset = BigInt(this.#output.position);
    await this.#output.write(bloomFilter);
    return { ...metadata, bloom_filter_offset: offset, bloom_filter_length: bloomFilter.length };
  }

  #addFloats(chunks: readonly EncodedChunk[]): void {
    for (const [index, { fieldId, type }] of leavesOf(this.#fields).entries()) {
      const chunk = chunks[index];
      if (chunk === undefined || (type.kind !== "float" && type.kind !== "double")) continue;
      this.#floats.set(fieldId, addFloats(this.#floats.get(fieldId), chunk.extremes));
    }
  }
}

function metadataOf(chunk: EncodedChunk): ChunkMetadata {
  const { metadata, extremes, nullCount } = chunk;
  return {
    compressedBytes: metadata.total_compressed_size,
    valueCount: metadata.num_values,
    nullCount: BigInt(nullCount),
    min: extremes.min,
    max: extremes.max,
  };
}
