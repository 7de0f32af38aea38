/**
 * `check`: is the configuration right, can everything be reached, and what would a run do? Touches
 * nothing that is there, and leaves nothing. All pipelines are looked at; the exit code is that of the
 * worst finding.
 */
import { describe, EXIT, type ExitCode, kindOf, policyOf } from "#base/errors.ts";
import { writePortableJson } from "#base/json.ts";
import type { Catalog, LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { warehouseOf } from "#catalog/open.ts";
import type { Field } from "#columns/schema.ts";
import { buildPipeline, type PipelineOptions } from "#config/buildPipeline.ts";
import { partitionForms } from "#config/buildWriter.ts";
import type { PipelineConfig } from "#config/config.ts";
import { knownColumns } from "#config/knownColumns.ts";
import { redact } from "#config/redact.ts";
import { historyWindowMs, type RetentionPolicy } from "#iceberg/metadata/retention.ts";
import type { WriterOptions } from "#writer/parts.ts";
import type { Actions, Terminal, TopicDescription } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { describeTable, fieldDifferences, partitionDifferences } from "./differences.ts";
import { type OpenPipeline, openConfig, withPipeline } from "./open.ts";
import { type Cell, tableText } from "./output.ts";
import {
  changeLogNotes,
  deleteNotes,
  type PlannedTable,
  plannedTables,
  routeNotes,
  sharedTables,
  twinRefusals,
} from "./plannedTables.ts";
import { propertyNotes } from "./propertyNotes.ts";
import { creationRefusal, offsetRefusals, tableRefusals } from "./refusals.ts";
import { requireWritable, type StoreCheck, type StoreFindings, storeCheck } from "./storeRights.ts";
import { suggestCommand } from "./suggest.ts";

const SECOND_MS = 1000;
/** So many tables have a note of their own, although it says the same. */
const SAME_MAX = 3;
const DAY_MS = 86_400_000;
/** More small files than this a day make a table slow to plan (SPEC section 3). */
const FILES_PER_DAY_MAX = 50_000;

/** What was found of one pipeline. */
interface Plan {
  readonly pipeline: string;
  readonly topics: { topic: string; partitions: number; records: bigint }[];
  readonly tables: Record<string, Cell>[];
  readonly differences: string[];
  readonly warnings: string[];
  readonly errors: string[];
  exitCode: ExitCode;
}

/** Runs the command. */
export async function checkCommand(
  parsed: ParsedArguments,
  actions: Actions,
  terminal: Terminal,
): Promise<ExitCode> {
  const { config, environment } = await openConfig(parsed, "run");
  if (parsed.flag("suggest")) return suggestCommand(config, environment, actions, terminal);
  const plans: Plan[] = [];
  for (const pipeline of config.pipelines) {
    const options = await buildPipeline(pipeline, environment, "");
    plans.push(await planPipeline(pipeline, options, actions));
  }
  if (parsed.flag("json")) {
    terminal.out(`${writePortableJson({ configuration: redact(config), pipelines: plans }, 2)}\n`);
  } else {
    terminal.out(`${config.file}: the configuration is right\n`);
    for (const plan of plans) terminal.out(planText(plan));
  }
  return plans.reduce<ExitCode>((worst, { exitCode }) => worseOf(worst, exitCode), EXIT.ok);
}

/** A table is looked for in the catalog, which asks the store: the error says whose it is. */
function storageOrCatalog(error: unknown): string {
  return kindOf(error).startsWith("storage_") ? "storage" : "catalog";
}

function worseOf(a: ExitCode, b: ExitCode): ExitCode {
  return a > b ? a : b;
}

async function planPipeline(
  pipeline: PipelineConfig,
  options: PipelineOptions,
  actions: Actions,
): Promise<Plan> {
  const plan: Plan = {
    pipeline: pipeline.name,
    topics: [],
    tables: [],
    differences: [],
    warnings: [],
    errors: [],
    exitCode: EXIT.ok,
  };
  // `onlyOne`: of several, the next may be all right, unless the whole place is away.
  const attempt = async (
    what: string | ((error: unknown) => string),
    action: () => Promise<void>,
    onlyOne = false,
  ): Promise<void> => {
    try {
      await action();
    } catch (error) {
      if (onlyOne && policyOf(error).action === "again") throw error;
      plan.errors.push(`${typeof what === "string" ? what : what(error)}: ${describe(error)}`);
      plan.exitCode = worseOf(plan.exitCode, policyOf(error).exitCode);
    }
  };
  await attempt("schema", async () => {
    knownColumns(options);
  });
  let topics: readonly TopicDescription[] = [];
  await attempt(kafkaOrItsAddress, async () => {
    topics = await actions.describeTopics(options.consumer);
    plan.topics.push(...topics.map(topicRow));
  });
  const warehouse = warehouseOf(options.catalog);
  if (warehouse !== null) await attempt("warehouse", () => requireWritable(warehouse));
  await attempt(storageOrCatalog, () =>
    withPipeline(pipeline, true, async (open) => {
      const { tables, refusals } = plannedTables(options, tableTopics(options, topics));
      const wanted = tables.map(({ writer }) => writer.name);
      for (const right of (await open.catalog.missingRights?.(wanted)) ?? []) {
        refuse(plan, `catalog: the login lacks ${right}`, EXIT.failed);
      }
      const store = storeCheck((found) => tellStore(plan, found));
      await store.warehouse(open, options.catalog);
      for (const refusal of refusals) refuse(plan, refusal, EXIT.usage);
      for (const table of tables) {
        await attempt(
          storageOrCatalog,
          () => planTable(plan, open, options, table, topics, store),
          true,
        );
      }
      plan.differences.push(...sharedTables(tables), ...routeNotes(options));
      plan.differences.push(...(await togetherNotes(open.catalog, options)));
      const missing = plan.tables.filter((row) => row["action"] === "create");
      const names = new Set(missing.map((row) => String(row["table"])));
      for (const refusal of twinRefusals(tables, names)) refuse(plan, refusal, EXIT.usage);
    }),
  );
  warnAboutFiles(plan, pipeline);
  return plan;
}

/** Where several tables are to be committed in one request, and the catalog has none. Nothing is sent. */
async function togetherNotes(catalog: Catalog, { commit }: PipelineOptions): Promise<string[]> {
  if (commit.together !== true) return [];
  if (((await catalog.commitTogether?.([])) ?? null) !== null) return [];
  return [
    "iceberg.commit.together: the catalog offers no commit of several tables; each is committed by itself",
  ];
}

function kafkaOrItsAddress(error: unknown): string {
  return kindOf(error) === "kafka_unreachable"
    ? "Kafka (does it listen at kafka.bootstrap_servers?)"
    : "Kafka";
}

function topicRow({ topic, partitions }: TopicDescription): Plan["topics"][number] {
  const records = partitions.reduce((sum, { logStart, logEnd }) => sum + logEnd - logStart, 0n);
  return { topic, partitions: partitions.length, records };
}

/** Topics by name are known even when Kafka is away. */
function tableTopics(
  { consumer }: PipelineOptions,
  described: readonly TopicDescription[],
): string[] {
  return [...new Set([...(consumer.topics ?? []), ...described.map(({ topic }) => topic)])];
}

/** Adds what was found of a store. */
function tellStore(plan: Plan, { refusals, note }: StoreFindings): void {
  for (const refusal of refusals) refuse(plan, `storage: ${refusal}`, EXIT.failed);
  if (note !== null) plan.differences.push(`storage: ${note}`);
}

async function planTable(
  plan: Plan,
  { pipeline, catalog }: OpenPipeline,
  options: PipelineOptions,
  planned: PlannedTable,
  described: readonly TopicDescription[],
  store: StoreCheck,
): Promise<void> {
  const { name, writer, topics } = planned;
  const table = await catalog.load(writer.name);
  plan.differences.push(
    ...changeLogNotes(planned, options),
    ...deleteNotes(planned, table?.metadata.formatVersion ?? writer.create.formatVersion),
  );
  const own = new Set(topics);
  for (const each of described) {
    if (table === null || !own.has(each.topic)) continue;
    for (const refusal of offsetRefusals(table, writer.branch, each)) {
      refuse(plan, `${name}: ${refusal}`, EXIT.question);
    }
  }
  const forms = partitionForms(pipeline.values);
  if (table === null) {
    const location = (await catalog.locationOf(writer.name)) ?? "where the catalog chooses";
    planNewTable(plan, options, name, location, forms);
    const refusal = creationRefusal(writer, () => knownColumns(options, true));
    if (refusal !== null) refuse(plan, `${name}: ${refusal}`, EXIT.usage);
    if (writer.create.allowed) return;
    refuse(plan, `${name} is missing, and auto_create_if_missing is false`, EXIT.usage);
    return;
  }
  await store.table(table);
  const { partitioned, rows } = describeTable(table.metadata);
  const action = "append";
  const { location } = table.metadata;
  const window = commitWindow(table, writer.thinning);
  plan.tables.push({
    table: name,
    action,
    partitioned,
    rows,
    foreign_commit_window: window,
    location,
  });
  planDeclared(plan, table, options.decoder.fields ?? [], writer.schemaMismatch);
  plan.differences.push(...partitionNotes(table, forms, pipeline));
  const { properties } = table.metadata;
  plan.differences.push(...propertyNotes(properties, pipeline).map((text) => `${name}: ${text}`));
  for (const refusal of tableRefusals(planned, table.metadata)) refuse(plan, refusal, EXIT.usage);
}

/** How long another engine may take to commit what it began: so long all snapshots are kept. */
function commitWindow({ metadata }: LoadedTable, policy: RetentionPolicy | null): string {
  const windowMs = policy === null ? null : historyWindowMs(metadata, policy);
  return windowMs === null ? "no limit" : `${Math.round(windowMs / SECOND_MS)} s`;
}

function planNewTable(
  plan: Plan,
  options: PipelineOptions,
  name: string,
  location: string,
  forms: readonly string[],
): void {
  const partitioned = forms.join(", ") || "none";
  plan.tables.push({ table: name, action: "create", partitioned, rows: 0, location });
  const columns = options.decoder.fields;
  const learned = columns === null ? "learned from the first records" : columnText(columns);
  plan.differences.push(`${name}: columns ${learned}`);
}

function columnText(fields: readonly Field[]): string {
  return `declared: ${fields.map(({ name }) => name).join(", ")}`;
}

function refuse(plan: Plan, sentence: string, code: ExitCode): void {
  plan.errors.push(sentence);
  plan.exitCode = worseOf(plan.exitCode, code);
}

/** Declared columns that are not the table's: an error where the run would stop over them. */
function planDeclared(
  plan: Plan,
  table: LoadedTable,
  declared: readonly Field[],
  action: WriterOptions["schemaMismatch"],
): void {
  const found = fieldDifferences(table.metadata, declared);
  const texts = found.map((text) => `${fullName(table.name)}: ${text}`);
  if (action !== "fail" || texts.length === 0) {
    plan.differences.push(...texts);
    return;
  }
  plan.errors.push(...texts, 'schema_mismatch_action is "fail": "evolve" and "warn" go on');
  plan.exitCode = worseOf(plan.exitCode, EXIT.question);
}

function partitionNotes(
  table: LoadedTable,
  forms: readonly string[],
  { origins }: PipelineConfig,
): string[] {
  const isAsked = [...origins.keys()].some((key) => key.startsWith("partitioning."));
  if (!isAsked) return [];
  const name = fullName(table.name);
  return partitionDifferences(table.metadata, forms).map((text) => `${name}: ${text}`);
}

/** At most one file per Kafka partition and commit, when each of them has rows. */
function warnAboutFiles(plan: Plan, { values }: PipelineConfig): void {
  const partitions = plan.topics.reduce((sum, topic) => sum + topic.partitions, 0);
  const commits = DAY_MS / values["iceberg.commit.interval_ms"];
  const perCommit = values["partitioning.preserve_kafka_partitions"]
    ? partitions
    : Math.min(partitions, plan.tables.length);
  const files = Math.round(commits * perCommit);
  if (files <= FILES_PER_DAY_MAX) return;
  plan.warnings.push(
    `up to ${files} data files a day (${perCommit} a commit, ${Math.round(commits)} commits); ` +
      "raise iceberg.commit.interval_ms, unless [maintenance] compacts them",
  );
}

function planText(plan: Plan): string {
  const section = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? "" : `${title}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
  const indent = (text: string): string => text.replaceAll(/^(?=.)/gm, "  ");
  return [
    `\nPipeline ${plan.pipeline}\n`,
    plan.topics.length === 0 ? "" : indent(tableText(plan.topics)),
    plan.tables.length === 0 ? "" : indent(tableText(plan.tables)),
    section("  Notes", grouped(plan.differences)),
    section("  Warnings", plan.warnings),
    section("  Errors", plan.errors),
  ].join("");
}

/** `TABLE: note` lines; what is said of many tables is said once, with some of their names. */
function grouped(notes: readonly string[]): string[] {
  const byText = Map.groupBy(notes, (note) => note.slice(note.indexOf(": ") + 2));
  return [...byText].flatMap(([text, same]) => {
    if (same.length <= SAME_MAX) return same;
    const names = same.slice(0, SAME_MAX).map((note) => note.slice(0, note.indexOf(": ")));
    const left = same.length - SAME_MAX;
    return [`${same.length} tables (${names.join(", ")} and ${left} more): ${text}`];
  });
}
