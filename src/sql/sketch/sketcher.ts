/**
 * Makes theta sketches of columns, one column at a time, by the kernel `sketch.wasm`: values go in as they lie
 * in DuckDB's memory, as bytes of Iceberg's single-value serialization.
 */
import { assert } from "#base/assert.ts";
import type { Field } from "#columns/schema.ts";
import type { ThetaSketch } from "#iceberg/statistics/thetaSketch.ts";
import { growMemory, type Kernel, loadKernel } from "#kernel/load.ts";
import type { ColumnMemory } from "#sql/duckdb/arrowBatches.ts";

/** How a column's values are asked for, and what they are then. */
export interface CountedForm {
  /** An expression over the column, which is named `c`. */
  readonly sql: string;
  /** Bytes of a value; null: as long as it is. */
  readonly width: number | null;
  /** True: an unscaled decimal of 16 bytes, of which as few count as hold it. */
  readonly isDecimal: boolean;
}

/** Null: the column's values cannot be told apart here, or are no single values. */
export function countedForm({ type }: Field): CountedForm | null {
  const plain = (width: number | null, sql = "c"): CountedForm => ({
    sql,
    width,
    isDecimal: false,
  });
  switch (type.kind) {
    case "boolean":
      return plain(1, "CAST(c AS UTINYINT)");
    case "int":
    case "float":
    case "date":
      return plain(4);
    case "long":
    case "double":
    case "time":
    case "timestamp":
      return plain(8);
    case "timestamp_ns":
      // With a zone DuckDB has microseconds only.
      return type.zone ? null : plain(8);
    case "decimal":
      return { sql: `CAST(c AS DECIMAL(38, ${type.scale}))`, width: 16, isDecimal: true };
    case "uuid":
      return plain(null, "unhex(replace(CAST(c AS VARCHAR), '-', ''))");
    case "string":
    case "binary":
    case "fixed":
      return plain(null);
    default:
      return null;
  }
}

interface Functions {
  readonly addBytes: (offsets: number, data: number, validity: number, count: number) => void;
  readonly addDecimals: (values: number, validity: number, count: number, scratch: number) => void;
  readonly addFixed: (values: number, validity: number, count: number, width: number) => void;
  readonly add: (hash: bigint) => void;
  readonly begin: (at: number, theta: bigint) => void;
  readonly finish: (to: number) => number;
  readonly tableBytes: () => number;
  readonly theta: () => bigint;
}

const SCRATCH_BYTES = 16;

/** One sketch after the other. */
export class Sketcher {
  readonly #kernel: Kernel<Functions> = loadKernel<Functions>("sketch");
  readonly #table: number = aligned(this.#kernel.heapBase);
  readonly #scratch: number = this.#table + this.#kernel.functions.tableBytes();
  readonly #heap: number = this.#scratch + SCRATCH_BYTES;

  constructor() {
    growMemory(this.#kernel.memory, this.#heap);
  }

  /** Begins a sketch that has what another has already. */
  begin({ theta, hashes }: ThetaSketch): void {
    const { begin, add } = this.#kernel.functions;
    begin(this.#table, theta);
    hashes.forEach((hash) => {
      add(hash);
    });
  }

  /** Takes values in. */
  add({ width, isDecimal }: CountedForm, memory: ColumnMemory): void {
    const { functions } = this.#kernel;
    const { length } = memory;
    const parts = [memory.values, memory.validity, memory.offsets];
    const bytes = parts.reduce((sum, part) => sum + aligned(part?.length ?? 0), 0);
    growMemory(this.#kernel.memory, this.#heap + bytes);
    let at = this.#heap;
    const [values = 0, validity = 0, offsets = 0] = parts.map((part) => {
      if (part === null) return 0;
      const place = at;
      new Uint8Array(this.#kernel.memory.buffer, place, part.length).set(part);
      at += aligned(part.length);
      return place;
    });
    if (isDecimal) functions.addDecimals(values, validity, length, this.#scratch);
    else if (width === null) functions.addBytes(offsets, values, validity, length);
    else functions.addFixed(values, validity, length, width);
  }

  /** Ends the sketch. */
  finish(): ThetaSketch {
    const { functions, memory } = this.#kernel;
    // As many hashes as a table has at most: half of its bytes.
    growMemory(memory, this.#heap + functions.tableBytes());
    const count = functions.finish(aligned(this.#heap));
    const hashes = new BigUint64Array(memory.buffer, aligned(this.#heap), count).slice();
    const theta = functions.theta();
    assert(
      hashes.every((hash) => hash < theta),
      "a sketch has hashes below its theta only",
    );
    return { theta, hashes };
  }
}

function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}
