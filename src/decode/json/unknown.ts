/**
 * What becomes of a field that has a type and no column.
 */
import { isReservedName, isUnusableName } from "#columns/names.ts";
import type { UnknownFieldPolicy } from "#decode/options.ts";
import type { RejectReason } from "#decode/rejects.ts";
import type { Rescue } from "#decode/rescue.ts";
import type { Inside } from "./inside.ts";
import type { StructNode } from "./program.ts";

/** What to do with unknown fields; `too_many_columns`: evolving, but full. */
export type UnknownPolicy = UnknownFieldPolicy | "too_many_columns";

/** What a reader does with what has no place in its columns. */
export interface Handling {
  readonly unknown: UnknownPolicy;
  /** Null: nothing is kept beside the columns. */
  readonly rescue: Rescue | null;
  /** Values that their columns cannot hold are kept there. */
  readonly rescuesConflicts: boolean;
}

/** `ignore`: nothing; `learn`: it may become a column; `rescue`: it is kept; else why its record is refused. */
export type UnknownVerdict = RejectReason | "ignore" | "learn" | "rescue";

/**
 * Judges the field `name` of an object.
 * @param inside what its value holds
 * @param evolving false: what is unknown now stays unknown
 */
export function judgeUnknown(
  policy: UnknownPolicy,
  node: StructNode,
  name: string,
  inside: Inside,
  evolving: boolean,
): UnknownVerdict {
  if (policy === "ignore") return "ignore";
  const { shaping } = node;
  const source = node.source + name;
  if (shaping.ignores(source) || node.ignored.has(name) || inside === "nothing") return "ignore";
  const own = shaping.columnName(source, name);
  const path = node.prefix + own;
  if (node.dropped.find(path) !== undefined) return "ignore";
  // What is masked somewhere inside is never shown as it came.
  if (policy === "rescue") return shaping.hides(source) ? "unknown_field" : "rescue";
  if (policy === "dead_letter") return "unknown_field";
  if (inside === "misplaced") return "type_conflict";
  if (isUnusableName(own)) return "bad_field_name";
  if (isReservedName(path)) return "reserved_field_name";
  if (node.taken.find(path) !== undefined) return "ambiguous_field";
  if (policy === "too_many_columns") return "too_many_columns";
  return evolving ? "learn" : "bad_field_name";
}
