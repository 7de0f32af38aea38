/**
 * Which of several tables a letter's record is for, where records name tables (`iceberg.route_field`). A
 * letter is judged by the configuration and the schemas of now: its record may name another table than the one
 * that it is a letter of, and would be a row of a table that no reader of the topic would give it to.
 */
import { kindOf } from "#base/errors.ts";
import { fullName } from "#catalog/names.ts";
import type { RoutingOptions } from "#config/routing.ts";
import type { RouteField } from "#decode/routeField.ts";
import type { Letter } from "./read.ts";

/** Where letters go. */
export interface LetterRoutes {
  /** As `RouteField.prepare`. */
  readonly prepare: RouteField["prepare"];
  /** The full name of the table that a letter's record is for. */
  tableOf(letter: Letter): string;
}

/**
 * The routes of a pipeline's letters.
 * @param homeOf the full name of a topic's own table
 */
export function letterRoutes(
  routing: Pick<RoutingOptions, "tableOf">,
  field: RouteField,
  homeOf: (topic: string) => string,
): LetterRoutes {
  return {
    prepare: field.prepare,
    tableOf: ({ topic, value }) => {
      const route = value === null ? null : field.of(value, 0, value.length);
      const table = route === null ? null : routing.tableOf(topic, route);
      return table === null ? homeOf(topic) : fullName(table);
    },
  };
}

/**
 * What a letter's record says.
 * @param ready waits for what is to be prepared; rejects with `data` where the record's schema is not there
 * @returns `own`: it is for this table
 */
export async function placeOf(
  letter: Letter,
  table: string,
  routes: LetterRoutes,
  ready: (prepare: RouteField["prepare"]) => Promise<void>,
): Promise<"own" | "elsewhere" | "unknown_schema"> {
  try {
    await ready(routes.prepare);
  } catch (error) {
    if (kindOf(error) !== "data") throw error;
    return "unknown_schema";
  }
  return routes.tableOf(letter) === table ? "own" : "elsewhere";
}
