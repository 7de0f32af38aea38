/**
 * `maintenance OPERATION TABLE`: one run now, by the settings of the configuration and of the table.
 */
import { EXIT, type ExitCode, fail } from "#base/errors.ts";
import { MAINTENANCE_OPERATIONS } from "#base/events.ts";
import { writePortableJson } from "#base/json.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { compactOptions, expiryPolicy } from "#config/buildMaintenance.ts";
import { folders } from "#config/buildProcess.ts";
import { fileCodecOf } from "#config/buildWriter.ts";
import type { PipelineConfig } from "#config/config.ts";
import { cacheFolder } from "#config/environment.ts";
import { compact, SORT_SPILL_SHARE } from "#maintenance/compact.ts";
import { type CompactReport, compactCounts } from "#maintenance/compactRun.ts";
import { type ExpireReport, expireCounts, expireSnapshots } from "#maintenance/expire.ts";
import { manifestCounts, rewriteManifests } from "#maintenance/manifests.ts";
import { type OrphanReport, orphanCounts, removeOrphans } from "#maintenance/orphans.ts";
import { recordRun } from "#maintenance/record.ts";
import {
  createRewriteEngine,
  type RewriteEngineParts,
  rewriteOrder,
} from "#maintenance/rewriteEngine.ts";
import type { Operation, RunOptions } from "#maintenance/run.ts";
import { createSketchEngine } from "#maintenance/sketchEngine.ts";
import {
  type StatisticsReport,
  statisticsCounts,
  updateStatistics,
} from "#maintenance/statistics.ts";
import type { Terminal } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { commitTableOf } from "./commit.ts";
import { maintainElsewhere } from "./maintenanceEngine.ts";
import { engineOf, orphanAgeOf, refuseUnheeded } from "./maintenanceOptions.ts";
import { type Opened, openConfig, withTable } from "./open.ts";

