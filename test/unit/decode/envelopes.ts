/** Debezium's envelopes, for tests. */
import type { ChangeOptions } from "#decode/options.ts";
import type { RecordInput } from "../../support/records.ts";

/** Rows found by the column `id`. */
export const CDC: ChangeOptions = {
  mode: "cdc",
  keyFields: ["id"],
  keyFormat: "json",
  onDelete: "delete",
  opField: null,
};

const SOURCE = {
  version: "3.7.0.Final",
  connector: "postgresql",
  ts_ms: 1_700_000_000_123,
  lsn: 99,
};

/** An envelope as Debezium writes it. */
export function envelope(op: string, before: unknown, after: unknown, more: object = {}): string {
  const source = { ...SOURCE, table: "orders" };
  return JSON.stringify({ before, after, source, transaction: null, op, ts_ms: 5, ...more });
}

/** A record of the row with an id. */
export const record = (value: string | null, id = 1): RecordInput => ({
  key: `{"id":${id}}`,
  value,
});
