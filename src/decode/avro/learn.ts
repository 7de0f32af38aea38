/**
 * Columns from writers' schemas: a table's fields, extended by what its schemas have beside them. All
 * new columns are optional: the next version of a schema may leave a field out.
 */
import type { Field } from "#columns/schema.ts";
import type { KnownSchema } from "#decode/format.ts";
import { learnColumns, missedPaths, type Named } from "#decode/registry/learn.ts";
import { Shaping } from "#decode/shaping.ts";
import { fieldsOf, memberName, valueBranches } from "./fields.ts";
import type { AvroField, AvroRecord, AvroType } from "./schema.ts";
import type { ProgramOptions } from "./unplaced.ts";

/** The known fields, extended by those of the schemas; the first schema decides about the order. */
export function learnFields(
  schemas: readonly AvroRecord[],
  known: KnownSchema,
  options: ProgramOptions,
): readonly Field[] {
  const { ignoresCase, reader, flattenSeparator } = options;
  const { shaping } = known;
  if (schemas.length > 0 && shaping.paths.length > 0) {
    const own = schemas.flatMap((schema) => rowFields(schema, options).map(({ field }) => field));
    known.misses(missedPaths(shaping, own, flattenSeparator));
  }
  const nameOf = (path: string): string | null => {
    const renamed = reader?.nameOf(shaping.fieldPath(path)) ?? null;
    return renamed === null ? null : shaping.columnName(renamed, renamed);
  };
  const rows = schemas.map((schema) => rowFields(schema, options, shaping));
  return learnColumns(rows, known, { ignoresCase, nameOf });
}

/** The columns of a row, shaped, nested records flattened where that is asked for. */
export function rowFields(
  record: AvroRecord,
  options: Pick<ProgramOptions, "rules" | "flattenSeparator">,
  shaping: Shaping = new Shaping(),
): readonly Named[] {
  const { flattenSeparator, rules } = options;
  const columns = fieldsOf(record, rules);
  const byName = new Map(columns.map((field) => [field.name, field]));
  const flattener = new Flattener(flattenSeparator, shaping);
  return record.fields.flatMap((each) => {
    const field = byName.get(each.name);
    return field === undefined ? [] : flattener.columns(each, field, "");
  });
}

/** A field's part of the schema. */
type Part = Pick<AvroField, "name" | "type" | "aliases">;

/** Makes columns of the row; lists and maps stay one. */
class Flattener {
  readonly #separator: string | null;
  readonly #shaping: Shaping;

  constructor(separator: string | null, shaping: Shaping) {
    this.#separator = separator;
    this.#shaping = shaping;
  }

  columns({ name, type, aliases: others }: Part, field: Field, prefix: string): readonly Named[] {
    const full = prefix + name;
    const aliases = others.map((alias) => prefix + alias);
    const shaping = this.#shaping;
    const source = shaping.nameAmong("", [full, ...aliases]);
    const isWhole = this.#separator === null || field.type.kind !== "struct";
    if (isWhole || shaping.ignores(source) || shaping.coverOf(source) !== null) {
      return shaping.columns([{ ...field, name: source }]).map((column) => {
        const isOwn = column.name === source;
        return { field: isOwn ? { ...column, name: full } : column, aliases };
      });
    }
    const inner = membersOf(type);
    return field.type.fields.flatMap((member) => {
      const found = inner.find((each) => each.name === member.name);
      if (found === undefined) return [];
      const required = field.required && member.required;
      return this.columns(found, { ...member, required }, full + this.#separator);
    });
  }
}

/** What the members of a type's struct are made of. */
function membersOf(type: AvroType): readonly Part[] {
  const values = valueBranches(type);
  const [only] = values;
  if (values.length === 1 && only?.kind === "record") return only.fields;
  return values.map((each) => ({ name: memberName(each, values), type: each, aliases: [] }));
}