/** Runs the command; `stop` ends it between two steps. */
export async function maintenanceCommand(
  parsed: ParsedArguments,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<ExitCode> {
  const operation = operationOf(parsed.value("operation") ?? "");
  const engine = engineOf(parsed);
  refuseUnheeded(parsed, operation, engine);
  const opened = await openConfig(parsed, "inspect");
  const isDry = parsed.flag("dry-run");
  return withTable(opened, parsed.value("table") ?? "", isDry, async (found) => {
    const options: RunOptions = {
      ...{ isDry, stop },
      onProgress: ({ step, done, total }) =>
        terminal.progress?.(`${step}  ${done}${total === null ? "" : ` of ${total}`}`),
    };
    const table = commitTableOf(found);
    if (engine !== "embedded") {
      const { values } = found.pipeline;
      return maintainElsewhere(table, { engine, operation, values, parsed }, terminal, stop);
    }
    const context = { opened, pipeline: found.pipeline, parsed };
    const run = (): Promise<Told> => RUNS[operation](table, options, context);
    const told = await (isDry
      ? run()
      : recordRun(table, operation, run, ({ counts }) => counts)
    ).finally(() => terminal.progress?.(""));
    const text = parsed.flag("json")
      ? writePortableJson(told.report, 2)
      : told.sentences(isDry).join("\n");
    terminal.out(`${text}\n`);
    return EXIT.ok;
  });
}

function operationOf(word: string): Operation {
  const operation = MAINTENANCE_OPERATIONS.find((each) => each === word);
  if (operation !== undefined) return operation;
  const all = MAINTENANCE_OPERATIONS.join(", ");
  throw fail("usage", `There is no maintenance operation ${word}; there are: ${all}`);
}

/** A run's end, for people, programs and the record. */
interface Told {
  readonly report: object;
  readonly counts: ReturnType<typeof expireCounts>;
  sentences(isDry: boolean): string[];
}

/** What a run is asked for with. */
interface Context {
  readonly opened: Opened;
  readonly pipeline: PipelineConfig;
  readonly parsed: ParsedArguments;
}

type Run = (table: CommitTable, options: RunOptions, context: Context) => Promise<Told>;

const RUNS: Readonly<Record<Operation, Run>> = {
  compact: async (table, options, { opened, pipeline }) => {
    const { jobs, ...settings } = compactOptions(pipeline.values);
    const engine = createRewriteEngine({ ...engineParts(opened), codec: fileCodecOf(pipeline) });
    const isSorted = rewriteOrder(table.head).terms.length > 0;
    const sortSpillBytesMax = isSorted ? SORT_SPILL_SHARE * settings.targetBytes : 0;
    const report = await compact(table, engine, { ...options, settings, jobs, sortSpillBytesMax });
    const sentences = (): string[] => compactSentences(table.name, report);
    return { report, counts: compactCounts(report), sentences };
  },
  manifests: async (table, options) => {
    const report = await rewriteManifests(table, options);
    const sentences = (isDry: boolean): string[] => [
      isDry
        ? `${table.name}: ${report.replaced} manifests would be replaced`
        : `${table.name}: ${report.replaced} manifests replaced by ${report.written ?? 0}`,
    ];
    return { report, counts: manifestCounts(report), sentences };
  },
  statistics: async (table, options, { opened }) => {
    const count = createSketchEngine(engineParts(opened));
    const report = await updateStatistics(table, count, options);
    const sentences = (isDry: boolean): string[] => statisticsSentences(table.name, report, isDry);
    return { report, counts: statisticsCounts(report), sentences };
  },
  orphans: async (table, options, { pipeline, parsed }) => {
    const ageMsMin = orphanAgeOf(parsed, pipeline.values);
    const isForced = parsed.flag("yes");
    const report = await removeOrphans(table, { ...options, ageMsMin, isForced });
    const sentences = (isDry: boolean): string[] => orphanSentences(table.name, report, isDry);
    return { report, counts: orphanCounts(report), sentences };
  },
  expire: async (table, options, { pipeline }) => {
    const report = await expireSnapshots(table, expiryPolicy(pipeline.values), options);
    const sentences = (isDry: boolean): string[] => expireSentences(table.name, report, isDry);
    return { report, counts: expireCounts(report), sentences };
  },
};

/** What engines in a child process are made of. */
function engineParts({ config, environment }: Opened): Omit<RewriteEngineParts, "codec"> {
  return {
    libraryFolder: cacheFolder(environment),
    scratch: `${folders(config, environment).stateDir}/scratch`,
  };
}

function statisticsSentences(
  name: string,
  { files, rows, partitions, distinct }: StatisticsReport,
  isDry: boolean,
): string[] {
  if (isDry) return [`${name}: ${files} files with ${rows} rows would be read`];
  const columns = Object.entries(distinct);
  if (columns.length === 0 && partitions === null) return [`${name}: nothing new to count`];
  return [
    `${name}: ${files} files with ${rows} rows read`,
    ...(partitions === null ? [] : [`partitions: ${partitions}`]),
    ...columns.map(([column, count]) => `  ${column}: about ${count} different values`),
  ];
}

function compactSentences(name: string, report: CompactReport): string[] {
  const { groups, filesBefore, filesAfter, bytesBefore, bytesAfter, left, refused } = report;
  if (filesAfter === null || bytesAfter === null) {
    return [`${name}: ${filesBefore} files, ${bytesBefore} bytes, would become ${groups} or fewer`];
  }
  const sentences = [
    `${name}: ${filesBefore} files replaced by ${filesAfter}`,
    `bytes: ${bytesBefore} before, ${bytesAfter} after`,
  ];
  if (left > 0) sentences.push(`groups that others changed meanwhile, for the next run: ${left}`);
  if (refused > 0) {
    sentences.push(
      `groups that cannot be written here: ${refused}, for example: ${report.refusal}`,
    );
  }
  return sentences;
}

function expireSentences(name: string, report: ExpireReport, isDry: boolean): string[] {
  const { snapshots, refs, files, bytes, outside } = report;
  const removed = isDry ? "would be removed" : "removed";
  const sentences = [
    `${name}: ${snapshots} snapshots ${removed}`,
    `data and delete files ${removed}: ${files.content}`,
    `manifests, manifest lists and statistics ${removed}: ` +
      `${files.manifest + files["manifest-list"] + files.statistics}`,
    `bytes reclaimed, manifest lists not counted: ${bytes}`,
  ];
  if (refs.length > 0) sentences.push(`branches and tags ${removed}: ${refs.join(", ")}`);
  if (outside.count > 0) {
    sentences.push(
      `${outside.count} files lie outside the table's folders and stay, for example ${outside.first}`,
    );
  }
  return sentences;
}

function orphanSentences(name: string, report: OrphanReport, isDry: boolean): string[] {
  const { listed, files, bytes, uploads, examples, otherTables } = report;
  const removed = isDry ? "would be removed" : "removed";
  const sentences = [
    `${name}: ${files} of ${listed} files ${removed}, ${bytes} bytes`,
    `unfinished uploads ${removed}: ${uploads}`,
  ];
  if (files > 0) sentences.push("for example:", ...examples.map((location) => `  ${location}`));
  if (otherTables.length > 0) {
    sentences.push(`left alone, since they look like tables: ${otherTables.join(", ")}`);
  }
  return sentences;
}
