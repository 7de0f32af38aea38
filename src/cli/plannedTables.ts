/**
 * The tables that a pipeline's topics feed, before anything runs: which topics meet in one, which feed
 * none, and which names one of two tables could not be made under.
 */
import { describe } from "#base/errors.ts";
import { fullName } from "#catalog/names.ts";
import { LATEST_SUFFIX, type LatestRows, orderOf } from "#columns/latest.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import type { DeleteMode, WriterOptions } from "#writer/parts.ts";

/** A table with the topics that feed it. */
export interface PlannedTable {
  readonly name: string;
  readonly writer: WriterOptions;
  readonly topics: string[];
}

/** What {@link plannedTables} found. */
export interface PlannedTables {
  readonly tables: readonly PlannedTable[];
  /** Why topics feed none: a run does not read them. */
  readonly refusals: readonly string[];
}

/** The tables of these topics, in the order of the topics. */
export function plannedTables(
  { writer: writerOf, tablesMax }: Pick<PipelineOptions, "writer" | "tablesMax">,
  topics: readonly string[],
): PlannedTables {
  const tables = new Map<string, PlannedTable>();
  const refusals: string[] = [];
  for (const topic of topics) {
    try {
      const writer = writerOf(topic);
      const name = fullName(writer.name);
      const table = tables.get(name) ?? { name, writer, topics: [] };
      table.topics.push(topic);
      tables.set(name, table);
    } catch (error) {
      refusals.push(describe(error));
    }
  }
  if (tables.size > tablesMax) {
    refusals.push(
      `the topics bring ${tables.size} tables, and iceberg.max_tables is ${tablesMax}: the last by ` +
        "their topics' names are not read",
    );
  }
  return { tables: [...tables.values()], refusals };
}

/** Said whenever topics meet in one table: by names without `{topic}`, never by the topics' own. */
export function sharedTables(tables: readonly PlannedTable[]): string[] {
  const shared = tables.filter(({ topics }) => topics.length > 1);
  return shared.map(({ name, topics }) => `${name}: filled by topics ${topics.join(", ")}`);
}

/**
 * Tables of which a run makes one only, because their names differ by case alone.
 * @param missing names of tables that are not there yet
 */
export function twinRefusals(
  tables: readonly PlannedTable[],
  missing: ReadonlySet<string>,
): string[] {
  const byLower = Map.groupBy(tables, ({ name }) => name.toLowerCase());
  return [...byLower.values()].flatMap((same) => {
    if (same.length === 1 || same.every(({ name }) => !missing.has(name))) return [];
    const names = same.map(({ name }) => name).join(" and ");
    return [`${names} differ by upper and lower case only: one of them is not made`];
  });
}

/** How rows of a table that follows changes are deleted, and who reads that; none where rows are appended. */
export function deleteNotes(
  { name, writer: { key = [], deletes = "position", latest = null } }: PlannedTable,
  formatVersion: number,
): string[] {
  if (latest !== null) return [latestNote(name, latest)];
  if (key.length === 0) return [];
  const how = HOW[deletes](formatVersion);
  return [`${name}: rows of one key (${key.join(", ")}) replace each other by ${how}`];
}

function latestNote(name: string, latest: LatestRows): string {
  const { key, deleted } = latest;
  const gone = deleted === null ? "" : `, without those where ${deleted} is true`;
  return (
    `${name}: every change is a row of its own, and older rows of a key (${key.join(", ")}) stay until a compaction meets ` +
    `them. The newest of each, by ${orderOf(latest).join(", ")}${gone}, are ${name}${LATEST_SUFFIX} in /query and ` +
    "kafka-iceberg query; other engines need a view of that statement (docs/CHANGE_DATA.md)"
  );
}

/** The table that all changes of a table go into; none where nobody asks for it. */
export function changeLogNotes(
  { name, writer }: PlannedTable,
  { changeLog }: Pick<PipelineOptions, "changeLog">,
): string[] {
  if (changeLog === null) return [];
  const log = changeLog.tableOf(writer).name;
  return [`${name}: every change is also a row of ${fullName(log)}, committed before it`];
}

const HOW: Readonly<Record<DeleteMode, (formatVersion: number) => string>> = {
  position: byPosition,
  equality: () => BY_EQUALITY,
  "copy-on-write": () => BY_COPY,
};

const BY_COPY =
  "files that are written anew without the older ones, which every reader understands; a commit writes each file again " +
  "that holds one of them";

const BY_EQUALITY =
  "equality deletes: Spark and DuckDB read them; PyIceberg 0.12 refuses such a table, and every reader compares all " +
  "rows with the deleted keys until compaction has taken them away";

function byPosition(formatVersion: number): string {
  return formatVersion >= 3
    ? "deletion vectors (format v3): Spark, DuckDB and PyIceberg 0.12 read them; Trino 476, chDB 4.4 and " +
        "Daft 0.7 refuse such a table, and read one of iceberg.write.format_version = 2"
    : "position deletes (format v2), which every reader that was tried understands";
}

/** Tables that nobody knows before a record has named them. */
export function routeNotes({ routing }: Pick<PipelineOptions, "routing">): string[] {
  if (routing === null) return [];
  const field = JSON.stringify(routing.field);
  const which = routing.isOpen ? "any value" : `the values ${routing.values.join(", ")}`;
  return [
    `records name tables: ${which} of field ${field}; others stay in their topic's own table`,
  ];
}
