/**
 * The commands that look at tables: `tables`, `snapshots`, `files`, `history`.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable, TableName } from "#catalog/catalog.ts";
import { fullName, namespaceText } from "#catalog/names.ts";
import type { PipelineConfig } from "#config/config.ts";
import { isNamespaceByTopic, namespaceOf, tableFor } from "#config/tableNames.ts";
import { topicsOf } from "#config/topics.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import type { Snapshot, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { partitionPath } from "#iceberg/partition/partition.ts";
import { specById } from "#iceberg/partition/partitionType.ts";
import type { Terminal } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { type Opened, type OpenPipeline, withPipeline, withTable } from "./open.ts";
import { type Cell, printRows, type Rows, timeText } from "./output.ts";

const COMMIT_ID = "kafka-iceberg.commit-id";

/** `tables`: every table of the pipelines' databases, each once. */
export async function showTables(
  opened: Opened,
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  const byLocation = new Map<string, Readonly<Record<string, Cell>>>();
  for (const pipeline of opened.config.pipelines) {
    for (const row of await withPipeline(pipeline, true, tableRows)) {
      byLocation.set(String(row["location"]), row);
    }
  }
  printRows(terminal, [...byLocation.values()], parsed.flag("json"), "There are no tables");
}

/** The tables of a pipeline's databases. */
export async function loadTables({ pipeline, catalog }: OpenPipeline): Promise<LoadedTable[]> {
  const names: TableName[] = [];
  for (const namespace of namespacesOf(pipeline)) names.push(...(await catalog.list(namespace)));
  const tables: LoadedTable[] = [];
  for (const name of names) {
    const table = await catalog.load(name);
    if (table !== null) tables.push(table);
  }
  return tables;
}

async function tableRows(open: OpenPipeline): Promise<Rows> {
  return (await loadTables(open)).map(({ name, metadata }) => {
    const current = currentSnapshot(metadata);
    return {
      table: fullName(name),
      format: metadata.formatVersion,
      rows: counter(current, "total-records"),
      files: counter(current, "total-data-files"),
      snapshots: metadata.snapshots.length,
      last_commit: timeText(current?.timestampMs),
      location: metadata.location,
    };
  });
}

/** The databases that the pipeline writes, as far as the configuration names them. */
function namespacesOf({ values }: PipelineConfig): readonly TableName["namespace"][] {
  if (!isNamespaceByTopic(values)) return [namespaceOf(values)];
  if (values["kafka.topic_pattern"] !== null) {
    const sentence =
      "iceberg.database_name depends on topics, which come by a pattern: name the database to list, " +
      "with --set iceberg.database_name=NAME";
    throw fail("usage", sentence);
  }
  const all = topicsOf(values).map((topic) => tableFor(values, topic).namespace);
  return [...new Map(all.map((each) => [namespaceText(each), each])).values()];
}

/** `snapshots TABLE`, newest first. */
export async function showSnapshots(
  opened: Opened,
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  await withTable(opened, parsed.value("table") ?? "", true, async ({ table }) => {
    const { metadata } = table;
    const rows = [...metadata.snapshots]
      .sort((a, b) => Number(b.sequenceNumber - a.sequenceNumber))
      .map((snapshot) => ({
        snapshot_id: snapshot.snapshotId,
        parent_id: snapshot.parentSnapshotId,
        committed_at: timeText(snapshot.timestampMs),
        operation: snapshot.summary["operation"] ?? null,
        added_rows: counter(snapshot, "added-records"),
        added_files: counter(snapshot, "added-data-files"),
        total_rows: counter(snapshot, "total-records"),
        refs: refsOf(metadata, snapshot),
        commit_id: snapshot.summary[COMMIT_ID] ?? null,
      }));
    printRows(terminal, rows, parsed.flag("json"), "The table has no snapshots");
  });
}

/** `files TABLE`. */
export async function showFiles(
  opened: Opened,
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  await withTable(opened, parsed.value("table") ?? "", true, async ({ table }) => {
    const { metadata } = table;
    const id = snapshotOf(metadata, parsed.value("snapshot"));
    const schema = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
    const rows: Readonly<Record<string, Cell>>[] = [];
    if (id !== null) {
      for await (const { file, snapshotId } of listDataFiles(table.storage, metadata, id)) {
        const spec = specById(metadata, file.specId);
        rows.push({
          path: file.filePath,
          content: file.content,
          partition: partitionPath(spec, schema?.fields ?? [], file.partition) || null,
          rows: file.recordCount,
          bytes: file.fileSizeBytes,
          added_by: snapshotId,
        });
      }
    }
    printRows(terminal, rows, parsed.flag("json"), "The table has no data files");
  });
}

/** `history TABLE`, oldest first. */
export async function showHistory(
  opened: Opened,
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<void> {
  await withTable(opened, parsed.value("table") ?? "", true, async ({ table }) => {
    const { metadata } = table;
    const byId = new Map(metadata.snapshots.map((each) => [each.snapshotId, each]));
    const ancestors = new Set<bigint>();
    for (let id = metadata.currentSnapshotId; id !== null && !ancestors.has(id); ) {
      ancestors.add(id);
      id = byId.get(id)?.parentSnapshotId ?? null;
    }
    const rows = metadata.snapshotLog.map(({ snapshotId, timestampMs }) => ({
      made_current_at: timeText(timestampMs),
      snapshot_id: snapshotId,
      parent_id: byId.get(snapshotId)?.parentSnapshotId ?? null,
      is_current_ancestor: ancestors.has(snapshotId),
    }));
    printRows(terminal, rows, parsed.flag("json"), "The table has no history");
  });
}

function snapshotOf(metadata: TableMetadata, wanted: string | undefined): bigint | null {
  if (wanted === undefined) return metadata.currentSnapshotId;
  const found = metadata.snapshots.find(({ snapshotId }) => String(snapshotId) === wanted);
  if (found === undefined) throw fail("usage", `The table has no snapshot ${wanted}`);
  return found.snapshotId;
}

function currentSnapshot(metadata: TableMetadata): Snapshot | undefined {
  return metadata.snapshots.find(({ snapshotId }) => snapshotId === metadata.currentSnapshotId);
}

/** A counter of a snapshot's summary; 0 where it has none. */
function counter(snapshot: Snapshot | undefined, name: string): bigint {
  const text = snapshot?.summary[name] ?? "0";
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}

function refsOf({ refs }: TableMetadata, { snapshotId }: Snapshot): string | null {
  const names = Object.keys(refs).filter((name) => refs[name]?.snapshotId === snapshotId);
  return names.length === 0 ? null : names.join(",");
}
