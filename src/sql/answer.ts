/**
 * From a statement to its answer: which tables it names, what they hold, and what the engine says.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { localPath, schemeOf } from "#storage/location.ts";
import { type Admitted, type RelationName, timeTravelName } from "./admit.ts";
import type { Answer, Run, ValueForm, View } from "./database.ts";
import type { Parameter } from "./duckdb/instance.ts";
import type { ParquetNode } from "./parquetNodes.ts";
import {
  chooseSnapshot,
  columnsOf,
  type SnapshotChoice,
  selectRows,
  snapshotFiles,
} from "./relations.ts";

/** The engine, on this thread or another. */
export interface Engine {
  admit(text: string): Admitted | Promise<Admitted>;
  /** Lets the engine read files below these folders, and below no others. */
  allow(folders: readonly string[]): void | Promise<void>;
  columnsOfFiles(
    paths: readonly string[],
  ):
    | ReadonlyMap<string, readonly ParquetNode[]>
    | Promise<ReadonlyMap<string, readonly ParquetNode[]>>;
  run(run: Run): Answer | Promise<Answer>;
}

/** What is asked. */
export interface Question {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
  readonly form: ValueForm;
  readonly rowsMax: number;
  /** Of every table that the statement names without a time of its own. */
  readonly snapshot: SnapshotChoice;
}

/**
 * Hands a table that a statement names to `use`, for as long as it can be read; null when there is none.
 * @param name as it stands in the statement: `events`, `raw.events`
 */
export type UseTable = <T>(
  name: string,
  use: (table: LoadedTable | null) => Promise<T>,
) => Promise<T>;

/**
 * Answers a question.
 * @throws AppError `query` for what the question asks, others for what a catalog or store says
 */
export async function answerQuestion(
  engine: Engine,
  useTable: UseTable,
  question: Question,
): Promise<Answer> {
  const admitted = await engine.admit(question.sql);
  const views: View[] = [];
  const folders = new Set<string>();
  const plans = new Map<string, Plan>();
  for (const relation of admitted.relations) {
    const key = JSON.stringify([
      relation.schema.toLowerCase(),
      timeTravelName(relation).toLowerCase(),
    ]);
    if (plans.has(key)) continue;
    const plan = await useTable(nameOf(relation), (table) =>
      planRelation(relation, table, question.snapshot),
    );
    plans.set(key, plan);
    for (const folder of plan.folders) folders.add(folder);
  }
  await engine.allow([...folders]);
  for (const plan of plans.values()) views.push(await viewOf(engine, plan));
  const { parameters, form, rowsMax } = question;
  return engine.run({ admitted, views, parameters, form, rowsMax });
}

/** A relation, and the files that its rows are in. */
interface Plan {
  readonly relation: RelationName;
  readonly fields: ReturnType<typeof columnsOf>;
  readonly files: Awaited<ReturnType<typeof snapshotFiles>>;
  readonly folders: readonly string[];
}

async function planRelation(
  relation: RelationName,
  table: LoadedTable | null,
  choice: SnapshotChoice,
): Promise<Plan> {
  if (table === null) {
    const name = nameOf(relation);
    throw fail("query", `There is no table ${name} (kafka-iceberg tables lists those that are)`);
  }
  const snapshotId = chooseSnapshot(table, relation.at === null ? choice : choiceOf(relation.at));
  const fields = columnsOf(table.metadata, snapshotId);
  const none = { data: [], positionDeletes: [], locations: new Map<string, string>() };
  const files = snapshotId === null ? none : await snapshotFiles(table, snapshotId);
  const paths = [...files.data, ...files.positionDeletes];
  return { relation, fields, files, folders: foldersOf(table.metadata.location, paths) };
}

async function viewOf(engine: Engine, { relation, fields, files }: Plan): Promise<View> {
  const nodes = await engine.columnsOfFiles(files.data);
  const isNow = relation.at === null;
  return {
    schema: isNow ? relation.schema : "",
    name: isNow ? relation.table : timeTravelName(relation),
    select: selectRows(fields, files, nodes),
  };
}

function nameOf({ schema, table }: RelationName): string {
  return schema === "" ? table : `${schema}.${table}`;
}

function choiceOf({ unit, value }: NonNullable<RelationName["at"]>): SnapshotChoice {
  if (unit === "version") {
    if (/^\d+$/.test(value)) return { kind: "id", id: BigInt(value) };
    throw fail("query", `AT (VERSION => ${value}): a snapshot id is a number`);
  }
  return { kind: "time", timeMs: timeOf(value) };
}

/**
 * Milliseconds of a time as people write it, UTC where it names no zone.
 * @throws AppError `query`
 */
export function timeOf(text: string): number {
  const written =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;
  const [, day = "", time = "00:00", zone = "Z"] = written.exec(text.trim()) ?? [];
  const ms = Date.parse(`${day}T${time}${zone.length === 3 ? `${zone}:00` : zone}`);
  if (Number.isFinite(ms)) return ms;
  throw fail("query", `${text} is no time: write 2026-01-08 or 2026-01-08 12:30:00`);
}

/** The table's folder, and those of files that lie elsewhere. */
function foldersOf(location: string, paths: readonly string[]): string[] {
  const isLocal = schemeOf(location) === "file";
  const home = isLocal ? `${localPath(location).replace(/\/+$/, "")}/` : null;
  const elsewhere = paths.filter((path) => home === null || !path.startsWith(home));
  const folders = elsewhere.map((path) => path.slice(0, path.lastIndexOf("/") + 1));
  return [...(home === null ? [] : [home]), ...new Set(folders)];
}
