/**
 * Columns from writers' schemas: a table's fields, extended by what its schemas have beside them. All
 * new columns are optional: the next version of a schema may leave a field out.
 */
import type { Field } from "#columns/schema.ts";
import type { KnownSchema } from "#decode/format.ts";
import { learnColumns, type Named } from "#decode/registry/learn.ts";
import { fieldsOf, memberName, valueBranches } from "./fields.ts";
import type { ProgramOptions } from "./program.ts";
import type { AvroField, AvroRecord, AvroType } from "./schema.ts";

/** The known fields, extended by those of the schemas; the first schema decides about the order. */
export function learnFields(
  schemas: readonly AvroRecord[],
  known: KnownSchema,
  options: ProgramOptions,
): readonly Field[] {
  const { ignoresCase, reader } = options;
  return learnColumns(
    schemas.map((schema) => rowFields(schema, options)),
    known,
    { ignoresCase, nameOf: (path) => reader?.nameOf(path) ?? null },
  );
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
