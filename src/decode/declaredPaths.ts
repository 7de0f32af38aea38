/** Paths of `[source.transform]` that are misspelt for certain, before there is a table. */
import { fail } from "#base/errors.ts";
import type { DecoderOptions } from "./options.ts";
import type { Shaping } from "./shaping.ts";

/** Settings of which a path that leads to nothing says nothing. What is left out needs no column. */
const KEYS = ["select", "mask", "hash"];

/**
 * Where declared columns are all that a new table will have, a path into one of them has to lead to another. No
 * record is waited for: the table would be made first, with a column of that name. One that is there may have
 * further columns.
 * @throws AppError `usage` for the first path that does not
 */
export function checkDeclaredPaths(
  shaping: Shaping,
  { fields, onUnknownField }: Pick<DecoderOptions, "fields" | "onUnknownField">,
  isDeclared: (path: string) => boolean,
): void {
  const isClosed = onUnknownField === "ignore" || onUnknownField === "dead_letter";
  if (!shaping.isStrict || fields === null || !isClosed) return;
  for (const [key, path] of shaping.paths) {
    if (!KEYS.includes(key) || isDeclared(path)) continue;
    const around = above(path).find(isDeclared);
    if (around === undefined) continue;
    const sentence = `source.transform.${key} names ${path}, and schema.fields has ${around} without it`;
    throw fail("usage", `${sentence}. Correct it, or declare it there`);
  }
}

/** The paths above one, the nearest first. */
function above(path: string): string[] {
  const parts = path.split(".");
  return parts.slice(1).map((_, n) => parts.slice(0, parts.length - 1 - n).join("."));
}
