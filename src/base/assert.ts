/**
 * Assertions: what cannot happen. Checked per batch, never per record; a failure stops the process.
 */
import { fail } from "./errors.ts";

/**
 * Throws an `internal` error when `condition` is false.
 * @param what the invariant, as a sentence
 */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw fail("internal", `Assertion failed: ${what}`);
}

/** The exhaustive end of a switch over a union. */
export function unreachable(value: never): never {
  throw fail("internal", `Assertion failed: unexpected value ${JSON.stringify(value)}`);
}
