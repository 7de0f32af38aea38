/**
 * Where a writer's schema does not fit a table's columns, and what the columns would have to be.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { typeName } from "#columns/evolve.ts";
import { type Field, withChildFields } from "#columns/schema.ts";
import { type ColumnRules, fieldOf } from "./fields.ts";
import type { AvroType } from "./schema.ts";

/** What was found while one schema was compiled. */
export class Differences {
  /** One clause for each column. */
  readonly clauses: string[] = [];
  readonly #rules: ColumnRules;
  /** Columns that do not fit, and what they would have to be. */
  readonly #wanted = new Map<ColumnBuilder, Partial<Field>>();

  constructor(rules: ColumnRules) {
    this.#rules = rules;
  }

  /** Values of a type do not fit a column. */
  misfit(type: AvroType, column: ColumnBuilder, path: string): void {
    const field = fieldOf(column.field.name, type, this.#rules);
    if (field === null) return;
    const clause = `column ${path} is ${typeName(column.field.type)}, and ${typeName(field.type)} in the schema`;
    if (this.clauses.includes(clause)) return;
    this.#note(clause, column, { type: field.type });
  }

  /** A column that takes no null may be null in the schema. */
  nullable(column: ColumnBuilder, path: string): void {
    const clause = `column ${path} is required, and may be null in the schema`;
    this.#note(clause, column, { required: false });
  }

  /** A column that takes no null is not in the schema. */
  absent(column: ColumnBuilder, path: string): void {
    const clause = `column ${path} is required, and not in the schema`;
    this.#note(clause, column, { required: false });
  }

  #note(clause: string, column: ColumnBuilder, wanted: Partial<Field>): void {
    this.clauses.push(clause);
    this.#wanted.set(column, { ...this.#wanted.get(column), ...wanted });
  }

  /** A column as it would have to be. */
  fitting(column: ColumnBuilder): Field {
    const { field, children } = column;
    const inner = children.map((child) => this.fitting(child));
    return { ...field, type: withChildFields(field.type, inner), ...this.#wanted.get(column) };
  }
}
