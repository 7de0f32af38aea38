/**
 * Columns from writers' schemas: a table's fields, extended by what its schemas have beside them. All
 * new columns are optional: the next version of a schema may leave a field out.
 */
import { canPromote } from "#columns/evolve.ts";
import { isReservedName, isUnusableName } from "#columns/names.ts";
import { joinPath, TakenPaths } from "#columns/paths.ts";
import {
  childFields,
  type Field,
  isPrimitive,
  type Type,
  withChildFields,
} from "#columns/schema.ts";
import type { KnownSchema } from "#decode/format.ts";
import { fieldsOf, memberName, valueBranches } from "./fields.ts";
import type { ProgramOptions } from "./program.ts";
import type { AvroField, AvroRecord, AvroType } from "./schema.ts";

/** The known fields, extended by those of the schemas; the first schema decides about the order. */
export function learnFields(
  schemas: readonly AvroRecord[],
  known: KnownSchema,
  options: ProgramOptions,
): readonly Field[] {
  const taken = new TakenPaths([...known.fields, ...known.metadata]);
  const learner = new Learner(taken, known, options);
  let fields = known.fields;
  for (const schema of schemas) fields = learner.extend(fields, rowFields(schema, options), "");
  return fields;
}

/** A field with the names under which it may have a column already. */
interface Named {
  readonly field: Field;
  readonly aliases: readonly string[];
}

/** The columns of a row, nested records flattened where that is asked for. */
export function rowFields(
  record: AvroRecord,
  options: Pick<ProgramOptions, "rules" | "flattenSeparator">,
): readonly Named[] {
  const { flattenSeparator, rules } = options;
  const columns = fieldsOf(record, rules);
  const byName = new Map(columns.map((field) => [field.name, field]));
  return record.fields.flatMap((each) => {
    const field = byName.get(each.name);
    if (field === undefined) return [];
    if (flattenSeparator === null) return [{ field, aliases: each.aliases }];
    return flatten(each, field, "", flattenSeparator, rules.required);
  });
}

/** Members of structs as columns; lists and maps stay one. */
function flatten(
  { name, type, aliases }: Pick<AvroField, "name" | "type" | "aliases">,
  field: Field,
  prefix: string,
  separator: string,
  required: boolean,
): readonly Named[] {
  const full = prefix + name;
  if (field.type.kind !== "struct") {
    const renamed = { ...field, name: full, required: required && field.required };
    return [{ field: renamed, aliases: aliases.map((alias) => prefix + alias) }];
  }
  const inner = membersOf(type);
  return field.type.fields.flatMap((member) => {
    const found = inner.find((each) => each.name === member.name);
    if (found === undefined) return [];
    return flatten(found, member, full + separator, separator, required && field.required);
  });
}

/** What the members of a type's struct are made of. */
function membersOf(type: AvroType): readonly Pick<AvroField, "name" | "type" | "aliases">[] {
  const values = valueBranches(type);
  const [only] = values;
  if (values.length === 1 && only?.kind === "record") return only.fields;
  return values.map((each) => ({ name: memberName(each, values), type: each, aliases: [] }));
}

class Learner {
  private readonly taken: TakenPaths;
  private readonly known: KnownSchema;
  private readonly options: ProgramOptions;
  private room: number;

  constructor(taken: TakenPaths, known: KnownSchema, options: ProgramOptions) {
    this.taken = taken;
    this.known = known;
    this.options = options;
    this.room = known.room;
  }

  extend(base: readonly Field[], more: readonly Named[], parent: string): readonly Field[] {
    const result = [...base];
    for (const { field, aliases } of more) {
      const renamed = this.options.reader?.nameOf(joinPath(parent, field.name)) ?? null;
      const names = [field.name, ...(renamed === null ? [] : [renamed]), ...aliases];
      const index = names.map((name) => this.indexOf(result, name)).find((found) => found >= 0);
      const own = index === undefined ? undefined : result[index];
      if (index !== undefined && own !== undefined) {
        result[index] = { ...own, type: this.merge(own, field, joinPath(parent, own.name)) };
        continue;
      }
      const made = this.fresh(renamed === null ? field : { ...field, name: renamed }, parent);
      if (made !== null) result.push(made);
    }
    return result;
  }

  private indexOf(fields: readonly Field[], name: string): number {
    const exact = fields.findIndex((each) => each.name === name);
    if (exact >= 0 || !this.options.ignoresCase) return exact;
    return fields.findIndex((each) => each.name.toLowerCase() === name.toLowerCase());
  }

  /** A known field's type with what another schema has beside it; one of no table yet may widen. */
  private merge(own: Field, { type: more }: Field, path: string): Type {
    const { type } = own;
    if (isPrimitive(type) || isPrimitive(more) || type.kind !== more.kind) {
      const isFree = own.id === 0 && isPrimitive(type) && isPrimitive(more);
      return isFree && canPromote(type, more) ? more : type;
    }
    const children = childFields(more).map((field) => ({ field, aliases: [] }));
    return withChildFields(type, this.extend(childFields(type), children, path));
  }

  /** A new column; null: it has no name, its path or the room is taken, or it was dropped. */
  private fresh(field: Field, parent: string): Field | null {
    const { name, type } = field;
    const path = joinPath(parent, name);
    if (isUnusableName(name) || isReservedName(path)) return null;
    if ((this.taken.find(path) ?? this.known.dropped.find(path)) !== undefined) return null;
    if (isPrimitive(type)) {
      if (this.room <= 0) return null;
      this.room--;
      this.taken.add(path);
      return field;
    }
    const children = childFields(type).flatMap((child) => this.fresh(child, path) ?? []);
    const isWhole =
      type.kind === "struct" ? children.length > 0 : children.length === childFields(type).length;
    if (!isWhole) return null;
    this.taken.add(path);
    return { ...field, type: withChildFields(type, children) };
  }
}
