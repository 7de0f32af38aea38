/**
 * From a statement to its answer: which tables it names, what they hold, and what the engine says.
 */
import { fail } from "#base/errors.ts";
import type { LentSegment } from "#buffer/lease.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { CHANGE_TYPE } from "#columns/changes.ts";
import { LATEST_SUFFIX, type LatestRows, latestOf, namesOf } from "#columns/latest.ts";
import type { Field } from "#columns/schema.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import { localPath, schemeOf } from "#storage/location.ts";
import { type Admitted, type RelationName, timeTravelName } from "./admit.ts";
import { type ColumnLimits, mayHold, relationKey } from "./columnLimits.ts";
import type { MemoryRows, Run, ValueForm, View } from "./database.ts";
import type { Parameter } from "./duckdb/statement.ts";
import type { Fetch } from "./fileCopies.ts";
import { columnsOfChanges, lacksValues, selectChanged } from "./hotChanges.ts";
import { rowsByColumns, rowsBySegment, selectHot, unionFields } from "./hotRows.ts";
import { selectLatest } from "./latestRows.ts";
import { type Listing, listingOf, selectListing } from "./listings.ts";
import { fieldsNamed, type NamedColumns, withNames } from "./namedColumns.ts";
import type { ParquetNode } from "./parquetNodes.ts";
import { type SyncPointRow, selectSyncPoints } from "./processRelations.ts";
import { selectRows } from "./selectRows.ts";
import { choiceOf, chooseSnapshot, columnsOf, type SnapshotChoice } from "./snapshotChoice.ts";
import { isRemote, NO_FILES, type SnapshotFiles, snapshotFiles } from "./snapshotFiles.ts";

/** The engine, in this process or another, and what it answers with. */
export interface Engine<A> {
  admit(text: string): Admitted | Promise<Admitted>;
  /** Lets the engine read files below these folders, and below no others. */
  allow(folders: readonly string[]): void | Promise<void>;
  columnsOfFiles(
    paths: readonly string[],
  ):
    | ReadonlyMap<string, readonly ParquetNode[]>
    | Promise<ReadonlyMap<string, readonly ParquetNode[]>>;
  /** A SELECT of the entries of a transaction log. */
  selectLog(folder: string): Promise<string>;
  run(run: Run): A | Promise<A>;
}

/** What is asked. */
export interface Question {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
  readonly form: ValueForm;
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** Of every table that the statement names without a time of its own. */
  readonly snapshot: SnapshotChoice;
}

/** Rows of this process that the table's newest snapshot does not have, lent for one statement. */
export interface HotPart {
  readonly segments: readonly LentSegment[];
  /** Partitions that they are of, as `TOPIC/NUMBER`: the answer is complete for these. */
  readonly partitions: readonly string[];
  /** Columns by which they are changes of the table's rows; none: they are rows beside those. */
  readonly key: readonly string[];
  /** The column that says which of two changes is later; null: they are in order. */
  readonly order: string | null;
  release(): void;
}

/** A table as it is at one instant. */
export interface ReadTable {
  readonly table: LoadedTable;
  /** Null: nobody keeps it here. */
  readonly hot: HotPart | null;
}

/** Where what a statement names is found. */
export interface Sources {
  /**
   * Hands a table that a statement names to `use`, for as long as its catalog and store can be asked; null
   * when there is none. What is lent is given back by the one who asked.
   * @param name as it stands in the statement: `events`, `raw.events`
   * @param part the table, or everything that is in memory of it
   */
  useTable<T>(
    name: string,
    part: "table" | "memory",
    use: (read: ReadTable | null) => Promise<T>,
  ): Promise<T>;
  /** Names of all tables that are kept here, as `useTable` takes them. */
  tableNames(): readonly string[];
  syncPoints(): Promise<readonly SyncPointRow[]>;
  /** Of the transaction log. */
  readonly logFolder: string;
}

/** An answer, and what it is of. */
export interface Answered<A> {
  readonly answer: A;
  /** Of the only table that the statement names; null: none, or several. */
  readonly snapshotId: SnapshotId | null;
  readonly hotPartitions: readonly string[];
}

