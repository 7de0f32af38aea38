/**
 * Where a rewritten file goes.
 */
import type { Random } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { partitionFolder } from "#iceberg/partition/partitionFolder.ts";
import { hasSources, specById } from "#iceberg/partition/partitionType.ts";
import type { PlannedGroup } from "./compactPlan.ts";

/** `<data>/event_day=2026-01-08/compacted-<uuid>.parquet` */
export function rewrittenLocation(
  { random }: { readonly random: Random },
  { metadata }: LoadedTable,
  { inputs }: PlannedGroup,
): string {
  const root = (metadata.properties["write.data.path"] ?? `${metadata.location}/data`).replace(
    /\/+$/,
    "",
  );
  const [input] = inputs;
  const spec = specById(metadata, input?.specId ?? metadata.defaultSpecId);
  const fields = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  const folder = hasSources(metadata, spec)
    ? partitionFolder(spec, fields?.fields ?? [], input?.partition ?? [])
    : "";
  const name = `compacted-${random.uuid()}.parquet`;
  return [root, folder, name].filter((part) => part !== "").join("/");
}
