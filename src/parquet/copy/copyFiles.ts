/**
 * Several Parquet files as one, without decoding them: their pages are copied as they are, small row groups one behind the
 * other into large ones (decision 0480). Rows keep their order.
 *
 * What cannot be copied so is refused with `table_unsupported`, if need be in the middle of the output, which is void then: the
 * caller decodes the rows instead. Nothing is guessed: a file of which something is not understood is refused.
 */
import { assert } from "#base/assert.ts";
import type { Field } from "#columns/schema.ts";
import type { BloomColumn } from "#parquet/encoder.ts";
import type { FloatSummary } from "#parquet/floats.ts";
import type { PageCompression } from "#parquet/kernel/compress.ts";
import { type LeafColumn, leafColumns } from "#parquet/kernel/leaves.ts";
import { PAGE_LIMITS, type PageLimits, Workspace } from "#parquet/kernel/memory.ts";
import { schemaElements } from "#parquet/kernel/schema.ts";
import { addFloats } from "#parquet/kernel/statistics.ts";
import { footerBytes, MAGIC, type RowGroup } from "#parquet/kernel/thrift.ts";
import { leavesOf } from "#parquet/metrics.ts";
import { type CopiedChunk, copyChunk } from "./chunk.ts";
import { type CopyOutput, HeldEntries } from "./chunkOutput.ts";
import {
  type CopiedColumn,
  type CopySource,
  copiedColumns,
  type LineageFields,
  type PlacedGroup,
  partOf,
} from "./columns.ts";
import { unfit } from "./source.ts";

/** Files to be put together. */
export interface CopyTask {
  /** Columns of the table. */
  readonly fields: readonly Field[];
  /** Null: the file has no columns for them. */
  readonly lineage: LineageFields | null;
  readonly sources: readonly CopySource[];
  /** Of pages that have to be compressed anew. */
  readonly compression: PageCompression;
  readonly bloomFilters: readonly BloomColumn[];
  /** Keys of the footer. */
  readonly keys: Readonly<Record<string, string>>;
}

/** What was written. */
export interface CopiedFile {
  /** `FileMetaData` and trailer. */
  readonly footer: Uint8Array;
  /** By field id, of each float and double. */
  readonly floats: ReadonlyMap<number, FloatSummary>;
}

const CREATED_BY = "kafka-iceberg";

/** What is worth copying, and how large things become. */
export interface CopyLimits {
  /** Rows of a row group on average: pages of fewer are better made anew, each has a header and compresses alone. */
  readonly groupRowsMin: number;
  /** Compressed bytes of a row group, at least, but for a file that is smaller. */
  readonly rowGroupBytes: number;
  readonly pages: PageLimits;
}

/** 64 MB, as engines that split files by row groups want them. */
const LIMITS: CopyLimits = {
  groupRowsMin: 1000,
  rowGroupBytes: 64 * 1024 * 1024,
  pages: PAGE_LIMITS,
};

/**
 * Writes the file. `limits`: other than the defaults in tests.
 * @throws AppError `table_unsupported` when its files have to be decoded
 */
export function copyFiles(
  task: CopyTask,
  output: CopyOutput,
  limits: CopyLimits = LIMITS,
): CopiedFile {
  refuseSmall(task.sources, limits);
  const columns = copiedColumns(task.fields, task.lineage, task.sources);
  const fields = columns.map(({ field }) => field);
  const copy = new FileCopy(task, columns, output, limits);
  output.write(MAGIC);
  const rowGroups = packed(task.sources, limits).map((groups) => copy.rowGroup(groups));
  const rows = rowGroups.reduce((sum, { num_rows }) => sum + num_rows, 0n);
  const keyValues = Object.entries(task.keys).map(([key, value]) => ({ key, value }));
  const footer = footerBytes({
    version: 1,
    schema: schemaElements(fields),
    num_rows: rows,
    row_groups: rowGroups,
    ...(keyValues.length > 0 ? { key_value_metadata: keyValues } : {}),
    created_by: CREATED_BY,
    metadata_length: 0,
  });
  output.write(footer);
  return { footer, floats: copy.floats };
}

function refuseSmall(sources: readonly CopySource[], { groupRowsMin }: CopyLimits): void {
  const groups = sources.flatMap(({ file }) => file.groups);
  const rows = groups.reduce((sum, group) => sum + group.rows, 0);
  if (rows < groupRowsMin * groups.length) throw unfit("row groups have few rows");
}