/**
 * Answers a question.
 * @param fetch gets files of stores to where the engine can read them, for this question
 * @throws AppError `query` for what the question asks, others for what a catalog or store says
 */
export async function answerQuestion<A>(
  engine: Engine<A>,
  sources: Sources,
  question: Question,
  fetch: Fetch,
): Promise<Answered<A>> {
  const admitted = await engine.admit(question.sql);
  const { columns: named, limits } = admitted;
  const reading: Reading = { choice: question.snapshot, named, limits, fetch };
  const plans = new Map<string, Plan>();
  try {
    for (const relation of admitted.relations) {
      const names = [relation.schema.toLowerCase(), timeTravelName(relation).toLowerCase()];
      const key = JSON.stringify(names);
      if (plans.has(key)) continue;
      plans.set(key, await planOf(sources, relation, reading));
    }
    return await run(engine, admitted, [...plans.values()], question);
  } finally {
    for (const { hot } of plans.values()) hot?.release();
  }
}

async function run<A>(
  engine: Engine<A>,
  admitted: Admitted,
  plans: readonly Plan[],
  { parameters, form, rowsMax, bytesMax }: Question,
): Promise<Answered<A>> {
  await engine.allow([...new Set(plans.flatMap(({ folders }) => folders))]);
  const views: View[] = [];
  const hot: MemoryRows[] = [];
  for (const plan of plans) views.push(await viewOf(engine, plan, hot));
  const answer = await engine.run({ admitted, views, hot, parameters, form, rowsMax, bytesMax });
  const [only, ...others] = plans;
  return {
    answer,
    snapshotId: only !== undefined && others.length === 0 ? only.snapshotId : null,
    hotPartitions: [...new Set(plans.flatMap((plan) => plan.hot?.partitions ?? []))],
  };
}

/** A table of a name, else what a process has beside its tables. */
async function planOf(sources: Sources, relation: RelationName, reading: Reading): Promise<Plan> {
  const listed = listingOf(relation.table);
  const listing = listed?.listing ?? null;
  const of = listed === null ? relation : { ...relation, table: listed.table };
  const plan = await planTable(sources, { relation, of, listing }, reading);
  if (plan !== null) return plan;
  const newest = listing === null ? await planLatest(sources, relation, reading) : null;
  if (newest !== null) return newest;
  const beside = relation.schema === "" ? relation.table.toLowerCase() : "";
  const ofProcess = { relation, snapshotId: null, folders: [], hot: null };
  if (beside === "sync_points") {
    const select = selectSyncPoints(await sources.syncPoints());
    return { ...ofProcess, rows: { kind: "listed", select } };
  }
  if (beside === "transaction_log") {
    return { ...ofProcess, rows: { kind: "log", folder: sources.logFolder } };
  }
  if (beside === "hot_buffer") return planOnlyBuffer(sources, relation, reading);
  throw noTable(nameOf(of));
}

/** `events_latest` is the newest row of each key of `events`; null: there is no table that has such rows. */
async function planLatest(
  sources: Sources,
  relation: RelationName,
  reading: Reading,
): Promise<Plan | null> {
  const { table } = relation;
  if (!table.toLowerCase().endsWith(LATEST_SUFFIX)) return null;
  const of = { ...relation, table: table.slice(0, -LATEST_SUFFIX.length) };
  return planTable(sources, { relation, of, listing: "latest" }, reading);
}

/** The hot buffer of the only table. */
async function planOnlyBuffer(
  sources: Sources,
  relation: RelationName,
  reading: Reading,
): Promise<Plan> {
  const [only, ...others] = sources.tableNames();
  if (only === undefined) throw nothingInMemory();
  if (others.length > 0) {
    throw fail("query", `There are several tables: ask for one, e.g. "${only}$hot_buffer"`);
  }
  const of = { schema: "", table: only, at: null };
  const plan = await planTable(sources, { relation, of, listing: "hot_buffer" }, reading);
  if (plan === null) throw nothingInMemory();
  return plan;
}

