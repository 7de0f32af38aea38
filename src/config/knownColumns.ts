/**
 * The columns that a table has before any record was read: declared ones, the event time, ours.
 */
import type { Field } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { PipelineOptions } from "./buildPipeline.ts";

/**
 * Those columns, made as a run makes them.
 * Throws `usage` for what a run refuses: an event time format that is none, two columns of one name.
 * @param isNew the table is not there yet: what only one that is there could be right with is refused, too
 */
export function knownColumns(
  { decoder }: Pick<PipelineOptions, "decoder">,
  isNew = false,
): readonly Field[] {
  const made = createDecoder(decoder);
  if (isNew) made.checkNew();
  return made.fields;
}