/** The row groups of all files, put together until they are large enough. */
function packed(sources: readonly CopySource[], { rowGroupBytes }: CopyLimits): PlacedGroup[][] {
  const packs: PlacedGroup[][] = [];
  let [pack, bytes]: [PlacedGroup[], number] = [[], 0];
  for (const [at, { file }] of sources.entries()) {
    let firstRow = 0;
    for (const group of file.groups) {
      const placed = { at, firstRow, group };
      firstRow += group.rows;
      if (group.rows === 0) continue;
      pack.push(placed);
      bytes += group.bytes;
      if (bytes < rowGroupBytes) continue;
      packs.push(pack);
      [pack, bytes] = [[], 0];
    }
    if (firstRow !== file.rows) throw unfit("a file has other rows than its row groups");
  }
  // What is left over is no row group of its own.
  if (pack.length > 0 && packs.length > 0) packs.at(-1)?.push(...pack);
  else if (pack.length > 0) packs.push(pack);
  return packs;
}

/** A leaf of the new file. */
interface CopiedLeaf {
  readonly leaf: LeafColumn;
  readonly fieldId: number;
  readonly column: CopiedColumn;
  /** Its number among those of the column. */
  readonly number: number;
}

class FileCopy {
  readonly #task: CopyTask;
  readonly #output: CopyOutput;
  readonly #workspace: Workspace;
  readonly #held: HeldEntries;
  readonly #leaves: readonly CopiedLeaf[];
  readonly floats = new Map<number, FloatSummary>();

  constructor(
    task: CopyTask,
    columns: readonly CopiedColumn[],
    output: CopyOutput,
    { pages }: CopyLimits,
  ) {
    this.#workspace = new Workspace(pages);
    this.#held = new HeldEntries(pages);
    this.#task = task;
    this.#output = output;
    const leaves = leafColumns(columns.map(({ field }) => field));
    let at = 0;
    this.#leaves = columns.flatMap((column) =>
      leavesOf([column.field]).map(({ fieldId }, number) => {
        const leaf = leaves[at++];
        assert(leaf !== undefined, "each field has its leaves");
        return { leaf, column, number, fieldId };
      }),
    );
  }

  rowGroup(groups: readonly PlacedGroup[]): RowGroup {
    const offset = BigInt(this.#output.position);
    const chunks = this.#leaves.map((leaf) => this.#chunk(leaf, groups));
    const alone = groups.length === 1 ? groups[0] : undefined;
    const columns = chunks.map((chunk, at) => this.#withBloomFilter(chunk, at, alone));
    const total = (of: (chunk: CopiedChunk["metadata"]) => bigint): bigint =>
      chunks.reduce((sum, { metadata }) => sum + of(metadata), 0n);
    return {
      columns: columns.map((meta_data) => ({ file_offset: 0n, meta_data })),
      total_byte_size: total((chunk) => chunk.total_uncompressed_size),
      num_rows: BigInt(groups.reduce((sum, { group }) => sum + group.rows, 0)),
      file_offset: offset,
      total_compressed_size: total((chunk) => chunk.total_compressed_size),
    };
  }

  #chunk(
    { leaf, column, number, fieldId }: CopiedLeaf,
    groups: readonly PlacedGroup[],
  ): CopiedChunk {
    const { sources, lineage, compression, bloomFilters } = this.#task;
    const parts = groups.map((placed) => {
      const source = sources[placed.at];
      assert(source !== undefined, "a row group is one of a file");
      return partOf(column, number, source, placed, lineage);
    });
    const isBoolean = leaf.physical === "BOOLEAN";
    const bloom = bloomFilters.find((each) => each.fieldId === fieldId && !isBoolean) ?? null;
    const place = { workspace: this.#workspace, leaf, output: this.#output, held: this.#held };
    const chunk = copyChunk({ ...place, compression, bloom }, parts);
    if (leaf.physical === "FLOAT" || leaf.physical === "DOUBLE") {
      this.floats.set(fieldId, addFloats(this.floats.get(fieldId), chunk.extremes));
    }
    return chunk;
  }

  /** Writes a chunk's bloom filter: its own, or that of the only chunk that it was made of. */
  #withBloomFilter(
    { metadata, bloomFilter }: CopiedChunk,
    leaf: number,
    alone: PlacedGroup | undefined,
  ): CopiedChunk["metadata"] {
    const filter = bloomFilter ?? this.#storedFilter(leaf, alone);
    if (filter === null) return metadata;
    const offset = BigInt(this.#output.position);
    this.#output.write(filter);
    return { ...metadata, bloom_filter_offset: offset, bloom_filter_length: filter.length };
  }

  #storedFilter(at: number, alone: PlacedGroup | undefined): Uint8Array | null {
    const leaf = this.#leaves[at];
    if (alone === undefined || leaf === undefined) return null;
    const number = leaf.column.leaves[alone.at]?.[leaf.number];
    const bloom = number === undefined ? null : (alone.group.chunks[number]?.bloom ?? null);
    const source = this.#task.sources[alone.at]?.file.source;
    return bloom === null || source === undefined ? null : source.read(bloom.start, bloom.end);
  }
}
