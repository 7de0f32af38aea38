/**
 * The tables beside those that topics feed, as commands find them by their names: logs of changes, and dead letters.
 * Their rows are appended, and say which records they are of, whatever the mode of the pipeline.
 */
import type { TableName } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { CoordinateColumns } from "#commit/liveRows.ts";
import { changeCoordinates, knownTablesFor } from "./changeLog.ts";
import type { PipelineValues } from "./keys.ts";
import { LETTER_COORDINATES, lettersOf } from "./letterTable.ts";
import { topicsOf } from "./topics.ts";

/** Those of a pipeline, by the topics that are known before anything runs. */
export function tablesBeside(
  values: PipelineValues,
): { readonly name: TableName; readonly coordinates: CoordinateColumns }[] {
  const changes = changeCoordinates(values["source.metadata_prefix"]);
  return topicsOf(values).flatMap((topic) => {
    const all = knownTablesFor(values, topic);
    const logs = all.slice(1).map((name) => ({ name, coordinates: changes }));
    const letters = all.map((name) => ({
      name: lettersOf(name),
      coordinates: LETTER_COORDINATES,
    }));
    return [...logs, ...letters];
  });
}

/** Columns that say which record a row is, of a table beside another; null: it is none. */
export function coordinatesBeside(
  values: PipelineValues,
  name: TableName,
): CoordinateColumns | null {
  const found = tablesBeside(values).find((each) => fullName(each.name) === fullName(name));
  return found?.coordinates ?? null;
}
