/**
 * Where deletes by equality must lie to reach every row of a key (Iceberg spec, "Scan Planning"): under an unpartitioned
 * spec they apply to the whole table; under a partitioned one to one partition of that very spec, which is
 * enough only where the key says which partition that is, and no file can be of another spec. Pure.
 */
import type { PartitionSpec, TableMetadata } from "#iceberg/metadata/metadata.ts";

type Specs = Pick<TableMetadata, "partitionSpecs" | "defaultSpecId">;

/**
 * The spec for deletes by these columns; null: the table has none, and needs an unpartitioned one beside its own.
 * @param columns ids of the key's columns
 */
export function equalitySpec(
  { partitionSpecs, defaultSpecId }: Specs,
  columns: readonly number[],
): PartitionSpec | null {
  const whole = partitionSpecs.find((spec) => !isPartitioned(spec));
  if (whole !== undefined) return whole;
  const [only] = partitionSpecs;
  if (only === undefined || only.specId !== defaultSpecId || partitionSpecs.length > 1) return null;
  return only.fields.every((field) => !isCounted(field) || columns.includes(field.sourceId))
    ? only
    : null;
}

/** True while deletes under that spec reach every row of their keys: the table may have got other specs since. */
export function reachesAll({ partitionSpecs }: Specs, specId: number): boolean {
  const spec = partitionSpecs.find((each) => each.specId === specId);
  return spec !== undefined && (!isPartitioned(spec) || partitionSpecs.length === 1);
}

/** False for a spec without fields, or with dropped ones only. */
export function isPartitioned({ fields }: PartitionSpec): boolean {
  return fields.some(isCounted);
}

function isCounted({ transform }: PartitionSpec["fields"][number]): boolean {
  return transform !== "void";
}
