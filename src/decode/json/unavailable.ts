/**
 * What stands in a change for a value that its source did not log (PostgreSQL's TOAST): Debezium's
 * `unavailable.value.placeholder` as it is by default, in the form that the column's type gives it.
 *
 * ```text
 * text, and text in hstore and JSON texts     "__debezium_unavailable_value", \"__debezium_unavailable_value\"
 * bytea                                       the same bytes in base64
 * smallint[], int[], bigint[], date[], ...    a number for each of the bytes
 * uuid[]                                      the UUID of the bytes, by name (version 3)
 * ```
 * Batches are searched for a part of each form. Parts begin with a letter that is rare where they can: that
 * makes the search fast. Only what has a part is looked at closely.
 */

const UUID = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";
const NUMBERS = [95, 95, 100, 101, 98, 101, 122, 105, 117, 109];

/** What has none of these has no placeholder. */
export const UNAVAILABLE_MARKERS: readonly Buffer[] = [
  "zium_unavailable_value",
  "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
  UUID,
  NUMBERS.join(","),
  NUMBERS.join(", "),
].map((text) => Buffer.from(text));

/** A whole value: a text that only mentions the placeholder is a text. */
const PLACEHOLDER = new RegExp(
  [
    String.raw`"__debezium_unavailable_value\\*"`,
    '"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="',
    `"${UUID}"`,
    String.raw`\[\s*${[...Buffer.from("__debezium_unavailable_value")].join(String.raw`\s*,\s*`)}\s*\]`,
  ].join("|"),
);

/** True for a row, JSON as bytes, that lacks a value. */
export function lacksValue(row: Buffer): boolean {
  return (
    UNAVAILABLE_MARKERS.some((marker) => row.includes(marker)) &&
    PLACEHOLDER.test(row.toString("latin1"))
  );
}