/** For those who ask for rows in memory where there are none. */
export function nothingInMemory(): Error {
  return fail("query", "Rows in memory are those of a running process: ask it with --url");
}

function planTable(sources: Sources, wanted: Wanted, reading: Reading): Promise<Plan | null> {
  const { relation, of, listing } = wanted;
  const part = listing === "hot_buffer" ? "memory" : "table";
  return sources.useTable(nameOf(of), part, async (read) => {
    if (read === null) return null;
    if (listing !== "latest") return planRelation({ relation, listing }, read, reading, null);
    const latest = latestOf(read.table.metadata.properties);
    if (latest !== null) return planRelation({ relation, listing: null }, read, reading, latest);
    read.hot?.release();
    return null;
  });
}

function noTable(name: string): Error {
  return fail("query", `There is no table ${name} (kafka-iceberg tables lists those that are)`);
}

/** What is the same for all relations of a question. */
interface Reading {
  readonly choice: SnapshotChoice;
  readonly named: NamedColumns;
  readonly limits: ColumnLimits;
  readonly fetch: Fetch;
}

/** A relation as it is named, and the table that it is of. */
interface Wanted {
  readonly relation: RelationName;
  readonly of: RelationName;
  /** Null: the table itself. */
  readonly listing: Listing | "latest" | null;
}

/** A relation, and where its rows are. */
interface Plan {
  readonly relation: RelationName;
  readonly snapshotId: SnapshotId | null;
  readonly rows:
    | TableRows
    | { readonly kind: "listed"; readonly select: string }
    | { readonly kind: "log"; readonly folder: string };
  readonly folders: readonly string[];
  readonly hot: HotPart | null;
  /** Changes of `hot` lack values (`HotChanges`). Default: false. */
  readonly hasPartial?: boolean;
}

interface TableRows {
  readonly kind: "stored";
  readonly fields: readonly Field[];
  readonly files: SnapshotFiles;
  /** The columns that are there of a table in a store: a view has no others. */
  readonly named: NamedColumns;
  /** Null: every row is shown. */
  readonly latest: LatestRows | null;
}

/** @param latest which rows of the table are wanted, where not all are */
async function planRelation(
  { relation, listing }: { readonly relation: RelationName; readonly listing: Listing | null },
  read: ReadTable,
  { choice, named, limits, fetch }: Reading,
  latest: LatestRows | null,
): Promise<Plan> {
  const { table } = read;
  try {
    const wanted = relation.at === null ? choice : choiceOf(relation.at);
    const snapshotId = chooseSnapshot(table, wanted);
    if (listing === "hot_buffer") {
      if (wanted.kind !== "current") {
        throw fail("query", "Rows in memory are those of now: leave the other time out");
      }
      const fields = columnsOf(table.metadata, snapshotId);
      const rows = { kind: "stored", fields, files: NO_FILES, named: null, latest } as const;
      // Changes as they came, with what each does (`_change_type`): they are no rows of a table here.
      const hot = read.hot === null ? null : { ...read.hot, key: [] };
      return { relation, snapshotId, rows, folders: [], hot };
    }
    if (listing !== null) {
      const select = await selectListing(listing, table, snapshotId);
      read.hot?.release();
      return { relation, snapshotId, rows: { kind: "listed", select }, folders: [], hot: null };
    }
    const fields = columnsOf(table.metadata, snapshotId);
    const ofStore = isRemote(table.metadata.location)
      ? withNames(named, [...columnsOfChanges(read.hot), ...namesOf(latest)])
      : null;
    const ids = new Set(fieldsNamed(fields, ofStore).map(({ id }) => id));
    const hasPartial = lacksValues(read.hot);
    // A row that is not wanted itself may be newer than one that is, or have values that a change leaves as they were.
    const isJudge = latest !== null || hasPartial || (read.hot?.order ?? null) !== null;
    const own = limitsOf(relation, limits, isJudge);
    const how = {
      fetch,
      columns: ofStore === null ? null : ids,
      mayHold: (file: DataFile) => mayHold(file, fields, own),
    };
    const files = snapshotId === null ? NO_FILES : await snapshotFiles(table, snapshotId, how);
    const paths = [...pathsOf(files), ...files.positionDeletes];
    const folders = foldersOf(table.metadata.location, paths);
    // Another time of the table has nothing of now.
    const hot = wanted.kind === "current" ? read.hot : null;
    if (hot === null) read.hot?.release();
    return {
      relation,
      snapshotId,
      rows: { kind: "stored", fields, files, named: ofStore, latest },
      folders,
      hot,
      hasPartial,
    };
  } catch (error) {
    read.hot?.release();
    throw error;
  }
}

