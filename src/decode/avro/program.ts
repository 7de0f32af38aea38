/**
 * A writer's schema resolved against a table's columns: steps that read one record after the other,
 * without an object for any (Avro 1.12, "Schema Resolution").
 *
 * Fields find columns by name, else by an alias: one of the reader's schema, or one of their own, which
 * is what a renamed field was called when its column was made. What has no column is passed over, asks
 * for one, or refuses its record, by `schema.on_unknown_field`. A member without a field gets the
 * reader's default, else the column's, else it is null.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { typeName } from "#columns/evolve.ts";
import { isReservedName, isUnusableName } from "#columns/names.ts";
import { joinPath } from "#columns/paths.ts";
import { type Field, isPrimitive, needsValue, withChildFields } from "#columns/schema.ts";
import type { TableSchema } from "#decode/format.ts";
import { fillerOf } from "#decode/json/defaults.ts";
import type { UnknownFieldPolicy } from "#decode/options.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { convert } from "./convert.ts";
import { type ColumnRules, fieldOf, memberName, recursiveType, valueBranches } from "./fields.ts";
import type { ReaderSchema } from "./readerSchema.ts";
import type { AvroField, AvroRecord, AvroType } from "./schema.ts";
import { STEP, type Step, skipStep, step } from "./steps.ts";

/** What programs of one table are compiled by. */
export interface ProgramOptions {
  readonly rules: ColumnRules;
  readonly flattenSeparator: string | null;
  readonly ignoresCase: boolean;
  readonly eventTimeField: string | null;
  readonly onUnknownField: UnknownFieldPolicy;
  /** Texts of times of no zone may end with a `Z`, as Debezium's do (`isostring`). */
  readonly dropsZone: boolean;
  /** Columns by which rows are found and judged: none ever takes a null, whatever a schema allows. */
  readonly needed: readonly string[];
  readonly reader: Pick<ReaderSchema, "nameOf" | "fallbackOf"> | null;
}

/** A compiled schema. */
export interface Program {
  readonly steps: readonly Step[];
  /** Columns of the row that no row may leave out without a thought, and what they get then. */
  readonly ends: readonly Step[];
  /** True: some fields have no column yet, and could have one. */
  readonly learnable: boolean;
  /** Where values of the schema do not fit the table, one clause for each column. */
  readonly differences: readonly string[];
  /** The columns as they would have to be. */
  readonly fitting: readonly Field[];
}

/** Columns that fields of one record go into. */
interface Scope {
  readonly columns: readonly ColumnBuilder[];
  /** Full path of the struct that they are in; "" for the row. */
  readonly path: string;
  /** What names of columns begin with, where records are flattened. */
  readonly prefix: string;
  readonly taken: Set<ColumnBuilder>;
}

/** Compiles a writer's schema, a record, for a table's columns. */
export function compileProgram(
  writer: AvroRecord,
  columns: readonly ColumnBuilder[],
  table: TableSchema,
  options: ProgramOptions,
): Program {
  return new Compiler(columns, table, options).compile(writer);
}

class Compiler {
  private readonly columns: readonly ColumnBuilder[];
  private readonly table: TableSchema;
  private readonly options: ProgramOptions;
  private readonly inside = new Set<AvroType>();
  private learnable = false;
  private readonly differences: string[] = [];
  /** Columns that do not fit, and what they would have to be. */
  private readonly wanted = new Map<ColumnBuilder, Partial<Field>>();

  constructor(columns: readonly ColumnBuilder[], table: TableSchema, options: ProgramOptions) {
    this.columns = columns;
    this.table = table;
    this.options = options;
  }

  compile(writer: AvroRecord): Program {
    const { columns, differences } = this;
    const scope = { columns, path: "", prefix: "", taken: new Set<ColumnBuilder>() };
    this.inside.add(writer);
    const steps = this.members(writer, scope);
    const ends = columns.flatMap((column) => {
      const isTaken = scope.taken.has(column);
      if (!isTaken) this.noteAbsent(column, "");
      return (isTaken ? this.end : this.absent).call(this, column, column.field.name) ?? [];
    });
    const fitting = columns.map((column) => this.fittingField(column));
    return { steps, ends, learnable: this.learnable, differences, fitting };
  }

