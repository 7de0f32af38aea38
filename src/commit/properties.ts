/**
 * Table properties that a person sets: a pause reaches every process at its next commit.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import type { MetadataChange } from "./change.ts";

/** Table property by which `pause TABLE` reaches every process. */
const PAUSED_PROPERTY = "kafka-iceberg.paused";

/** True while a person holds the table. */
export function isPaused(table: LoadedTable): boolean {
  return table.metadata.properties[PAUSED_PROPERTY] === "true";
}

/** Holds a table, or lets it go on. */
export function pauseChange(isWanted: boolean): MetadataChange {
  return {
    makes: "metadata",
    kind: "properties",
    stage: (head) => {
      if (isPaused(head) === isWanted) return { kind: "nothing" };
      return {
        kind: "staged",
        requirements: [{ type: "assert-table-uuid", uuid: head.metadata.tableUuid }],
        updates: [
          isWanted
            ? { action: "set-properties", properties: { [PAUSED_PROPERTY]: "true" } }
            : { action: "remove-properties", keys: [PAUSED_PROPERTY] },
        ],
      };
    },
    landed: () => Promise.resolve(),
  };
}
