/**
 * Least and greatest values of a column chunk, as its footer and Iceberg's manifests want them.
 */
import { boundsOf } from "#parquet/bounds.ts";
import type { FloatSummary } from "#parquet/floats.ts";
import type { LeafColumn } from "./leaves.ts";
import { BOUND_BYTES_MAX, BOUNDS, type Workspace } from "./memory.ts";
import { checked } from "./page.ts";
import type { ColumnMetaData } from "./thrift.ts";

/** PLAIN values, those of a BYTE_ARRAY without length and cut at 80 bytes; null: there are none. */
export interface Extremes {
  readonly min: Uint8Array | null;
  readonly max: Uint8Array | null;
  /** Of float and double. */
  readonly nanCount: number;
}

/** Forgets what the workspace has seen. */
export function clearExtremes(workspace: Workspace): void {
  workspace.bytes.fill(0, workspace.bounds, workspace.bounds + BOUNDS.size);
}

/** Adds `count` PLAIN values at `[from, end)`; a boolean is a byte. */
export function addExtremes(
  workspace: Workspace,
  leaf: LeafColumn,
  from: number,
  end: number,
  count: number,
): void {
  const { kernel, bounds } = workspace;
  switch (leaf.physical) {
    case "BOOLEAN":
      kernel.boundBooleans(bounds, from, count);
      return;
    case "INT32":
      kernel.boundInts(bounds, from, count);
      return;
    case "INT64":
      kernel.boundLongs(bounds, from, count);
      return;
    case "FLOAT":
      kernel.boundFloats(bounds, from, count);
      return;
    case "DOUBLE":
      kernel.boundDoubles(bounds, from, count);
      return;
    case "BYTE_ARRAY":
      checked(kernel.boundBytes(bounds, from, end));
      return;
    case "FIXED_LEN_BYTE_ARRAY": {
      const signed = Number(leaf.type.kind === "decimal");
      checked(kernel.boundFixed(bounds, from, end, leaf.width, signed));
    }
  }
}

/** What was seen since `clearExtremes`. */
export function readExtremes(workspace: Workspace): Extremes {
  const { bounds, bytes } = workspace;
  const nanCount = workspace.get(bounds, BOUNDS.nanCount);
  if (workspace.get(bounds, BOUNDS.seen) === 0) return { min: null, max: null, nanCount };
  const value = (at: number, size: number): Uint8Array =>
    bytes.slice(bounds + at, bounds + at + workspace.get(bounds, size));
  return {
    min: value(BOUNDS.min, BOUNDS.minBytes),
    max: value(BOUNDS.max, BOUNDS.maxBytes),
    nanCount,
  };
}

/** A float column's summary with a further chunk. */
export function addFloats(summary: FloatSummary | undefined, chunk: Extremes): FloatSummary {
  const { nanCount, min, max } = summary ?? { nanCount: 0, min: Infinity, max: -Infinity };
  return {
    nanCount: nanCount + chunk.nanCount,
    min: chunk.min === null ? min : Math.min(min, floatOf(chunk.min)),
    max: chunk.max === null ? max : Math.max(max, floatOf(chunk.max)),
  };
}

/**
 * The footer's statistics. Strings and binary values are cut as Iceberg's bounds are; no bounds
 * where one is missing or incomplete. A zero is -0.0 as a minimum, +0.0 as a maximum (parquet.thrift,
 * `ColumnOrder`).
 */
export function footerStatistics(
  leaf: LeafColumn,
  extremes: Extremes,
  nullCount: number,
): NonNullable<ColumnMetaData["statistics"]> {
  const nulls = { null_count: BigInt(nullCount) };
  const { min, max } = extremes;
  if (min === null || max === null || leaf.width > BOUND_BYTES_MAX) return nulls;
  if (leaf.physical !== "BYTE_ARRAY") {
    return { ...nulls, min_value: minValue(leaf, min), max_value: maxValue(leaf, max) };
  }
  const { lower, upper: cut } = boundsOf(leaf.type, [extremes]);
  // Where nothing shorter lies above it, the greatest value itself, if it was kept whole.
  const upper = cut ?? (max.length < BOUND_BYTES_MAX ? max : null);
  if (lower === null || upper === null) return nulls;
  return {
    ...nulls,
    min_value: lower,
    max_value: upper,
    is_min_value_exact: lower.length === min.length,
    is_max_value_exact: Buffer.compare(upper, max) === 0,
  };
}

function minValue(leaf: LeafColumn, min: Uint8Array): NonNullable<Value> {
  const value = plainValue(leaf, min);
  return value === 0 && isFloat(leaf) ? -0 : value;
}

function maxValue(leaf: LeafColumn, max: Uint8Array): NonNullable<Value> {
  const value = plainValue(leaf, max);
  return value === 0 && isFloat(leaf) ? 0 : value;
}

function isFloat(leaf: LeafColumn): boolean {
  return leaf.physical === "FLOAT" || leaf.physical === "DOUBLE";
}

type Value = NonNullable<ColumnMetaData["statistics"]>["min_value"];

/** A PLAIN value in the form that hyparquet-writer takes. */
export function plainValue(leaf: LeafColumn, bytes: Uint8Array): NonNullable<Value> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (leaf.physical) {
    case "BOOLEAN":
      return bytes[0] === 1;
    case "INT32": {
      const value = view.getInt32(0, true);
      // An unscaled decimal: as a number it would be scaled once more.
      return leaf.type.kind === "decimal" ? BigInt(value) : value;
    }
    case "INT64":
      return view.getBigInt64(0, true);
    case "FLOAT":
    case "DOUBLE":
      return floatOf(bytes);
    case "BYTE_ARRAY":
      return bytes;
    case "FIXED_LEN_BYTE_ARRAY":
      return leaf.type.kind === "decimal"
        ? BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toHex()}`))
        : bytes;
  }
}

function floatOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return bytes.length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
}
