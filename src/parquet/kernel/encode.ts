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
import type { BloomColumn, ByteSink, EncodedFile, EncodeOptions } from "#parquet/encoder.ts";
import { FileBytes } from "#parquet/fileBytes.ts";
import type { FloatSummary } from "#parquet/floats.ts";
import type { ChunkMetadata, RowGroupMetadata } from "#parquet/footer.ts";
import { columnMetrics, leavesOf } from "#parquet/metrics.ts";
import { type EncodedChunk, encodeChunk } from "./chunk.ts";
import { type PageCompression, pageCompression } from "./compress.ts";
import { type LeafColumn, leafColumns } from "./leaves.ts";
import { NODES_MAX, PAGE_LIMITS, type PageLimits, Workspace } from "./memory.ts";
import { Output } from "./output.ts";
import type { RowRange } from "./pieces.ts";
import { RowGroupSize, rowGroups } from "./rowGroups.ts";
import { schemaElements } from "./schema.ts";
import { addFloats } from "./statistics.ts";
import { type ColumnMetaData, footerBytes, MAGIC, type RowGroup } from "./thrift.ts";

const CREATED_BY = "kafka-iceberg";

/** Memory of a workspace that is worth keeping for the next file. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/** Workspaces without a file: one, unless files were encoded side by side. */
const idle: Workspace[] = [];

/** True when the kernel can write a file of these fields with these options. */
export function kernelTakes(fields: readonly Field[], options: EncodeOptions): boolean {
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
  const compression = pageCompression(options);
  assert(compression !== null, "the kernel was asked whether it takes the codec");
  const workspace = (limits === PAGE_LIMITS ? idle.pop() : null) ?? new Workspace(limits);
  const file = new KernelFile(workspace, fields, compression, sink, options.bloomFilters ?? []);
  const encoded = await file.encode(batches, options);
  // Only now: after a fault its memory is not used again.
  const isKept = limits === PAGE_LIMITS && workspace.memoryBytes <= KEPT_BYTES_MAX;
  if (isKept) idle.push(workspace);
  return encoded;
}

/** Bytes of this thread's WASM memory that wait for the next file. */
export function kernelBytes(): number {
  return idle.reduce((sum, workspace) => sum + workspace.memoryBytes, 0);
}

class KernelFile {
  readonly #workspace: Workspace;
  readonly #fields: readonly Field[];
  readonly #compression: PageCompression;
  readonly #file: FileBytes;
  readonly #output: Output;
  readonly #leaves: readonly LeafColumn[];
  /** By leaf. */
  readonly #blooms: readonly (BloomColumn | null)[];
  readonly #floats = new Map<number, FloatSummary>();

  constructor(
    workspace: Workspace,
    fields: readonly Field[],
    compression: PageCompression,
    sink: ByteSink,
    blooms: readonly BloomColumn[],
  ) {
    this.#workspace = workspace;
    this.#fields = fields;
    this.#compression = compression;
    this.#file = new FileBytes(sink);
    this.#output = new Output(this.#file);
    this.#leaves = leafColumns(fields);
    this.#blooms = leavesOf(fields).map(
      ({ fieldId, type }) =>
        blooms.find((each) => each.fieldId === fieldId && type.kind !== "boolean") ?? null,
    );
  }

  async encode(batches: BatchSource, options: EncodeOptions): Promise<EncodedFile> {
    const groups: { readonly footer: RowGroup; readonly metadata: RowGroupMetadata }[] = [];
    await this.#output.write(MAGIC);
    const size = new RowGroupSize(options);
    for await (const ranges of rowGroups(batches, size)) {
      const group = await this.#encodeGroup(ranges);
      size.learn(ranges, group.footer.total_compressed_size ?? 0n);
      groups.push(group);
      // Whoever wants files of a size counts what has come.
      await this.#output.flush();
    }
    const rowCount = groups.reduce((sum, group) => sum + group.metadata.rowCount, 0n);
    const keyValues = Object.entries(options.metadata).map(([key, value]) => ({ key, value }));
    const footer = footerBytes({
      version: 1,
      schema: schemaElements(this.#fields),
      num_rows: rowCount,
      row_groups: groups.map((group) => group.footer),
      ...(keyValues.length > 0 ? { key_value_metadata: keyValues } : {}),
      created_by: CREATED_BY,
      metadata_length: 0,
    });
    await this.#output.write(footer);
    await this.#output.flush();
    const rowGroupsOf = groups.map((group) => group.metadata);
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

  async #encodeGroup(ranges: readonly RowRange[]): Promise<{
    readonly footer: RowGroup;
    readonly metadata: RowGroupMetadata;
  }> {
    const rows = BigInt(ranges.reduce((sum, range) => sum + range.end - range.start, 0));
    const offset = BigInt(this.#output.position);
    const chunks: EncodedChunk[] = [];
    const parts = {
      workspace: this.#workspace,
      compression: this.#compression,
      output: this.#output,
    };
    for (const [index, leaf] of this.#leaves.entries()) {
      const bloom = this.#blooms[index] ?? null;
      chunks.push(await encodeChunk({ ...parts, leaf, bloom }, ranges));
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
