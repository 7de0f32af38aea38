/**
 * Values that go into no column as they are: those of fields without one, those that their columns cannot
 * hold, and those in whose place something else stands.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { isReservedName, isUnusableName } from "#columns/names.ts";
import { Aside } from "#decode/aside.ts";
import type { Cover } from "#decode/covers.ts";
import type { TableSchema } from "#decode/format.ts";
import type { UnknownFieldPolicy } from "#decode/options.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { type ColumnRules, fieldOf, recursiveType, valueBranches } from "./fields.ts";
import type { ReaderSchema } from "./readerSchema.ts";
import type { AvroType } from "./schema.ts";
import { STEP, type Step, skipStep, step } from "./steps.ts";

/** What programs of one table are compiled by. */
export interface ProgramOptions {
  readonly rules: ColumnRules;
  readonly flattenSeparator: string | null;
  readonly ignoresCase: boolean;
  readonly eventTimeField: string | null;
  readonly onUnknownField: UnknownFieldPolicy;
  /** Rows keep what has no place in other columns in `_rescued`. */
  readonly hasRescue: boolean;
  /** Values that their columns cannot hold are kept there. */
  readonly rescuesConflicts: boolean;
  /** Texts of times of no zone may end with a `Z`, as Debezium's do (`isostring`). */
  readonly dropsZone: boolean;
  /** Columns by which rows are found and judged: none ever takes a null, whatever a schema allows. */
  readonly needed: readonly string[];
  readonly reader: Pick<ReaderSchema, "nameOf" | "fallbackOf"> | null;
}

/** Where a value is: the full path of its column, and that of its field, as the settings name it. */
export interface Place {
  readonly path: string;
  readonly source: string;
}

/** Compiles their steps, for one schema. */
export class Unplaced {
  /** Some fields have no column yet, and could have one. */
  learnable = false;
  private readonly table: TableSchema;
  private readonly options: ProgramOptions;
  private readonly readBeside: (type: AvroType, column: ColumnBuilder, path: string) => Step;

  /** @param readBeside compiles a value into a column of its type that is none of the table's */
  constructor(
    table: TableSchema,
    options: ProgramOptions,
    readBeside: (type: AvroType, column: ColumnBuilder, path: string) => Step,
  ) {
    this.table = table;
    this.options = options;
    this.readBeside = readBeside;
  }

  /**
   * What a field without a column does.
   * @param name of the column that it would have
   * @param inside types that are around it
   */
  unknown(type: AvroType, at: Place, name: string, inside: ReadonlySet<AvroType>): Step {
    if (valueBranches(type).length === 0) return skipStep(type);
    const { path } = at;
    const { dropped, isFull, shaping } = this.table;
    const { onUnknownField, hasRescue } = this.options;
    if (onUnknownField === "ignore" || dropped.find(path) !== undefined) return skipStep(type);
    const own = fieldOf(name, type, this.options.rules)?.type ?? null;
    if (own !== null && shaping.leavesNothing(own, at.source)) return skipStep(type);
    const isBeyond = onUnknownField === "evolve" && isFull && hasRescue;
    const isKept = onUnknownField === "rescue" || isBeyond;
    // What is masked somewhere inside is never shown as it came.
    if (isKept && !shaping.hides(at.source)) return this.kept(type, at.source, null);
    if (isKept || onUnknownField === "dead_letter") return refusal(type, "unknown_field", path);
    const reason = own === null ? null : shaping.refusalOf(own, at.source);
    if (reason !== null) return refusal(type, reason, path);
    return this.learned(type, path, name, inside);
  }

  /** A field that may become a column. */
  private learned(type: AvroType, path: string, name: string, inside: ReadonlySet<AvroType>): Step {
    const { taken, isFull } = this.table;
    const isEmpty = fieldOf(name, type, this.options.rules) === null;
    const recursive = recursiveType(type);
    if (
      recursive !== null &&
      (isEmpty || valueBranches(type).some((branch) => inside.has(branch)))
    ) {
      return refusal(type, "recursive_type", recursive);
    }
    if (isEmpty) return skipStep(type);
    if (isUnusableName(name)) return refusal(type, "bad_field_name", path);
    if (isReservedName(path)) return refusal(type, "reserved_field_name", path);
    if (taken.find(path) !== undefined) return refusal(type, "ambiguous_field", path);
    if (isFull) return refusal(type, "too_many_columns", path);
    this.learnable = true;
    return refusal(type, "bad_field_name", path);
  }

  /**
   * The step of a value that is kept in `_rescued`, under `path`.
   * @param column that cannot hold it, and is null then; null: none
   */
  kept(type: AvroType, path: string, column: ColumnBuilder | null): Step {
    if (type.kind === "null") return skipStep(type);
    if (type.kind === "union") {
      const steps = type.branches.map((branch) => this.kept(branch, path, column));
      return step(STEP.union, { type, steps, path });
    }
    const read = this.beside(type, path);
    const own = column === null ? {} : { column };
    if (read !== null) return step(STEP.rescue, { ...own, ...read, type, path });
    const recursive = recursiveType(type);
    if (recursive !== null) return refusal(type, "recursive_type", recursive);
    return column === null ? skipStep(type) : refusal(type, "type_conflict", path);
  }

  /** Reads a value beside the table's columns; null: there is nothing in it that a column could hold. */
  private beside(type: AvroType, path: string): Pick<Step, "aside" | "steps"> | null {
    const field = fieldOf("value", type, this.options.rules);
    if (field === null) return null;
    const aside = new Aside(field.type);
    return { aside, steps: [this.readBeside(type, aside.column, path)] };
  }

  /** A value in whose place something else stands. @param ofNull the step of a null */
  covered(
    type: AvroType,
    column: ColumnBuilder,
    path: string,
    cover: Cover,
    ofNull: () => Step,
  ): Step {
    if (type.kind === "null") return ofNull();
    if (type.kind === "union") {
      const steps = type.branches.map((branch) =>
        this.covered(branch, column, path, cover, ofNull),
      );
      return step(STEP.union, { column, type, steps, path });
    }
    if (column.field.type.kind !== "string") return refusal(type, "type_conflict", path);
    const read = cover.needsText ? this.beside(type, path) : null;
    const steps = [skipStep(type)];
    return step(STEP.cover, { column, path, type, cover, ...(read ?? { steps }) });
  }
}

/** Passes over a value and refuses its record, but for a null. */
export function refusal(type: AvroType, reason: RejectReason, path: string): Step {
  if (type.kind === "null") return skipStep(type);
  if (type.kind !== "union") return step(STEP.refuse, { type, reason, path });
  const steps = type.branches.map((branch) => refusal(branch, reason, path));
  return step(STEP.union, { type, steps, path });
}
