/**
 * Statistics of a table for the planners of query engines: how many different values each column has, as theta
 * sketches in a Puffin file, and how many rows and files each partition has (Iceberg spec, "Table
 * Statistics", "Partition Statistics").
 *
 * Sketches can be joined, so a run reads only the files that came since the statistics that are there. Values
 * that have left the table stay in a sketch; what a compaction wrote anew is read again. So it counts the rows
 * that went into it, and is begun anew once those are half as many again as the table has.
 */
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { type Field, isPrimitive, primitiveName } from "#columns/schema.ts";
import { commit, giveUp, newCommit } from "#commit/commit.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { headOf, visibleChain } from "#commit/progress.ts";
import { removeUnreachable } from "#commit/removal.ts";
import { type SnapshotStatistics, statisticsChange } from "#commit/statistics.ts";
import type { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import { liveDataFiles, liveDeletes } from "#iceberg/io/liveFiles.ts";
import { NameSet } from "#iceberg/io/nameSet.ts";
import { manifestsOf } from "#iceberg/io/scan.ts";
import { metadataFolder } from "#iceberg/io/stageAppend.ts";
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import type { ListedFile } from "#iceberg/manifest/manifestFile.ts";
import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import { filesOf, type TableStatistics } from "#iceberg/metadata/statistics.ts";
import { encodePuffin, readPuffin } from "#iceberg/puffin.ts";
import {
  decodeSketch,
  encodeSketch,
  estimateOf,
  THETA_BLOB,
  THETA_MAX,
  type ThetaSketch,
} from "#iceberg/statistics/thetaSketch.ts";
import type { SketchedColumn } from "#sql/rewrite/protocol.ts";
import { countedForm } from "#sql/sketch/sketcher.ts";
import { schemeOf } from "#storage/location.ts";
import type { PlannedInput } from "./compactPlan.ts";
import { writePartitionStatistics } from "./partitionStatistics.ts";
import type { RunCounts } from "./record.ts";
import { type RunOptions, refusePaused, refuseStopped } from "./run.ts";

/** Files whose values are counted, and the columns with what is known of them. */
export interface SketchJob {
  readonly head: LoadedTable;
  readonly inputs: readonly PlannedInput[];
  readonly columns: readonly SketchedColumn[];
}

/**
 * Counts values: the columns with those of the files as well.
 * @throws AppError `table_unsupported`, `query` and `query_engine` for files that cannot be read, `stopped`
 */
export type CountValues = (job: SketchJob, stop: AbortSignal) => Promise<readonly SketchedColumn[]>;

/** What a run found, or what one would read. */
export interface StatisticsReport {
  /** Data files and rows that were read, or would be. */
  readonly files: number;
  readonly rows: number;
  /** Of the table; null: a dry run, or it is not partitioned. */
  readonly partitions: number | null;
  /** About how many different values each column has; a dry run and one without news say nothing. */
  readonly distinct: Readonly<Record<string, number>>;
}

/** A report as the record of runs takes it. */
export function statisticsCounts({
  files,
  rows,
  partitions,
  distinct,
}: StatisticsReport): RunCounts {
  const columns = Object.keys(distinct).length;
  return { counts: { files, rows, columns, partitions: partitions ?? 0 }, bytesReclaimed: 0 };
}

const NOTHING: StatisticsReport = { files: 0, rows: 0, partitions: null, distinct: {} };

/**
 * Writes statistics of a table's head, or says what would be read for them.
 * @throws AppError `usage` for a paused table, what `count` throws, and what catalog and store throw
 */
export async function updateStatistics(
  table: CommitTable,
  count: CountValues,
  options: RunOptions,
): Promise<StatisticsReport> {
  const head = await table.load();
  const snapshot = snapshotOf(table, head);
  if (snapshot === null) return NOTHING;
  const manifests = await manifestsOf(head.storage, snapshot);
  const base = await baseOf(table, head);
  const plan = await planOf(head, manifests, base);
  if (options.isDry || plan === null) return plan === null ? NOTHING : { ...NOTHING, ...plan.size };
  refusePaused(head);
  const deletes = await liveDeletes(head.storage, head.metadata, manifests);
  const columns = await countAll(table, count, { head, plan, index: deletes.index, options });
  const written = await writePartitionStatistics(table.parts, head, {
    ...{ snapshot, manifests, deletes: deletes.all },
  });
  const statistics = await writeSketches(table, head, {
    snapshot,
    columns,
    rowsRead: plan.rowsRead,
  });
  await name(table, head, { columns: statistics, partitions: written?.file ?? null });
  const distinct = columns.map(({ field, sketch }) => [field.name, estimateOf(sketch)] as const);
  return {
    ...plan.size,
    partitions: written?.partitions ?? null,
    distinct: Object.fromEntries(distinct),
  };
}

function snapshotOf({ options }: CommitTable, { metadata }: LoadedTable): Snapshot | null {
  const id = headOf(metadata, options.branch);
  return metadata.snapshots.find(({ snapshotId }) => snapshotId === id) ?? null;
}

/** Statistics of ours of an ancestor. */
interface Base {
  readonly snapshot: Snapshot;
  readonly manifests: readonly ManifestFile[];
  /** By field id. */
  readonly sketches: ReadonlyMap<number, ThetaSketch>;
  readonly rowsRead: number;
}

/** Property of a blob: rows that went into the sketch. */
const ROWS_READ = "kafka-iceberg.rows-read";

/** The newest statistics of ours; null: there are none that can be gone on with. */
async function baseOf(
  { options: { branch } }: CommitTable,
  { metadata, storage }: LoadedTable,
): Promise<Base | null> {
  const files = filesOf(metadata, "statistics");
  for (const snapshot of visibleChain(metadata, branch)) {
    const file = files.find(({ snapshotId }) => snapshotId === snapshot.snapshotId);
    if (file === undefined) continue;
    const sketches = new Map<number, ThetaSketch>();
    let rowsRead = 0;
    for (const { type, fields, properties, bytes } of readPuffin(await storage.get(file.path))) {
      const [field] = fields;
      const rows = properties[ROWS_READ];
      if (type !== THETA_BLOB || field === undefined || rows === undefined) continue;
      sketches.set(field, decodeSketch(bytes));
      rowsRead = Math.max(rowsRead, Number(rows));
    }
    // Another engine's say nothing of how they were made.
    if (sketches.size === 0) return null;
    return { snapshot, sketches, rowsRead, manifests: await manifestsOf(storage, snapshot) };
  }
  return null;
}

/** What is to be read. */
interface Plan {
  readonly files: readonly ListedFile[];
  readonly size: { readonly files: number; readonly rows: number };
  readonly columns: readonly SketchedColumn[];
  /** That will have gone into the sketches. */
  readonly rowsRead: number;
}

/** A sketch has had so many rows for each of the table's before it is begun anew. */
const ROWS_READ_RATIO = 1.5;

/** Null: nothing has changed. */
async function planOf(
  head: LoadedTable,
  manifests: readonly ManifestFile[],
  base: Base | null,
): Promise<Plan | null> {
  const { storage, metadata } = head;
  const liveRows = manifests
    .filter(({ content }) => content === "data")
    .reduce((sum, each) => sum + Number(each.addedRowsCount + each.existingRowsCount), 0);
  const goesOn = base === null ? null : columnsFrom(head, base);
  if (base !== null && goesOn !== null) {
    const gained = without(manifests, base.manifests);
    const lost = without(base.manifests, manifests);
    if (gained.length + lost.length === 0) return null;
    const known = new NameSet();
    for await (const { path } of liveDataFiles(storage, metadata, lost)) known.add(path);
    const listed = await Array.fromAsync(liveDataFiles(storage, metadata, gained));
    const files = listed.filter(({ path }) => !known.has(path));
    const rowsRead = base.rowsRead + rowsOf(files);
    const size = { files: files.length, rows: rowsOf(files) };
    if (rowsRead <= liveRows * ROWS_READ_RATIO) return { files, size, columns: goesOn, rowsRead };
  }
  const files = await Array.fromAsync(liveDataFiles(storage, metadata, manifests));
  const size = { files: files.length, rows: rowsOf(files) };
  const columns = countedFields(head).map((field) => ({ field, sketch: EMPTY }));
  return { files, size, columns, rowsRead: size.rows };
}

function rowsOf(files: readonly ListedFile[]): number {
  return files.reduce((sum, { recordCount }) => sum + Number(recordCount), 0);
}

function without(
  manifests: readonly ManifestFile[],
  others: readonly ManifestFile[],
): ManifestFile[] {
  const paths = new Set(others.map(({ manifestPath }) => manifestPath));
  return manifests.filter(({ manifestPath }) => !paths.has(manifestPath));
}

const EMPTY: ThetaSketch = { theta: THETA_MAX, hashes: new BigUint64Array(0) };

/** Columns of single values, as Spark's and Trino's own statistics have them. */
function countedFields({ metadata }: LoadedTable): Field[] {
  const schema = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  return (schema?.fields ?? []).filter((field) => countedForm(field) !== null);
}

/** The columns with their sketches; null where one has to be begun anew: its type was another. */
function columnsFrom(head: LoadedTable, { snapshot, sketches }: Base): SketchedColumn[] | null {
  const { schemas } = head.metadata;
  const before = schemas.find(({ schemaId }) => schemaId === snapshot.schemaId)?.fields ?? null;
  if (before === null) return null;
  const columns: SketchedColumn[] = [];
  for (const field of countedFields(head)) {
    const old = before.find(({ id }) => id === field.id);
    const sketch = old === undefined ? sketchOfNew(field) : sketches.get(field.id);
    if (sketch === undefined || (old !== undefined && !isSameType(old, field))) return null;
    columns.push({ field, sketch });
  }
  return columns;
}

/** Older files have no value of a column that came later, unless it says one for them. */
function sketchOfNew({ initialDefault = null }: Field): ThetaSketch | undefined {
  return initialDefault === null ? EMPTY : undefined;
}

function isSameType(a: Field, b: Field): boolean {
  return (
    isPrimitive(a.type) && isPrimitive(b.type) && primitiveName(a.type) === primitiveName(b.type)
  );
}

interface Counting {
  readonly head: LoadedTable;
  readonly plan: Plan;
  readonly index: DeleteIndex;
  readonly options: RunOptions;
}

async function countAll(
  { parts: { clock } }: CommitTable,
  count: CountValues,
  { head, plan, index, options }: Counting,
): Promise<readonly SketchedColumn[]> {
  let { columns } = plan;
  let done = 0;
  if (columns.length === 0) return columns;
  for (const inputs of batches(plan.files, index)) {
    refuseStopped(options.stop);
    options.onProgress({ step: "counting values of files", done, total: plan.files.length });
    columns = await count({ head, inputs, columns }, options.stop);
    done += inputs.length;
    await clock.turn();
  }
  return columns;
}

/** Pairs of a data file and a delete file of one batch. */
const PAIRS_MAX = 100_000;

/** Files that are read at once: those of an object store are fetched. */
function* batches(files: readonly ListedFile[], index: DeleteIndex): Generator<PlannedInput[]> {
  let batch: PlannedInput[] = [];
  let bytes = 0;
  let pairs = 0;
  for (const file of files) {
    const deletes = index.of(file);
    batch.push({ ...file, deletes });
    pairs += deletes.length;
    if (schemeOf(file.path) !== "file") bytes += Number(file.sizeBytes);
    const isFull = batch.length === LIMITS.compactionInputsMax || pairs >= PAIRS_MAX;
    if (!isFull && bytes < LIMITS.statisticsBytesAtOnce) continue;
    yield batch;
    batch = [];
    bytes = 0;
    pairs = 0;
  }
  if (batch.length > 0) yield batch;
}

interface Sketches {
  readonly snapshot: Snapshot;
  readonly columns: readonly SketchedColumn[];
  readonly rowsRead: number;
}

async function writeSketches(
  { parts }: CommitTable,
  { storage, metadata }: LoadedTable,
  { snapshot: { snapshotId, sequenceNumber }, columns, rowsRead }: Sketches,
): Promise<TableStatistics | null> {
  if (columns.length === 0) return null;
  const blobs = columns.map(({ field, sketch }) => ({
    ...{ type: THETA_BLOB, fields: [field.id], snapshotId, sequenceNumber },
    properties: { ndv: String(estimateOf(sketch)), [ROWS_READ]: String(rowsRead) },
    bytes: encodeSketch(sketch),
  }));
  const path = `${metadataFolder(metadata)}/${snapshotId}-${parts.random.uuid()}.stats`;
  const { bytes, footerBytes } = encodePuffin(blobs);
  await storage.put(path, bytes);
  return { snapshotId, path, bytes: bytes.length, footerBytes, blobs };
}

/** @throws AppError `catalog_refused` when the snapshot has left the table, `catalog_unreachable` */
async function name(
  table: CommitTable,
  head: LoadedTable,
  statistics: SnapshotStatistics,
): Promise<void> {
  const { columns, partitions } = statistics;
  if (columns === null && partitions === null) return;
  const pending = newCommit(table, statisticsChange(statistics));
  const result = await commit(table, pending);
  if (result.kind === "committed") return;
  await giveUp(table, pending);
  // Else a request with these names may still be applied; if not, they are orphans.
  if (!pending.mayHaveLanded) {
    await removeUnreachable(
      head,
      [columns, partitions].flatMap((file) => file?.path ?? []),
    );
  }
  const why = result.kind === "dropped" ? result.reason : "the catalog did not answer";
  const kind = result.kind === "dropped" ? "catalog_refused" : "catalog_unreachable";
  throw fail(kind, `The statistics of ${table.name} were not written: ${why}`, {
    table: table.name,
  });
}
