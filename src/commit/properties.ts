/**
 * Table properties that a person sets: a pause reaches every process at its next commit.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import type { TableUpdate } from "#iceberg/metadata/metadata.ts";
import type { MetadataChange } from "./change.ts";

/** Table property by which `pause TABLE` reaches every process. */
const PAUSED_PROPERTY = "kafka-iceberg.paused";

/** True while a person holds the table. */
export function isPaused(table: LoadedTable): boolean {
  return table.metadata.properties[PAUSED_PROPERTY] === "true";
}

/** Holds a table, or lets it go on. */
export function pauseChange(isWanted: boolean): MetadataChange {
  return propertiesChange((head) => {
    if (isPaused(head) === isWanted) return null;
    return isWanted
      ? { action: "set-properties", properties: { [PAUSED_PROPERTY]: "true" } }
      : { action: "remove-properties", keys: [PAUSED_PROPERTY] };
  });
}

/**
 * A change of properties alone, which demands no more of the head than that it is the table.
 * @param update what a head lacks; null: nothing
 */
export function propertiesChange(
  update: (head: LoadedTable) => TableUpdate | null,
): MetadataChange {
  return {
    makes: "metadata",
    kind: "properties",
    stage: (head) => {
      const wanted = update(head);
      if (wanted === null) return { kind: "nothing" };
      const requirements = [{ type: "assert-table-uuid", uuid: head.metadata.tableUuid }] as const;
      return { kind: "staged", requirements, updates: [wanted] };
    },
    landed: () => Promise.resolve(),
  };
}