  /** Steps of a record's fields, in the order of their bytes. */
  private members(record: AvroRecord, scope: Scope): Step[] {
    return record.fields.map((field) => this.member(field, scope));
  }

  private member(field: AvroField, scope: Scope): Step {
    const { type } = field;
    const column = this.find(field, scope);
    const path = joinPath(scope.path, scope.prefix + field.name);
    if (column === null)
      return this.flattened(field, scope) ?? this.unknown(type, path, field.name);
    if (scope.taken.has(column)) return refusal(type, "colliding_field", path);
    scope.taken.add(column);
    return this.value(type, column, joinPath(scope.path, column.field.name));
  }

  /** The column of a field: by its name, by the reader's aliases, by its own. */
  private find(
    { name, aliases }: AvroField,
    { columns, path, prefix }: Scope,
  ): ColumnBuilder | null {
    const renamed = this.options.reader?.nameOf(joinPath(path, prefix + name)) ?? null;
    const names = [name, ...(renamed === null ? [] : [renamed]), ...aliases];
    for (const each of names) {
      const wanted = prefix + each;
      const found =
        columns.find(({ field }) => field.name === wanted) ??
        (this.options.ignoresCase
          ? columns.find(({ field }) => field.name.toLowerCase() === wanted.toLowerCase())
          : undefined);
      if (found !== undefined) return found;
    }
    return null;
  }

  /** The members of a record, or of a union, as columns of the row; null: it is not flattened. */
  private flattened({ name, type }: AvroField, scope: Scope): Step | null {
    const { flattenSeparator } = this.options;
    if (flattenSeparator === null || scope.path !== "") return null;
    const prefix = `${scope.prefix}${name}${flattenSeparator}`;
    const values = valueBranches(type);
    const [first] = values;
    if (first === undefined) return null;
    const inner = { ...scope, prefix };
    const group = (branch: AvroType): Step | null => {
      if (values.length > 1) {
        const named = { name: memberName(branch, values), aliases: [], type: branch };
        return this.member({ ...named, fallback: undefined, doc: null }, inner);
      }
      if (branch.kind !== "record" || this.inside.has(branch)) return null;
      return this.within(branch, () =>
        step(STEP.group, { steps: this.members(branch, inner), path: prefix }),
      );
    };
    if (type.kind !== "union") return group(type);
    if (values.length === 1 && (first.kind !== "record" || this.inside.has(first))) return null;
    const steps = type.branches.map((branch) => {
      const made = branch.kind === "null" ? null : group(branch);
      return made ?? skipStep(branch);
    });
    return step(STEP.union, { steps, path: prefix, type });
  }

  /** What a field without a column does. */
  private unknown(type: AvroType, path: string, name: string): Step {
    if (valueBranches(type).length === 0) return skipStep(type);
    if (this.table.dropped.find(path) !== undefined) return skipStep(type);
    const { onUnknownField } = this.options;
    if (onUnknownField === "ignore") return skipStep(type);
    if (onUnknownField === "dead_letter") return refusal(type, "unknown_field", path);
    const isEmpty = fieldOf(name, type, this.options.rules) === null;
    const recursive = recursiveType(type);
    if (recursive !== null && (isEmpty || this.isInside(type))) {
      return refusal(type, "recursive_type", recursive);
    }
    if (isEmpty) return skipStep(type);
    if (isUnusableName(name)) return refusal(type, "bad_field_name", path);
    if (isReservedName(path)) return refusal(type, "reserved_field_name", path);
    if (this.table.taken.find(path) !== undefined) return refusal(type, "ambiguous_field", path);
    if (this.table.isFull) return refusal(type, "too_many_columns", path);
    this.learnable = true;
    return refusal(type, "bad_field_name", path);
  }

