/**
 * What a run would refuse, found by `check` without touching anything: partitions and sort orders that cannot be made,
 * and offsets of a table that its topic no longer has.
 */
import { describe } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import { readProgress } from "#commit/progress.ts";
import { offsetOf, sourceKey } from "#commit/progressDocument.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { freshSchema } from "#iceberg/metadata/newTable.ts";
import { missingSortColumns, sortOrderOf } from "#iceberg/metadata/sortOrder.ts";
import { missingColumns, partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";
import { copyRefusal } from "#maintenance/copyOnWrite.ts";
import { deleteModeRefusal, deletesByCopies, rowIdRefusal } from "#writer/deleteMode.ts";
import type { WriterOptions } from "#writer/parts.ts";
import { formatRefusal, missingBloomColumns } from "#writer/tableProperties.ts";
import type { TopicDescription } from "./actions.ts";
import type { PlannedTable } from "./plannedTables.ts";

/** Why a new table could not be made with these columns; null: it could. */
export function creationRefusal(
  writer: Pick<WriterOptions, "name" | "create" | "bloomColumns" | "deletes" | "key">,
  columns: () => readonly Field[],
): string | null {
  const { create, bloomColumns = [] } = writer;
  try {
    const { fields } = freshSchema(columns());
    const missing = missingColumns(fields, create.partitionForms);
    if (missing.length === 0 || !create.learnsColumns)
      partitionSpecOf(fields, create.partitionForms);
    const unsorted = missingSortColumns(fields, create.sortForms);
    if (unsorted.length === 0 || !create.learnsColumns) sortOrderOf(fields, create.sortForms);
    const [column] = create.learnsColumns ? [] : missingBloomColumns(fields, bloomColumns);
    if (column !== undefined)
      return `iceberg.write.bloom_filter_columns: there is no column ${column} that holds values`;
    const name = fullName(writer.name);
    const refusal =
      rowIdRefusal(name, create.formatVersion, writer, fields) ??
      (deletesByCopies(writer) ? copyRefusal(name, fields) : null);
    return refusal === null ? null : refusal.message;
  } catch (error) {
    return describe(error);
  }
}

/** Why a run could not write into a table that is there; none: it could. */
export function tableRefusals({ name, writer }: PlannedTable, metadata: TableMetadata): string[] {
  const { properties, schemas, currentSchemaId } = metadata;
  const fields = schemas.find(({ schemaId }) => schemaId === currentSchemaId)?.fields ?? [];
  const refusals = [
    formatRefusal(name, properties),
    deleteModeRefusal(name, metadata, writer),
    rowIdRefusal(name, metadata.formatVersion, writer, fields),
    deletesByCopies(writer) ? copyRefusal(name, fields) : null,
  ];
  return refusals.flatMap((refusal) => (refusal === null ? [] : [refusal.message]));
}

/** Why a run could not go on reading a topic where its table stands; none: it could. */
export function offsetRefusals(
  table: LoadedTable,
  branch: string,
  topic: TopicDescription,
): string[] {
  const progress = readProgress(table.metadata, branch);
  // Where the head does not tell, a run finds out by other ways first.
  if (progress.kind === "unreadable") return [];
  const { document } = progress;
  const known = document.sources.get(sourceKey(topic));
  if (known === undefined) return [];
  const accept = `kafka-iceberg offsets ${fullName(table.name)} --accept-topic ${topic.topic}`;
  if (known.topicId !== topic.topicId) {
    return [`topic ${topic.topic} was re-created: ${accept} --from earliest`];
  }
  return topic.partitions.flatMap(({ partition, logStart, logEnd }) => {
    const committed = offsetOf(document, { ...topic, partition });
    if (committed === null || (committed >= logStart && committed <= logEnd)) return [];
    const where = `${topic.topic}/${partition}`;
    const what =
      committed < logStart
        ? `Kafka no longer holds ${where} from offset ${committed} to ${logStart - 1n} (retention)`
        : `${where} ends at offset ${logEnd}, before the committed offset ${committed}`;
    return [`${what}: ${accept}`];
  });
}
