/**
 * A writer's schema resolved against a table's columns: steps that read one record after the other,
 * without an object for any (Avro 1.12, "Schema Resolution").
 *
 * Fields find columns by name, else by an alias: one of the reader's schema, or one of their own, which
 * is what a renamed field was called when its column was made. What has no column is passed over, asks
 * for one, is kept beside the columns, or refuses its record, by `schema.on_unknown_field`. A member
 * without a field gets the reader's default, else the column's, else it is null.
 *
 * What `[source.transform]` says of a field counts by any of its names, its aliases' and its column's
 * included: a field that is renamed in a new version is left out or covered on.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { joinPath, TakenPaths } from "#columns/paths.ts";
import { type Field, isPrimitive } from "#columns/schema.ts";
import type { TableSchema } from "#decode/format.ts";
import { RESCUED } from "#decode/rescue.ts";
import { Shaping } from "#decode/shaping.ts";
import { Absent } from "./absent.ts";
import { convert } from "./convert.ts";
import { Differences } from "./differences.ts";
import { isUnsuited, memberName, nestingOf, valueBranches } from "./fields.ts";
import {
  firstNamed,
  isMisplaced,
  knownPrefixes,
  type Names,
  namesOf,
  prefixesOf,
} from "./names.ts";
import type { AvroField, AvroRecord, AvroType } from "./schema.ts";
import { mayConflict, STEP, type Step, skipStep, step, weightOf } from "./steps.ts";
import { type Place, type ProgramOptions, refusal, Unplaced } from "./unplaced.ts";

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
interface Scope extends Place {
  readonly columns: readonly ColumnBuilder[];
  /** What names of columns may begin with, where records are flattened: `namesOf` the record around. */
  readonly prefixes: Names;
  /** What only names in the settings may begin with: in a union, what was said before it was one. */
  readonly spoken: readonly string[];
  readonly taken: Set<ColumnBuilder>;
}

/** Compiles a writer's schema, a record, for a table's columns. */
export function compileProgram(
  writer: AvroRecord,
  columns: readonly ColumnBuilder[],
  table: TableSchema,
  options: ProgramOptions,
): Program {
  const own = columns.filter(({ field }) => !options.hasRescue || field.name !== RESCUED.name);
  const hasRescue = own.length < columns.length;
  const rescuesConflicts = hasRescue && options.rescuesConflicts;
  return new Compiler(own, table, { ...options, hasRescue, rescuesConflicts }).compile(writer);
}

class Compiler {
  private readonly columns: readonly ColumnBuilder[];
  private readonly table: TableSchema;
  private readonly options: ProgramOptions;
  private readonly inside = new Set<AvroType>();
  private readonly differences: Differences;
  private readonly unplaced: Unplaced;
  private readonly absent: Absent;

  constructor(columns: readonly ColumnBuilder[], table: TableSchema, options: ProgramOptions) {
    this.columns = columns;
    this.table = table;
    this.options = options;
    this.differences = new Differences(options.rules);
    this.unplaced = new Unplaced(table, options, (type, column, path) =>
      besideCompiler(table, options).value(type, column, { path, source: path }),
    );
    this.absent = new Absent(table, options, this.differences, (...given) => this.value(...given));
  }

  compile(writer: AvroRecord): Program {
    const { columns, differences } = this;
    const scope = scopeOf(columns, { path: "", source: "" });
    this.inside.add(writer);
    const steps = this.members(writer, scope);
    const ends = columns.flatMap((column) => {
      const isTaken = scope.taken.has(column);
      const { name } = column.field;
      return (isTaken ? this.absent.end(column, name) : this.absent.step(column, name)) ?? [];
    });
    const fitting = columns.map((column) => differences.fitting(column));
    return {
      steps,
      ends,
      learnable: this.unplaced.learnable,
      differences: differences.clauses,
      fitting,
    };
  }

  /** Steps of a record's fields, in the order of their bytes. */
  private members(record: AvroRecord, scope: Scope): Step[] {
    return record.fields.map((field) => this.member(field, scope));
  }

  /** @param inUnion what is said of the union's fields is said of those of this one, its member */
  private member(field: AvroField, scope: Scope, inUnion: readonly string[] | null = null): Step {
    const { type } = field;
    const { shaping } = this.table;
    const names = this.names(field, scope);
    const column = this.find(names, scope);
    const own = column === null ? [] : [shaping.fieldName(scope.source, column.field.name)];
    const older = scope.spoken.flatMap((each) => namesOf(field, [each]));
    const known = shaping.nameAmong(scope.source, [...names, ...own, ...older]);
    const source = joinPath(scope.source, known);
    if (shaping.ignores(source)) return skipStep(type);
    if (column === null) {
      const made = shaping.columnName(source, names[0]);
      const place = { path: joinPath(scope.path, made), source };
      const spoken =
        inUnion ?? knownPrefixes(older, this.options.flattenSeparator ?? "", [], shaping);
      const isCovered = shaping.coverOf(source) !== null;
      const inner = { ...scope, spoken };
      const members = isCovered ? null : this.flattened(type, names, older, inner);
      return members ?? this.unplaced.unknown(type, place, made, this.inside);
    }
    const path = joinPath(scope.path, column.field.name);
    if (scope.taken.has(column)) return refusal(type, "colliding_field", path);
    scope.taken.add(column);
    return this.value(type, column, { path, source });
  }

