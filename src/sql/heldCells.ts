/**
 * Whether a value of a column, in SQL, is the placeholder of one that its change left as it was
 * (`columns/unavailable.ts`). Pure.
 */
import { childFields, type Field, type Type } from "#columns/schema.ts";
import { PLACEHOLDER, PLACEHOLDER_UUID } from "#columns/unavailable.ts";
import { sqlText } from "./duckdb/instance.ts";

const TEXT = PLACEHOLDER.toString();
const TEXTS = [TEXT, PLACEHOLDER_UUID, PLACEHOLDER.toString("base64")].map(sqlText).join(", ");

/**
 * A condition on a value that is never NULL; null: no value of the type is a placeholder.
 * @param depth lists that it is in
 */
export function isHeld(value: string, type: Type, depth = 0): string | null {
  const condition = conditionOf(value, type, depth);
  return condition === null ? null : `coalesce(${condition}, false)`;
}

function conditionOf(value: string, type: Type, depth: number): string | null {
  switch (type.kind) {
    case "string": {
      // Inside of a text in a JSON text quotes are escaped.
      const quoted = [`"${TEXT}"`, `"${TEXT}\\"`].map(
        (text) => `contains(${value}, ${sqlText(text)})`,
      );
      return `(${value} IN (${TEXTS}) OR ${quoted.join(" OR ")})`;
    }
    case "binary":
      return `(${value} = ${sqlText(TEXT)}::BLOB)`;
    case "uuid":
      return `(${value} = ${sqlText(PLACEHOLDER_UUID)}::UUID)`;
    case "struct":
      return anyOf(
        type.fields.map(({ name, type: of }) =>
          isHeld(`struct_extract(${value}, ${sqlText(name)})`, of, depth),
        ),
      );
    case "list":
      return anyIn(value, type.element, depth);
    case "map": {
      const lists = [`map_keys(${value})`, `map_values(${value})`];
      return anyOf(childFields(type).map((child, at) => anyIn(lists[at] ?? "", child, depth)));
    }
    default:
      return null;
  }
}

/** The same of the elements of a list. */
function anyIn(list: string, { type }: Field, depth: number): string | null {
  const numbers = [...PLACEHOLDER];
  switch (type.kind) {
    case "int":
    case "long":
      return `(${list} = [${numbers.join(", ")}])`;
    case "date":
      return `(${list} = [${numbers.map((day) => `DATE '1970-01-01' + ${day}`).join(", ")}])`;
    default: {
      const element = `e${depth}`;
      const condition = isHeld(element, type, depth + 1);
      if (condition === null) return null;
      return `list_contains(list_transform(${list}, lambda ${element}: ${condition}), true)`;
    }
  }
}

function anyOf(conditions: readonly (string | null)[]): string | null {
  const some = conditions.filter((each) => each !== null);
  return some.length === 0 ? null : `(${some.join(" OR ")})`;
}
