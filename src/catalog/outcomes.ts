/**
 * What an error means that came before anything was sent: a definite outcome, whatever it was.
 */
import { policyOf } from "#base/errors.ts";
import type { CommitOutcome } from "./catalog.ts";

/** A conflict when another try may succeed; else the error is thrown for a person to read. */
export function notSent(cause: unknown): CommitOutcome {
  if (policyOf(cause).action !== "again") throw cause;
  return { kind: "conflict", cause };
}
