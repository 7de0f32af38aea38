/**
 * Columns that a writer's schema has no field for: what they get in its records.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { needsValue } from "#columns/schema.ts";
import type { TableSchema } from "#decode/format.ts";
import { fillerOf } from "#decode/json/defaults.ts";
import type { Differences } from "./differences.ts";
import type { Fallback } from "./readerSchema.ts";
import type { AvroType } from "./schema.ts";
import { STEP, type Step, step } from "./steps.ts";
import type { Place, ProgramOptions } from "./unplaced.ts";

/** Compiles their steps, for one schema. */
export class Absent {
  private readonly table: TableSchema;
  private readonly options: ProgramOptions;
  private readonly differences: Differences;
  private readonly value: (type: AvroType, column: ColumnBuilder, at: Place) => Step;

  /** @param value compiles a value into a column */
  constructor(
    table: TableSchema,
    options: ProgramOptions,
    differences: Differences,
    value: (type: AvroType, column: ColumnBuilder, at: Place) => Step,
  ) {
    this.table = table;
    this.options = options;
    this.differences = differences;
    this.value = value;
  }

  /** What a column gets in a record without its field; null: it is null. @param path of the column */
  step(column: ColumnBuilder, path: string): Step | null {
    const fallback = this.fallbackOf(path);
    if (fallback === null) {
      this.note(column, path);
      return this.end(column, path);
    }
    const { type, bytes } = fallback;
    const inner = this.value(type, column, { path, source: this.table.shaping.fieldPath(path) });
    return step(STEP.constant, { column, path, type, words: [bytes], steps: [inner] });
  }

  /** What a column gets where nothing was appended; null: it is null. */
  end(column: ColumnBuilder, path: string): Step | null {
    if (!needsValue(column.field)) return null;
    const fill = fillerOf(column.field);
    if (fill !== null) return step(STEP.fill, { column, path, fill });
    return step(STEP.missing, { column, path });
  }

  /** A required column that nothing fills does not fit the schema. */
  private note(column: ColumnBuilder, path: string): void {
    const isFilled = fillerOf(column.field) !== null;
    if (!column.field.required || isFilled || this.options.needed.includes(path)) return;
    this.differences.absent(column, path);
  }

  /** What the reader's schema has for a column without a field; null: nothing. */
  private fallbackOf(path: string): Fallback | null {
    const { shaping } = this.table;
    const source = shaping.fieldPath(path);
    return shaping.ignores(source) ? null : (this.options.reader?.fallbackOf(source) ?? null);
  }
}
