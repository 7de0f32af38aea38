/**
 * Columns from writers' schemas: a table's fields, extended by what its schemas have beside them. All
 * new columns are optional: the next version of a schema may leave a field out.
 */
import { joinPath } from "#columns/paths.ts";
import type { Field } from "#columns/schema.ts";
import type { KnownSchema } from "#decode/format.ts";
import { learnColumns, missedPaths, type Named } from "#decode/registry/learn.ts";
import { Shaping } from "#decode/shaping.ts";
import { fieldsOf, memberName, unionsIn, valueBranches } from "./fields.ts";
import { isMisplaced, knownPrefixes, type Names, namesOf, prefixesOf } from "./names.ts";
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
  const columns = known.fields.map(({ name }) => name);
  const rows = schemas.map((schema) => rowFields(schema, options, shaping, columns));
  return learnColumns(rows, known, { ignoresCase, nameOf });
}

/**
 * The columns of a row, shaped, nested records flattened where that is asked for.
 * @param known names of columns that the table has; default: none
 */
export function rowFields(
  record: AvroRecord,
  options: Pick<ProgramOptions, "rules" | "flattenSeparator">,
  shaping: Shaping = new Shaping(),
  known: readonly string[] = [],
): readonly Named[] {
  const { flattenSeparator, rules } = options;
  const columns = fieldsOf(record, rules);
  const byName = new Map(columns.map((field) => [field.name, field]));
  const flattener = new Flattener(flattenSeparator, shaping, known);
  return record.fields.flatMap((each) => {
    const field = byName.get(each.name);
    return field === undefined ? [] : flattener.columns(each, field, [""]);
  });
}

/** A field's part of the schema. */
type Part = Pick<AvroField, "name" | "type" | "aliases">;

/** Makes columns of the row; lists and maps stay one. */
class Flattener {
  readonly #separator: string | null;
  readonly #shaping: Shaping;
  readonly #known: readonly string[];

  constructor(separator: string | null, shaping: Shaping, known: readonly string[]) {
    this.#separator = separator;
    this.#shaping = shaping;
    this.#known = known;
  }

  /**
   * @param prefixes what names of columns may begin with
   * @param spoken what only names in the settings may begin with: in a union, what was said before it was one
   * @param inUnion the same of what is in it, where it is a union's member
   */
  columns(
    part: Part,
    field: Field,
    prefixes: Names,
    spoken: readonly string[] = [],
    inUnion: readonly string[] | null = null,
  ): readonly Named[] {
    const shaping = this.#shaping;
    const separator = this.#separator;
    const names = namesOf(part, prefixes);
    const [full, ...aliases] = names;
    const older = spoken.flatMap((each) => namesOf(part, [each]));
    const source = shaping.nameAmong("", [...names, ...older]);
    const isWhole = separator === null || field.type.kind !== "struct";
    if (isWhole || shaping.ignores(source) || shaping.coverOf(source) !== null) {
      const inside = insideOf(part.type, source, shaping);
      return shaping.columns([{ ...field, name: source }], "", inside).map((column) => {
        const isOwn = column.name === source;
        return { field: isOwn ? { ...column, name: full } : column, aliases };
      });
    }
    const inner = membersOf(part.type);
    const below = prefixesOf(names, separator, this.#known, shaping);
    const said = inUnion ?? knownPrefixes(older, separator, [], shaping);
    const values = valueBranches(part.type);
    const ofMembers = values.length > 1 ? [...below, ...said] : null;
    const isHidden = ({ type }: Part): boolean =>
      ofMembers !== null && isMisplaced(type, [...names, ...older], values, shaping);
    return field.type.fields.flatMap((member) => {
      const found = inner.find((each) => each.name === member.name);
      if (found === undefined || isHidden(found)) return [];
      const required = field.required && member.required;
      return this.columns(found, { ...member, required }, below, said, ofMembers);
    });
  }
}

/** How paths lead into the members of a field's unions. */
function insideOf(type: AvroType, source: string, shaping: Shaping): typeof joinPath {
  const unions = unionsIn(type, source, shaping);
  return (parent, name) => {
    const members = unions.get(parent) ?? [];
    return members.includes(name)
      ? shaping.memberPath(parent, name, members)
      : joinPath(parent, name);
  };
}

/** What the members of a type's struct are made of. */
function membersOf(type: AvroType): readonly Part[] {
  const values = valueBranches(type);
  const [only] = values;
  if (values.length === 1 && only?.kind === "record") return only.fields;
  return values.map((each) => ({ name: memberName(each, values), type: each, aliases: [] }));
}
