/**
 * Partitions as map keys. A partition's folder will not do: null and the text "null" share one.
 */
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";

/** A text that is equal for equal partitions only. */
export function partitionKey(partition: readonly PartitionValue[]): string {
  const parts = partition.map((value) => {
    const text = value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
    const kind = value === null ? "null" : typeof value;
    return `${kind}:${text.length}:${Object.is(value, -0) ? "-0" : text}`;
  });
  return parts.join("/");
}
