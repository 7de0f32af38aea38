/**
 * Columns from schemas that records come with: a table's fields, extended by what the schemas have beside
 * them. All new columns are optional: the next version of a schema may leave a field out.
 */
import { canPromote } from "#columns/evolve.ts";
import { isReservedName, isUnusableName } from "#columns/names.ts";
import { fieldAt, joinPath, TakenPaths } from "#columns/paths.ts";
import {
  childFields,
  type Field,
  isPrimitive,
  type Type,
  withChildFields,
} from "#columns/schema.ts";
import type { KnownSchema } from "#decode/format.ts";
import type { Shaping } from "#decode/shaping.ts";

/** A field with the names under which it may have a column already. */
export interface Named {
  readonly field: Field;
  readonly aliases: readonly string[];
}

/** How fields find their columns. */
export interface LearnRules {
  /** By names that differ by case only, too. */
  readonly ignoresCase: boolean;
  /** Another name of the column of a field, by its path; null: its own. */
  nameOf(path: string): string | null;
}

/** The known fields, extended by the rows of schemas; the first one decides about the order. */
export function learnColumns(
  rows: readonly (readonly Named[])[],
  known: KnownSchema,
  rules: LearnRules,
): readonly Field[] {
  const learner = new Learner(known, rules);
  return rows.reduce<readonly Field[]>(
    (fields, row) => learner.extend(fields, row, ""),
    known.fields,
  );
}

/**
 * Paths of the settings that no schema has.
 * @param own fields of schemas, as these have them
 * @param separator what joins the names of flattened ones; null: they are not flattened
 */
export function missedPaths(
  shaping: Shaping,
  own: readonly Field[],
  separator: string | null,
): ReadonlySet<string> {
  const isKnown = (path: string): boolean =>
    fieldAt(own, path) !== null ||
    (separator !== null && own.some(({ name }) => name.startsWith(path + separator)));
  return new Set(shaping.paths.map(([, path]) => path).filter((path) => !isKnown(path)));
}

class Learner {
  private readonly taken: TakenPaths;
  private readonly known: KnownSchema;
  private readonly rules: LearnRules;
  private room: number;

  constructor(known: KnownSchema, rules: LearnRules) {
    this.taken = new TakenPaths([...known.fields, ...known.metadata]);
    this.known = known;
    this.rules = rules;
    this.room = known.room;
  }

  extend(base: readonly Field[], more: readonly Named[], parent: string): readonly Field[] {
    const result = [...base];
    for (const { field, aliases } of more) {
      const renamed = this.rules.nameOf(joinPath(parent, field.name));
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
    if (exact >= 0 || !this.rules.ignoresCase) return exact;
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
