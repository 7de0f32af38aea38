/**
 * The name mapping of a table (`schema.name-mapping.default`): which column of a data file without field
 * ids is which field (Iceberg's specification, "Column projection", "Name Mapping Serialization"). Whoever added such files
 * has set it; who changes the schema keeps it current, as Java does.
 */
import { type Json, parseJson, writeJson } from "#base/json.ts";
import { childFields, type Field } from "#columns/schema.ts";
import type { TableUpdate } from "./metadata.ts";

/** The table property. */
const NAME_MAPPING = "schema.name-mapping.default";

/** A field and the names that it has in files. */
interface MappedField {
  readonly names: readonly string[];
  /** Null: columns of these names are no field of the table. */
  readonly fieldId: number | null;
  readonly fields: readonly MappedField[];
}

type Properties = Readonly<Record<string, string>>;

/** Names of top-level columns in files without field ids, by field id; empty without a mapping. */
export function columnNamesInFiles(properties: Properties): ReadonlyMap<number, readonly string[]> {
  const mapping = readMapping(properties[NAME_MAPPING]) ?? [];
  return new Map(
    mapping.flatMap(({ fieldId, names }) => (fieldId === null ? [] : [[fieldId, names]])),
  );
}

/** What a change of columns asks of the mapping; nothing where the table has none that can be read. */
export function nameMappingUpdates(
  properties: Properties,
  before: readonly Field[],
  after: readonly Field[],
): TableUpdate[] {
  const mapping = readMapping(properties[NAME_MAPPING]);
  if (mapping === null) return [];
  const grown = grow(mapping, idsOf(before), after);
  const text = writeJson(grown.map(jsonOf));
  if (text === writeJson(mapping.map(jsonOf))) return [];
  return [{ action: "set-properties", properties: { [NAME_MAPPING]: text } }];
}

/**
 * New fields get their name; one that another field had in files goes to the new one. Fields that were
 * there before and are not mapped stay so: their owner has left them out.
 */
function grow(
  mapping: readonly MappedField[],
  known: ReadonlySet<number>,
  after: readonly Field[],
): readonly MappedField[] {
  const added = after.filter(({ id }) => !known.has(id));
  const assigned = new Set(added.map(({ name }) => name));
  const byId = new Map(after.map((field) => [field.id, field]));
  const kept = mapping.map((mapped) => {
    const field = byId.get(mapped.fieldId ?? -1);
    const fields =
      field === undefined ? mapped.fields : grow(mapped.fields, known, childFields(field.type));
    return { ...mapped, names: mapped.names.filter((name) => !assigned.has(name)), fields };
  });
  return [...kept, ...added.map(mappedOf)];
}

function mappedOf({ id, name, type }: Field): MappedField {
  return { names: [name], fieldId: id, fields: childFields(type).map(mappedOf) };
}

function idsOf(fields: readonly Field[]): ReadonlySet<number> {
  const ids = new Set<number>();
  const visit = (each: Field): void => {
    ids.add(each.id);
    childFields(each.type).forEach(visit);
  };
  fields.forEach(visit);
  return ids;
}

/** Null for a text that is none: it stays what it is. */
function readMapping(text: string | undefined): readonly MappedField[] | null {
  if (text === undefined) return null;
  try {
    return mappedIn(parseJson(text));
  } catch {
    return null;
  }
}

function mappedIn(value: Json | undefined): readonly MappedField[] | null {
  if (!Array.isArray(value)) return null;
  const all: MappedField[] = [];
  for (const each of value) {
    if (typeof each !== "object" || each === null || Array.isArray(each)) return null;
    const { "field-id": id = null, names = [], fields = [] } = each;
    const below = mappedIn(fields);
    const isText = Array.isArray(names) && names.every((name) => typeof name === "string");
    if (!isText || below === null || (id !== null && typeof id !== "number")) return null;
    all.push({ names: names.map(String), fieldId: id, fields: below });
  }
  return all;
}

function jsonOf({ names, fieldId, fields }: MappedField): Json {
  return {
    ...(fieldId === null ? {} : { "field-id": fieldId }),
    names: [...names],
    ...(fields.length === 0 ? {} : { fields: fields.map(jsonOf) }),
  };
}
