/**
 * The folders in which a table keeps its files: what lies elsewhere may be another table's (Iceberg's
 * `add_files`, `snapshot`), and maintenance never removes it.
 */
import { comparable } from "#storage/location.ts";
import type { TableMetadata } from "./metadata.ts";
import { METADATA_PATH } from "./properties.ts";

/** Properties that place files outside the table's location. */
const PLACES = [
  METADATA_PATH,
  "write.data.path",
  "write.object-storage.path",
  "write.folder-storage.path",
];

/** The folders as they stand in the metadata, without a slash at the end; the table's own first. */
export function placesOf({ location, properties }: TableMetadata): string[] {
  const named = PLACES.flatMap((name) => properties[name] ?? []);
  return [...new Set([location, ...named].map((place) => place.replace(/\/+$/, "")))];
}

/**
 * True for a location in one of the table's folders. One with a `..` is in none: what it names is not
 * to be told from its text.
 */
export function isInPlace(places: readonly string[], location: string): boolean {
  const text = comparable(location);
  if (text.split("/").includes("..")) return false;
  return places.some((place) => text.startsWith(`${comparable(place)}/`));
}
