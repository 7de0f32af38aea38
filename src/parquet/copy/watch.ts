/**
 * What a footer says of a chunk's values, from what its parts say of theirs. Where a part does not say enough its values are
 * looked at: of floats always, since no footer counts NaN; of others where bounds are missing; and of columns with
 * a bloom filter.
 */
import { boundsOf, compareValues } from "#parquet/bounds.ts";
import type { BloomColumn } from "#parquet/encoder.ts";
import { ChunkBloom } from "#parquet/kernel/bloom.ts";
import type { LeafColumn } from "#parquet/kernel/leaves.ts";
import { BOUND_BYTES_MAX, type Workspace } from "#parquet/kernel/memory.ts";
import {
  addExtremes,
  clearExtremes,
  type Extremes,
  footerStatistics,
  plainValue,
  readExtremes,
} from "#parquet/kernel/statistics.ts";
import type { ColumnMetaData } from "#parquet/kernel/thrift.ts";
import { type ChunkPart, plainLong } from "./parts.ts";

type Statistics = NonNullable<ColumnMetaData["statistics"]>;

/** A bound of a chunk; whether a value is equal to it, where that is known. */
interface Bound {
  readonly value: Uint8Array;
  readonly isExact: boolean | null;
}

/** Both bounds. */
interface Said {
  readonly min: Bound;
  readonly max: Bound;
}

/** Collects what is said, and seen, of the values of one chunk. */
export class ChunkWatch {
  readonly #workspace: Workspace;
  readonly #leaf: LeafColumn;
  readonly #isFloat: boolean;
  readonly #bloom: ChunkBloom | null;
  #said: Said | null = null;
  #isUnknown = false;
  /** The values of the part at hand are bounds. */
  #seesBounds = false;
  /** NaN in dictionaries, which are no rows, and in rows by their indexes. */
  #listedNans = 0;
  #indexedNans = 0;

  /** One at a time may use a workspace. */
  constructor(workspace: Workspace, leaf: LeafColumn, bloom: BloomColumn | null) {
    this.#workspace = workspace;
    this.#leaf = leaf;
    this.#isFloat = leaf.physical === "FLOAT" || leaf.physical === "DOUBLE";
    this.#bloom = bloom === null ? null : new ChunkBloom(bloom);
    clearExtremes(workspace);
  }

  /** Begins a part; true when its values are to be shown by {@link see}. */
  begin(part: ChunkPart): boolean {
    const said = this.#isFloat ? null : saidOf(part);
    if (said !== null) this.#said = this.#said === null ? said : this.#widest(this.#said, said);
    const isMissing = said === null && hasValues(part);
    // Nobody asks for bounds of what is in lists.
    const isAsked = this.#isFloat || this.#leaf.repetitionMax === 0;
    this.#isUnknown ||= isMissing && !isAsked;
    this.#seesBounds = isMissing && isAsked;
    return this.#seesBounds || (this.#bloom !== null && hasValues(part));
  }

  /** Takes PLAIN values of the part, of booleans a byte each. */
  see(values: Uint8Array, count: number): void {
    if (count === 0) return;
    const workspace = this.#workspace;
    this.#bloom?.add(values, this.#leaf.width);
    if (!this.#seesBounds) return;
    workspace.reserve(0, values.length);
    workspace.bytes.set(values, workspace.plain);
    addExtremes(workspace, this.#leaf, workspace.plain, workspace.plain + values.length, count);
  }

  /**
   * Takes a part's dictionary.
   * @returns which of its entries are NaN, so that their rows are counted; null: none
   */
  seeDictionary(values: Uint8Array, count: number): ReadonlySet<number> | null {
    this.see(values, count);
    const nans = this.#isFloat ? nansOf(values, this.#leaf.width) : null;
    this.#listedNans += nans?.size ?? 0;
    return nans;
  }

  /** Takes rows that are NaN by their index. */
  addNans(count: number): void {
    this.#indexedNans += count;
  }

  /** What was seen of floats. */
  get floats(): Extremes {
    const { min, max, nanCount } = readExtremes(this.#workspace);
    return { min, max, nanCount: nanCount - this.#listedNans + this.#indexedNans };
  }

  /** The chunk's bloom filter; null: it has none. */
  endBloom(): Uint8Array | null {
    return this.#bloom?.end() ?? null;
  }

  /** The statistics of the chunk. */
  statistics(nullCount: number): Statistics {
    const leaf = this.#leaf;
    if (this.#isFloat) return footerStatistics(leaf, this.floats, nullCount);
    const seen = this.#seen();
    const nulls: Statistics = { null_count: BigInt(nullCount) };
    if (this.#isUnknown || seen === "unknown") return nulls;
    const said =
      this.#said !== null && seen !== null ? this.#widest(this.#said, seen) : (this.#said ?? seen);
    if (said === null) return nulls;
    const { min, max } = said;
    return {
      ...nulls,
      min_value: plainValue(leaf, min.value),
      max_value: plainValue(leaf, max.value),
      ...(min.isExact === null ? {} : { is_min_value_exact: min.isExact }),
      ...(max.isExact === null ? {} : { is_max_value_exact: max.isExact }),
    };
  }

  /** Bounds of the values that were looked at; null: there was none. */
  #seen(): Said | "unknown" | null {
    const { type, physical, width } = this.#leaf;
    const extremes = readExtremes(this.#workspace);
    const { min, max } = extremes;
    if (min === null || max === null) return null;
    if (width > BOUND_BYTES_MAX) return "unknown";
    if (physical !== "BYTE_ARRAY") return { min: exact(min), max: exact(max) };
    const { lower, upper } = boundsOf(type, [extremes]);
    if (lower === null || upper === null) return "unknown";
    return {
      min: { value: lower, isExact: lower.length === min.length },
      max: { value: upper, isExact: Buffer.compare(upper, max) === 0 },
    };
  }

  #widest(a: Said, b: Said): Said {
    const { type } = this.#leaf;
    return {
      min: compareValues(type, a.min.value, b.min.value) <= 0 ? a.min : b.min,
      max: compareValues(type, a.max.value, b.max.value) >= 0 ? a.max : b.max,
    };
  }
}

/** True when a part may have a value. */
function hasValues(part: ChunkPart): boolean {
  switch (part.kind) {
    case "stored":
      return part.chunk.entries > part.chunk.nullCount;
    case "nulls":
      return false;
    case "counter":
    case "constant":
      return part.rows > 0;
  }
}

/** The bounds that a part knows. */
function saidOf(part: ChunkPart): Said | null {
  switch (part.kind) {
    case "stored": {
      const { min, max, isMinExact, isMaxExact } = part.chunk;
      if (min === null || max === null) return null;
      return { min: { value: min, isExact: isMinExact }, max: { value: max, isExact: isMaxExact } };
    }
    case "nulls":
      return null;
    case "counter":
      return {
        min: exact(plainLong(part.first)),
        max: exact(plainLong(part.first + BigInt(part.rows - 1))),
      };
    case "constant":
      return { min: exact(plainLong(part.value)), max: exact(plainLong(part.value)) };
  }
}

function exact(value: Uint8Array): Bound {
  return { value, isExact: true };
}

/** Which PLAIN floats are NaN; null: none. */
function nansOf(values: Uint8Array, width: number): ReadonlySet<number> | null {
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const nans = new Set<number>();
  for (let at = 0; at + width <= values.length; at += width) {
    const value = width === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true);
    if (Number.isNaN(value)) nans.add(at / width);
  }
  return nans.size === 0 ? null : nans;
}
