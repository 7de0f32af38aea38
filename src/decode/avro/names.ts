/**
 * What a field of Avro is called: by its own name, and by its aliases, which is what it was called before.
 * Flattened, a column's name is made of all names on its way, and each of them may be an older one.
 */
import type { Shaping } from "#decode/shaping.ts";
import { memberName } from "./fields.ts";
import type { AvroField, AvroType } from "./schema.ts";

/** Names of one thing, its own first. */
export type Names = readonly [string, ...string[]];

/** Names of a field that is in records of those names. @param prefixes `prefixesOf` what is around it; `[""]`: the row */
export function namesOf(
  { name, aliases }: Pick<AvroField, "name" | "aliases">,
  [prefix, ...others]: Names,
): Names {
  const own = aliases.map((alias) => prefix + alias);
  const older = others.flatMap((each) => [name, ...aliases].map((last) => each + last));
  return [prefix + name, ...own, ...older];
}

/**
 * What names of columns begin with in a flattened record.
 * @param columns names of the row's columns
 */
export function prefixesOf(
  [name, ...older]: Names,
  separator: string,
  columns: readonly string[],
  shaping: Shaping,
): Names {
  return [name + separator, ...knownPrefixes(older, separator, columns, shaping)];
}

/**
 * Older names as such beginnings, as far as a column or a setting has them: aliases at every level would
 * multiply without an end.
 */
export function knownPrefixes(
  names: readonly string[],
  separator: string,
  columns: readonly string[],
  shaping: Shaping,
): string[] {
  const isKnown = (each: string): boolean =>
    shaping.inAnyCase.mentions(each) ||
    columns.some((column) => column.startsWith(each + separator));
  return [...new Set(names.filter(isKnown))].map((each) => each + separator);
}

/**
 * True for a type of a flattened union that is no record, where the settings leave out or cover fields of the
 * record that the union was: its value may be what they mean.
 * @param names of the union, those included that only the settings may call it by
 * @param types all of them
 */
export function isMisplaced(
  type: AvroType,
  names: readonly string[],
  types: readonly AvroType[],
  shaping: Shaping,
): boolean {
  if (type.kind === "record") return false;
  const members = types.map((each) => memberName(each, types));
  const own = memberName(type, types);
  return [shaping, shaping.inAnyCase].some((each) =>
    names.some((name) => each.saidOfUnion(name, own, members)),
  );
}

/** The first of several that one of the names means, the names in their order; null: none. */
export function firstNamed<T>(
  names: Names,
  all: readonly T[],
  nameOf: (each: T) => string,
  ignoresCase: boolean,
): T | null {
  for (const wanted of names) {
    const exact = all.find((each) => nameOf(each) === wanted);
    if (exact !== undefined) return exact;
    if (!ignoresCase) continue;
    const lower = wanted.toLowerCase();
    const similar = all.find((each) => nameOf(each).toLowerCase() === lower);
    if (similar !== undefined) return similar;
  }
  return null;
}