  private isInside(type: AvroType): boolean {
    return valueBranches(type).some((branch) => this.inside.has(branch));
  }

  /** The step of a value that goes into a column. */
  private value(type: AvroType, column: ColumnBuilder, path: string): Step {
    if (type.kind === "null") return this.nullStep(column, path);
    if (type.kind === "union") return this.union(type.branches, column, path);
    const made = this.plain(type, column, path);
    if (made !== null) return made;
    this.misfit(type, column, path);
    return refusal(type, "type_conflict", path);
  }

  private nullStep(column: ColumnBuilder, path: string): Step {
    const { field } = column;
    if (!field.required) return step(STEP.null, { column, path });
    if (this.options.needed.includes(path)) return step(STEP.missing, { column, path });
    this.differences.push(`column ${path} is required, and may be null in the schema`);
    this.wanted.set(column, { ...this.wanted.get(column), required: false });
    return step(STEP.missing, { column, path });
  }

  /** A value that is neither null nor a union; null: none of its values fits the column. */
  private plain(type: AvroType, column: ColumnBuilder, path: string): Step | null {
    const target = column.field.type;
    switch (type.kind) {
      case "record":
        return this.record(type, column, path) ?? this.unionMember(type, [type], column, path);
      case "array": {
        const [element] = column.children;
        if (target.kind !== "list" || element === undefined) break;
        const at = joinPath(path, "element");
        const steps = [this.value(type.items, element, at)];
        return step(STEP.list, { column, path, steps, type, weight: weightOf(element) });
      }
      case "map": {
        const [key, value] = column.children;
        const isText = key?.field.type.kind === "string";
        if (target.kind !== "map" || !isText || value === undefined) break;
        const steps = [this.value(type.values, value, joinPath(path, "value"))];
        return step(STEP.map, { column, path, steps, type, weight: 1 + weightOf(value) });
      }
      case "null":
      case "union":
        break;
      default: {
        const isEventTime = path === this.options.eventTimeField && isPrimitive(target);
        const time = isEventTime ? this.table.eventTime(target) : null;
        const found = convert(type, column, path, { time, dropsZone: this.options.dropsZone });
        if (found?.narrows === true) this.misfit(type, column, path);
        if (found !== null) return found.step;
      }
    }
    return this.unionMember(type, [type], column, path);
  }

  private record(type: AvroRecord, column: ColumnBuilder, path: string): Step | null {
    const { kind } = column.field.type;
    if (kind !== "struct" || this.inside.has(type)) return null;
    const scope = { columns: column.children, path, prefix: "", taken: new Set<ColumnBuilder>() };
    const isMeant =
      type.fields.some((field) => this.find(field, scope) !== null) ||
      column.children.every(({ field }) => field.name !== memberName(type, [type]));
    if (!isMeant) return null;
    return this.within(type, () => {
      const steps = this.members(type, scope);
      const missing = column.children.filter((child) => !scope.taken.has(child));
      for (const child of missing) this.noteAbsent(child, path);
      const ends = missing.flatMap(
        (child) => this.absent(child, joinPath(path, child.field.name)) ?? [],
      );
      return step(STEP.record, { column, path, steps: [...steps, ...ends], type });
    });
  }

  private within(type: AvroType, make: () => Step): Step {
    this.inside.add(type);
    const made = make();
    this.inside.delete(type);
    return made;
  }

  /** One of several types: into the member of a struct that is called by it, or into the column itself. */
  private union(branches: readonly AvroType[], column: ColumnBuilder, path: string): Step {
    const values = branches.filter(({ kind }) => kind !== "null");
    const [only] = values;
    const steps = branches.map((branch) => {
      if (branch.kind === "null") return this.nullStep(column, path);
      if (values.length === 1 && only !== undefined) return this.value(only, column, path);
      const member = this.unionMember(branch, values, column, path);
      if (member !== null) return member;
      const direct = this.plain(branch, column, path);
      if (direct !== null) return direct;
      this.misfit({ kind: "union", branches }, column, path);
      return refusal(branch, "type_conflict", path);
    });
    return step(STEP.union, { column, path, steps, type: { kind: "union", branches } });
  }

