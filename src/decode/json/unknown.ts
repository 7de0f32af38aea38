/**
 * What becomes of a field that has a type and no column.
 */
import { isReservedName, isUnusableName } from "#columns/names.ts";
import type { UnknownJudge } from "#decode/kernel/image.ts";
import type { UnknownFieldPolicy } from "#decode/options.ts";
import { type Refusal, refusalOf } from "#decode/refusal.ts";
import type { RejectReason } from "#decode/rejects.ts";
import type { Rescue } from "#decode/rescue.ts";
import { lookInside } from "./inside.ts";
import type { StructNode } from "./program.ts";
import { skipSpace, skipString } from "./scan.ts";
import { textOf } from "./strings.ts";

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

/** A field that has a type and no column: its object, where its key's quote is, and where its value begins. */
export interface UnknownMember {
  readonly node: StructNode;
  readonly bytes: Uint8Array;
  readonly keyAt: number;
  readonly valueAt: number;
}

/** `ignore`: nothing; `learn`: it may become a column; `rescue`: it is kept; else why its record is refused. */
export type UnknownVerdict = RejectReason | "ignore" | "learn" | "rescue";

/** The member's own name. */
export function nameOf({ bytes, keyAt }: UnknownMember): string {
  return textOf(bytes, keyAt + 1, skipString(bytes, keyAt + 1, bytes.length));
}

/**
 * Judges a member of a well-formed document.
 * @param evolving false: what is unknown now stays unknown
 */
export function judgeUnknown(
  policy: UnknownPolicy,
  { node, bytes, valueAt }: UnknownMember,
  name: string,
  evolving: boolean,
): UnknownVerdict {
  if (policy === "ignore") return "ignore";
  const { shaping } = node;
  const source = node.source + name;
  const inside = lookInside(bytes, valueAt, source, shaping);
  if (shaping.ignores(source) || node.ignored.has(name) || inside === "nothing") return "ignore";
  const own = shaping.columnName(source, name);
  const path = node.prefix + own;
  if (node.dropped.find(path) !== undefined) return "ignore";
  // What is masked somewhere inside is never shown as it came.
  if (policy === "rescue") return shaping.hides(source) ? "unknown_field" : "rescue";
  if (policy === "dead_letter") return "unknown_field";
  if (inside === "misplaced") return "type_conflict";
  if (inside === "slip" || shaping.isSlip(source)) return "ambiguous_field";
  const reason = refusalOfName(node, own);
  if (reason !== null) return reason;
  if (policy === "too_many_columns") return "too_many_columns";
  return evolving ? "learn" : "bad_field_name";
}

/** Why nothing in an object may be called so; null: it may. */
function refusalOfName({ prefix, taken }: StructNode, name: string): RejectReason | null {
  const path = prefix + name;
  if (isUnusableName(name)) return "bad_field_name";
  if (isReservedName(path)) return "reserved_field_name";
  return taken.find(path) === undefined ? null : "ambiguous_field";
}

/** Why the member whose key's quote is at `keyAt` refuses its record; null: it does not. */
export function refusalOfUnknown(
  policy: UnknownPolicy,
  node: StructNode,
  [bytes, keyAt, isEvolving]: Parameters<UnknownJudge>,
): Refusal | null {
  // It may have a slot under a name that differs by case.
  if (node.byLower !== null) return null;
  const afterKey = skipString(bytes, keyAt + 1, bytes.length);
  const member = { node, bytes, keyAt, valueAt: skipSpace(bytes, skipSpace(bytes, afterKey) + 1) };
  const name = nameOf(member);
  const verdict = judgeUnknown(policy, member, name, isEvolving);
  if (verdict === "learn" || verdict === "rescue" || verdict === "ignore") return null;
  return refusalOf(verdict, node.prefix + name);
}
