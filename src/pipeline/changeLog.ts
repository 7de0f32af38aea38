/**
 * The table of all changes beside a table that follows changes (`source.track_changes`): a further outlet of its
 * feeds, to which every change is a row (SPEC 2.8). It is committed before its table, so that whoever sees a row
 * there finds the change that made it.
 *
 * It has offsets of its own, dead letters of its own, and its rows are judged by a decoder of its own: whatever
 * stops in between, each of the two tables goes on where it stands.
 */
import type { Field } from "#columns/schema.ts";
import type { Decoder } from "#decode/decoder.ts";

/**
 * The columns of a change log, for its sink. None is required there: what empties a table (truncate) says
 * nothing of any row.
 */
export function changeLogColumns(
  decoder: Decoder,
): Pick<Decoder, "fields" | "declared" | "own" | "adopt"> {
  return {
    get fields() {
      return decoder.fields.map(optional);
    },
    get declared() {
      return decoder.declared.map(optional);
    },
    get own() {
      return decoder.own.map(optional);
    },
    adopt: (fields, history) => decoder.adopt(fields, history),
  };
}

function optional(field: Field): Field {
  return field.required ? { ...field, required: false } : field;
}