  /** Into the member of a union's struct; null: the column is none, or has no such member. */
  private unionMember(
    branch: AvroType,
    branches: readonly AvroType[],
    column: ColumnBuilder,
    path: string,
  ): Step | null {
    if (column.field.type.kind !== "struct") return null;
    const name = memberName(branch, branches);
    const member = column.children.find(({ field }) => field.name === name);
    const at = joinPath(path, name);
    if (member === undefined) {
      if (branches.length === 1) return null;
      return step(STEP.member, { column, path, steps: [this.unknown(branch, at, name)] });
    }
    if (isUnsuited(branch, member)) return null;
    return step(STEP.member, { column, path, steps: [this.value(branch, member, at)] });
  }

  /** What a column gets in a record without its field; null: it is null. */
  private absent(column: ColumnBuilder, path: string): Step | null {
    const fallback = this.options.reader?.fallbackOf(path) ?? null;
    if (fallback !== null) {
      const { type, bytes } = fallback;
      const inner = this.value(type, column, path);
      return step(STEP.constant, { column, path, type, words: [bytes], steps: [inner] });
    }
    return this.end(column, path);
  }

  /** What a column gets where nothing was appended; null: it is null. */
  private end(column: ColumnBuilder, path: string): Step | null {
    if (!needsValue(column.field)) return null;
    const fill = fillerOf(column.field);
    if (fill !== null) return step(STEP.fill, { column, path, fill });
    return step(STEP.missing, { column, path });
  }

  /** A required column that the schema does not have. */
  private noteAbsent(column: ColumnBuilder, parent: string): void {
    const path = joinPath(parent, column.field.name);
    const fallback = this.options.reader?.fallbackOf(path) ?? null;
    const isFilled = fallback !== null || fillerOf(column.field) !== null;
    if (!column.field.required || isFilled || this.options.needed.includes(path)) return;
    this.differences.push(`column ${path} is required, and not in the schema`);
    this.wanted.set(column, { ...this.wanted.get(column), required: false });
  }

  /** Notes that values of a type do not fit a column. */
  private misfit(type: AvroType, column: ColumnBuilder, path: string): void {
    const field = fieldOf(column.field.name, type, this.options.rules);
    if (field === null) return;
    const difference = `column ${path} is ${typeName(column.field.type)}, and ${typeName(field.type)} in the schema`;
    if (this.differences.includes(difference)) return;
    this.differences.push(difference);
    this.wanted.set(column, { ...this.wanted.get(column), type: field.type });
  }

  private fittingField(column: ColumnBuilder): Field {
    const { field, children } = column;
    const inner = children.map((child) => this.fittingField(child));
    return { ...field, type: withChildFields(field.type, inner), ...this.wanted.get(column) };
  }
}

/** Passes over a value and refuses its record, but for a null. */
function refusal(type: AvroType, reason: RejectReason, path: string): Step {
  if (type.kind === "null") return skipStep(type);
  if (type.kind !== "union") return step(STEP.refuse, { type, reason, path });
  const steps = type.branches.map((branch) => refusal(branch, reason, path));
  return step(STEP.union, { type, steps, path });
}

/** True where a record's own column has a member of the name of one of the record's types, by chance. */
function isUnsuited(branch: AvroType, { field }: ColumnBuilder): boolean {
  const isNested = !isPrimitive(field.type);
  const wantsNested = branch.kind === "record" || branch.kind === "array" || branch.kind === "map";
  return isNested !== wantsNested;
}

/** Lists below are left out: their elements are counted one by one. */
function weightOf({ field, children }: ColumnBuilder): number {
  if (field.type.kind !== "struct") return 1;
  return children.reduce((sum, child) => sum + weightOf(child), 1);
}
