/** Paths of `[source.transform]` that are misspelt for certain, before any record is there. */
import { fail } from "#base/errors.ts";
import type { DecoderOptions } from "./options.ts";
import type { Shaping } from "./shaping.ts";

/** Settings of which a path that leads to nothing says nothing. What is left out needs no column. */
const KEYS = ["select", "mask", "hash"];

/**
 * Where declared columns are all that there will be, a path into one of them has to lead to another. No record is
 * waited for: the table would be made first, with a column of that name.
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
    const parent = path.slice(0, Math.max(0, path.lastIndexOf(".")));
    const isInside = KEYS.includes(key) && parent !== "" && isDeclared(parent);
    if (!isInside || isDeclared(path)) continue;
    const sentence = `source.transform.${key} names ${path}, and schema.fields has ${parent} without it`;
    throw fail("usage", `${sentence}. Correct it, or declare it there`);
  }
}
