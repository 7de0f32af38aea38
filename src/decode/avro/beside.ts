/**
 * Steps whose values go beside the columns: what stands for a value, and what `_rescued` keeps.
 */
import type { Aside } from "#decode/aside.ts";
import type { Rescue } from "#decode/rescue.ts";
import type { AvroBytes } from "./bytes.ts";
import { hasColumn, STEP, type Step } from "./steps.ts";

/** What takes steps. */
export interface StepRunner {
  readonly input: AvroBytes;
  /** The record is refused, and read on to its end. */
  refused: boolean;
  /** Keeps what has no place in columns; null: nothing is kept. */
  readonly rescue: Rescue | null;
  /** Takes one step; false when the bytes are no value. */
  run(each: Step): boolean;
}

/** Takes such a step; false when the bytes are no value. */
export function runBeside(runner: StepRunner, each: Step): boolean {
  if (each.op === STEP.orRescue) return orKeep(runner, each);
  const { column, path, steps, aside, cover } = each;
  const isRead = runner.run(steps[0] as Step);
  if (!isRead || runner.refused) {
    // A record that is refused is read on, and may have left half a value.
    aside?.clear();
    return isRead;
  }
  if (each.op === STEP.rescue) {
    const json = aside?.takeJson() ?? null;
    if (json !== null) runner.rescue?.keepText(path, json);
    if (hasColumn(each)) column.appendNull();
    return true;
  }
  const text = textIn(aside);
  if (text === null) column.appendNull();
  else cover?.append(text, column);
  return true;
}

/** The text of a value that was read; "" where nothing is asked of it. */
function textIn(aside: Aside | null): string | null {
  return aside === null ? "" : aside.takeText();
}

/** A value of which only its reading says whether its column can hold it. */
function orKeep(runner: StepRunner, { column, steps }: Step): boolean {
  const { input, refused } = runner;
  const { at } = input;
  const { length } = column;
  const [own, other] = steps as readonly [Step, Step];
  if (!runner.run(own)) return false;
  if (refused || !runner.refused) return true;
  runner.refused = false;
  input.at = at;
  column.truncate(length);
  return runner.run(other);
}
