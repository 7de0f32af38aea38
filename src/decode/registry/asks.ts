/**
 * What a message type asks of the columns of a table that is there: to be wider, or to take nulls.
 */
import { canPromote, typeName } from "#columns/evolve.ts";
import { joinPath } from "#columns/paths.ts";
import {
  childFields,
  type Field,
  isPrimitive,
  primitiveName,
  type Type,
  withChildFields,
} from "#columns/schema.ts";

/** A table's columns as the schema would have them, and where they are not so. */
export interface Asks {
  readonly fields: readonly Field[];
  /** One clause for each column. */
  readonly differences: readonly string[];
}

/**
 * Holds a schema's columns against those of a table that have their names. A wider column is no
 * difference, nor is text of a type that has a text form, nor a time that is declared as one.
 * @param hasOther true for a column's type that takes values of a schema's otherwise
 */
export function asksOf(
  table: readonly Field[],
  wanted: readonly Field[],
  hasOther: (path: string, have: Type, want: Type) => boolean,
): Asks {
  const differences: string[] = [];
  const visit = (
    fields: readonly Field[],
    others: readonly Field[],
    parent: string,
  ): readonly Field[] => {
    const byName = new Map(others.map((field) => [field.name, field]));
    return fields.map((field) => {
      const path = joinPath(parent, field.name);
      const other = byName.get(field.name);
      if (other === undefined) return field;
      const type = fitting(field.type, other.type, path);
      return { ...field, type };
    });
  };
  const fitting = (have: Type, want: Type, path: string): Type => {
    if (!isPrimitive(have) && have.kind === want.kind) {
      const children = visit(childFields(have), childFields(want), path);
      return withChildFields(have, children);
    }
    if (isPrimitive(have) && isPrimitive(want)) {
      if (primitiveName(have) === primitiveName(want) || canPromote(want, have)) return have;
    }
    if (hasOther(path, have, want)) return have;
    differences.push(`column ${path} is ${typeName(have)}, and ${typeName(want)} in the schema`);
    return want;
  };
  const fields = visit(table, wanted, "");
  return { fields, differences };
}
