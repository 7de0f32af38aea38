/**
 * Refused records: why, in a word and a sentence, and what is kept of them.
 */
import { fail } from "#base/errors.ts";
import type { RecordBytes, RecordParts, Rejected } from "./decoder.ts";
import type { RecordCursor } from "./records.ts";
import { FATAL_REASONS, type RejectReason, rejectDetail, type TypeConflict } from "./rejects.ts";

/** Why a record is refused, and the sentence that says it. */
export interface Refusal {
  readonly reason: RejectReason;
  readonly detail: string;
}

/** A refusal for a reason about a field, "" for none. */
export function refusalOf(
  reason: RejectReason,
  path: string,
  conflict: TypeConflict = "value",
): Refusal {
  return { reason, detail: rejectDetail(reason, path, conflict) };
}

/**
 * The record at the cursor, refused: views of its bytes.
 * @param failsOn a reason after which its table stops, whatever becomes of dead letters; null: none but the fatal ones
 * @throws AppError `data` for such a reason
 */
export function rejectRecord(
  batch: RecordBytes,
  cursor: RecordCursor,
  { reason, detail }: Refusal,
  failsOn: RejectReason | null,
): Rejected {
  const { topic, partition } = batch;
  const offset = batch.baseOffset + BigInt(cursor.offsetDelta);
  const ends = reason === failsOn;
  if (ends || FATAL_REASONS.has(reason)) {
    const why = ends ? `, and schema.on_${reason} is "fail"` : "";
    const sentence = `Record ${topic}/${partition} offset ${offset} cannot be written: ${detail}${why}`;
    throw fail("data", sentence, { topic, partition, offset, reason });
  }
  const timestampMs = timestampOf(batch, cursor);
  return { topic, partition, offset, timestampMs, reason, detail, record: partsOf(cursor) };
}

/** When the record at the cursor was written, ms. */
export function timestampOf(batch: RecordBytes, { timestampDelta }: RecordCursor): number {
  return batch.appendTimestampMs ?? batch.baseTimestampMs + timestampDelta;
}

function partsOf(cursor: RecordCursor): RecordParts {
  const { bytes, keyStart, keyEnd, valueStart, valueEnd } = cursor;
  return {
    key: keyStart < 0 ? null : bytes.subarray(keyStart, keyEnd),
    value: valueStart < 0 ? null : bytes.subarray(valueStart, valueEnd),
    headers: bytes.subarray(cursor.headersStart, cursor.nextPosition),
  };
}