  /** What a field's column may be called: by its name, by the reader's aliases, by its own. */
  private names(field: AvroField, { path, prefixes }: Scope): Names {
    const [name, ...others] = namesOf(field, prefixes);
    const { shaping } = this.table;
    const renamed = this.options.reader?.nameOf(joinPath(shaping.fieldPath(path), name)) ?? null;
    return [name, ...(renamed === null ? [] : [renamed]), ...others];
  }

  private find(names: Names, { columns, source }: Scope): ColumnBuilder | null {
    const { shaping } = this.table;
    const fieldOf = ({ field }: ColumnBuilder): string => shaping.fieldName(source, field.name);
    return firstNamed(names, columns, fieldOf, this.options.ignoresCase);
  }

  /**
   * The members of a record, or of a union, as columns of the row; null: it is not flattened.
   * @param older what only the settings may call it
   */
  private flattened(
    type: AvroType,
    names: Names,
    older: readonly string[],
    scope: Scope,
  ): Step | null {
    const { flattenSeparator } = this.options;
    if (flattenSeparator === null || scope.path !== "") return null;
    const known = scope.columns.map(({ field }) => field.name);
    const prefixes = prefixesOf(names, flattenSeparator, known, this.table.shaping);
    const [prefix] = prefixes;
    const values = valueBranches(type);
    const [first] = values;
    if (first === undefined) return null;
    const inner = { ...scope, prefixes };
    const group = (branch: AvroType): Step | null => {
      if (values.length > 1) {
        if (isMisplaced(branch, [...names, ...older], values, this.table.shaping))
          return refusal(branch, "type_conflict", names[0]);
        const named = { name: memberName(branch, values), aliases: [], type: branch };
        const said = [...prefixes, ...scope.spoken];
        return this.member({ ...named, fallback: undefined, doc: null }, inner, said);
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

  /** The step of a value that goes into a column. */
  value(type: AvroType, column: ColumnBuilder, at: Place): Step {
    const cover = this.table.shaping.coverOf(at.source);
    if (cover !== null) {
      const ofNull = (): Step => this.nullStep(column, at.path);
      return this.unplaced.covered(type, column, at.path, cover, ofNull);
    }
    if (type.kind === "null") return this.nullStep(column, at.path);
    if (type.kind === "union") return this.union(type.branches, column, at);
    return this.plain(type, column, at) ?? this.misfit(type, type, column, at);
  }

  private nullStep(column: ColumnBuilder, path: string): Step {
    const { field } = column;
    if (!field.required) return step(STEP.null, { column, path });
    if (!this.options.needed.includes(path)) this.differences.nullable(column, path);
    return step(STEP.missing, { column, path });
  }

  /** A value that is neither null nor a union; null: none of its values fits the column. */
  private plain(type: AvroType, column: ColumnBuilder, at: Place): Step | null {
    const isAdmitted = this.table.shaping.admits(at.source, nestingOf(type));
    const own = isAdmitted ? this.itself(type, column, at) : null;
    const made = own ?? this.unionMember(type, [type], column, at);
    return isAdmitted ? made : (made ?? refusal(type, "type_conflict", at.path));
  }

  /** The same of a value that goes into the column itself. */
  private itself(type: AvroType, column: ColumnBuilder, at: Place): Step | null {
    const { path } = at;
    const target = column.field.type;
    switch (type.kind) {
      case "record":
        return this.record(type, column, at);
      case "array": {
        const [element] = column.children;
        if (target.kind !== "list" || element === undefined) break;
        const steps = [this.value(type.items, element, below(at, "element"))];
        return step(STEP.list, { column, path, steps, type, weight: weightOf(element) });
      }
      case "map": {
        const [key, value] = column.children;
        const isText = key?.field.type.kind === "string";
        if (target.kind !== "map" || !isText || value === undefined) break;
        const steps = [this.value(type.values, value, below(at, "value"))];
        return step(STEP.map, { column, path, steps, type, weight: 1 + weightOf(value) });
      }
      case "null":
      case "union":
        break;
      default: {
        const isEventTime = path === this.options.eventTimeField && isPrimitive(target);
        const time = isEventTime ? this.table.eventTime(target) : null;
        const found = convert(type, column, path, { time, dropsZone: this.options.dropsZone });
        if (found?.narrows === true) this.differences.misfit(type, column, path);
        if (found !== null) return this.orKept(found.step, column, at);
      }
    }
    return null;
  }

  /** A step, or where its value does not fit the column, one that keeps it beside a null. */
  private orKept(found: Step, column: ColumnBuilder, at: Place): Step {
    if (!mayConflict(found) || !this.keepsConflicts(column, at)) return found;
    const { type, path } = found;
    const steps = [found, this.unplaced.kept(type, path, column)];
    return step(STEP.orRescue, { column, path, type, steps });
  }

  private keepsConflicts({ field }: ColumnBuilder, { source }: Place): boolean {
    const { rescuesConflicts } = this.options;
    return rescuesConflicts && !field.required && !this.table.shaping.hides(source);
  }

  /** A value that its column cannot hold. @param whole the type of all values of the column */
  private misfit(type: AvroType, whole: AvroType, column: ColumnBuilder, at: Place): Step {
    this.differences.misfit(whole, column, at.path);
    const isKept = this.keepsConflicts(column, at);
    return isKept
      ? this.unplaced.kept(type, at.path, column)
      : refusal(type, "type_conflict", at.path);
  }

  private record(type: AvroRecord, column: ColumnBuilder, at: Place): Step | null {
    const { kind } = column.field.type;
    if (kind !== "struct" || this.inside.has(type)) return null;
    const scope = scopeOf(column.children, at);
    const isMeant =
      type.fields.some((field) => this.find(this.names(field, scope), scope) !== null) ||
      column.children.every(({ field }) => field.name !== memberName(type, [type]));
    if (!isMeant) return null;
    const { path } = at;
    return this.within(type, () => {
      const steps = this.members(type, scope);
      const missing = column.children.filter((child) => !scope.taken.has(child));
      const ends = missing.flatMap(
        (child) => this.absent.step(child, joinPath(path, child.field.name)) ?? [],
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
  private union(branches: readonly AvroType[], column: ColumnBuilder, at: Place): Step {
    const { path } = at;
    const type: AvroType = { kind: "union", branches };
    const values = branches.filter(({ kind }) => kind !== "null");
    const [only] = values;
    const steps = branches.map((branch) => {
      if (branch.kind === "null") return this.nullStep(column, path);
      if (values.length === 1 && only !== undefined) return this.value(only, column, at);
      const member = this.unionMember(branch, values, column, at);
      return member ?? this.plain(branch, column, at) ?? this.misfit(branch, type, column, at);
    });
    return step(STEP.union, { column, path, steps, type });
  }

  /** Into the member of a union's struct; null: the column is none, or has no such member. */
  private unionMember(
    branch: AvroType,
    branches: readonly AvroType[],
    column: ColumnBuilder,
    at: Place,
  ): Step | null {
    if (column.field.type.kind !== "struct") return null;
    const { path } = at;
    const { shaping } = this.table;
    const name = memberName(branch, branches);
    const own = joinPath(at.source, name);
    const member = column.children.find(
      ({ field }) => shaping.fieldName(at.source, field.name) === name,
    );
    const into = (inner: Step): Step => step(STEP.member, { column, path, steps: [inner] });
    if (shaping.ignores(own)) return branches.length === 1 ? null : into(skipStep(branch));
    const names = branches.map((each) => memberName(each, branches));
    const source = shaping.memberPath(at.source, name, names);
    const isRepeated = branch.kind === "array" || branch.kind === "map";
    // Paths that were said of a record's fields do not say where they are in a list.
    if (source !== own && isRepeated) return refusal(branch, "type_conflict", path);
    if (member === undefined) {
      if (branches.length === 1) return null;
      const made = shaping.columnName(own, name);
      return into(
        this.unplaced.unknown(branch, { path: joinPath(path, made), source }, made, this.inside),
      );
    }
    if (isUnsuited(branch, member.field.type)) return null;
    return into(this.value(branch, member, { path: joinPath(path, member.field.name), source }));
  }
}

/** Of values that go into no column of the table: nothing is asked of it, and they are what they are. */
function besideCompiler(table: TableSchema, options: ProgramOptions): Compiler {
  return new Compiler(
    [],
    { ...table, shaping: new Shaping(), dropped: new TakenPaths([]) },
    {
      ...options,
      reader: null,
      flattenSeparator: null,
      eventTimeField: null,
      onUnknownField: "evolve",
      hasRescue: false,
      rescuesConflicts: false,
    },
  );
}

function scopeOf(columns: readonly ColumnBuilder[], { path, source }: Place): Scope {
  return { path, source, columns, prefixes: [""], spoken: [], taken: new Set() };
}

/** The place of what is in a list or a map. */
function below({ path, source }: Place, name: string): Place {
  return { path: joinPath(path, name), source: joinPath(source, name) };
}