/** The view of a relation; what it shows of memory is added to `hot`. */
async function viewOf(engine: Engine<unknown>, plan: Plan, hot: MemoryRows[]): Promise<View> {
  const { relation } = plan;
  const isNow = relation.at === null;
  return {
    schema: isNow ? relation.schema : "",
    name: isNow ? relation.table : timeTravelName(relation),
    select: await selectOf(engine, plan, hot),
  };
}

async function selectOf(engine: Engine<unknown>, plan: Plan, hot: MemoryRows[]): Promise<string> {
  const { rows } = plan;
  switch (rows.kind) {
    case "listed":
      return rows.select;
    case "log":
      return engine.selectLog(rows.folder);
    case "stored":
      return selectStored(engine, plan, rows, hot);
  }
}

async function selectStored(
  engine: Engine<unknown>,
  plan: Plan,
  { fields, files, named, latest }: TableRows,
  hot: MemoryRows[],
): Promise<string> {
  const nodes = await engine.columnsOfFiles(pathsOf(files));
  const { segments, key, order } = plan.hot ?? { segments: [], key: [], order: null };
  const changes = key.length > 0;
  const rows = changes ? rowsBySegment(segments) : rowsByColumns(segments);
  const first = hot.push(...rows) - rows.length;
  const ofRows = rows.map((each) => each.fields.filter((field) => !changes || !isControl(field)));
  const columns = fieldsNamed(unionFields(fields, ofRows), named);
  const { vectors } = files;
  const number = vectors.length === 0 ? -1 : hot.push({ kind: "deleted", vectors }) - 1;
  const stored = selectRows(columns, files, nodes, number);
  if (changes) {
    const { hasPartial = false } = plan;
    return selectChanged(stored, { columns, key, order, hasPartial, rows, first });
  }
  const selects = rows.map((each, at) => selectHot(columns, each.fields, first + at));
  const all = [stored, ...selects].join(" UNION ALL ");
  return latest === null ? all : selectLatest(all, columns, latest);
}

/** What the statement says of the rows that it wants of a table. */
function limitsOf(
  { schema, table, at }: RelationName,
  limits: ColumnLimits,
  isJudge: boolean,
): Parameters<typeof mayHold>[2] {
  return (at === null && !isJudge ? limits.get(relationKey(schema, table)) : undefined) ?? [];
}

function isControl({ name }: Field): boolean {
  return name === CHANGE_TYPE.name;
}

/** Files whose columns have to be known. */
function pathsOf({ data, equalityDeletes }: SnapshotFiles): string[] {
  return [...data, ...equalityDeletes].map(({ path }) => path);
}

function nameOf({ schema, table }: RelationName): string {
  return schema === "" ? table : `${schema}.${table}`;
}

/** The table's folder, and those of files that lie elsewhere. */
function foldersOf(location: string, paths: readonly string[]): string[] {
  const isLocal = schemeOf(location) === "file";
  const home = isLocal ? `${localPath(location).replace(/\/+$/, "")}/` : null;
  const elsewhere = paths.filter((path) => home === null || !path.startsWith(home));
  const folders = elsewhere.map((path) => path.slice(0, path.lastIndexOf("/") + 1));
  return [...(home === null ? [] : [home]), ...new Set(folders)];
}
