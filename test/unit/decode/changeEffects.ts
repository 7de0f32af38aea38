/** What records do to a table that follows changes, for tests. */
import { CHANGE, splitChanges } from "#columns/changes.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { rowsOf, type Value } from "../../support/columnValues.ts";
import { type RecordInput, recordBatch } from "../../support/records.ts";
import { makeDecoder } from "./support.ts";

/** What came of records. */
export interface Effects {
  /** `+` and a row that is put, `~` one that lacks values; `-` and the columns of a deleted row that hold its key. */
  readonly done: readonly (readonly ["+" | "~" | "-", { readonly [name: string]: Value }])[];
  readonly reasons: readonly string[];
  readonly skipped: number;
  /** The control column; empty without one. */
  readonly control: readonly number[];
  /** Names of the table's columns afterwards. */
  readonly names: readonly string[];
}

/** Learns from the records, and decodes them. @param keys columns by which rows are found */
export function effects(
  options: Partial<DecoderOptions>,
  records: readonly RecordInput[],
  keys: readonly string[],
): Effects {
  const decoder = makeDecoder(options);
  const batch = recordBatch(records);
  decoder.sample([batch]);
  const segment = decoder.builder();
  const result = segment.decode(batch);
  const { rows, changes } = splitChanges(segment.seal());
  const done = rowsOf(rows).map((row, index): Effects["done"][number] => {
    const change = changes?.[index] ?? CHANGE.put;
    if (change !== CHANGE.delete) return [change === CHANGE.partial ? "~" : "+", row];
    return ["-", Object.fromEntries(keys.map((key) => [key, row[key] ?? null]))];
  });
  const reasons = result.rejected.map((each) => `${each.offset} ${each.reason}`);
  const control = [...(changes ?? [])];
  return {
    done,
    reasons,
    control,
    skipped: result.skipped,
    names: decoder.fields.map(({ name }) => name),
  };
}
