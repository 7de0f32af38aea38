/**
 * `maintenance OPERATION TABLE --engine spark|trino`: the run by the settings that it would have here, handed to the
 * user's own engine.
 */
import { EXIT, type ExitCode, fail } from "#base/errors.ts";
import { createHttp } from "#base/http.ts";
import { writePortableJson } from "#base/json.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { unreadable } from "#commit/shares.ts";
import { compactOptions, expiryPolicy } from "#config/buildMaintenance.ts";
import type { PipelineValues } from "#config/keys.ts";
import { expiryOf } from "#iceberg/metadata/expiry.ts";
import { type EngineRow, runInSpark } from "#maintenance/engines/spark.ts";
import {
  type EnginePlan,
  sparkStatements,
  trinoStatements,
} from "#maintenance/engines/statements.ts";
import { runInTrino } from "#maintenance/engines/trino.ts";
import { ORPHAN_AGE_MS_SAFE } from "#maintenance/orphans.ts";
import { recordRun } from "#maintenance/record.ts";
import { type Operation, refusePaused, refuseRemoval } from "#maintenance/run.ts";
import type { Terminal } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { type EngineName, orphanAgeOf } from "./maintenanceOptions.ts";
import { systemParts } from "./open.ts";

/** What is to be done, and where. */
interface Elsewhere {
  readonly engine: Exclude<EngineName, "embedded">;
  readonly operation: Operation;
  readonly values: PipelineValues;
  readonly parsed: ParsedArguments;
}

/** Runs it there and says what the engine answered; with `--dry-run` only the statements. */
export async function maintainElsewhere(
  table: CommitTable,
  { engine, operation, values, parsed }: Elsewhere,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<ExitCode> {
  const plan = await planOf(table, operation, values, parsed);
  const statements = engine === "spark" ? sparkStatements(plan) : trinoStatements(plan);
  const isDry = parsed.flag("dry-run");
  const answers = isDry
    ? []
    : await recordRun(
        table,
        operation,
        () => ask(engine, statements, parsed, stop),
        () => ({ counts: { statements: statements.length }, bytesReclaimed: 0 }),
      );
  const report = statements.map((statement, at) => ({ statement, answer: answers[at] ?? [] }));
  const text = parsed.flag("json")
    ? writePortableJson(report, 2)
    : report.flatMap(({ statement, answer }) => [statement, ...answer.map(sentenceOf)]).join("\n");
  terminal.out(`${text === "" ? "Nothing to do" : text}\n`);
  return EXIT.ok;
}

async function planOf(
  table: CommitTable,
  operation: Operation,
  values: PipelineValues,
  parsed: ParsedArguments,
): Promise<EnginePlan> {
  const head = await table.load();
  const { clock, catalog } = table.parts;
  refusePaused(head);
  if (operation === "expire" || operation === "orphans") refuseRemoval(head, catalog.traits);
  if (table.options.branch !== "main") {
    throw fail("usage", `Other engines maintain the main branch, not ${table.options.branch}`);
  }
  const { jobs, ...compact } = compactOptions(values);
  const nowMs = clock.nowMs();
  if (operation === "expire") await refuseForeignHead(table, head);
  const { snapshots, refs } = expiryOf(head.metadata, expiryPolicy(values), nowMs);
  const ageMs = operation === "orphans" ? safeAgeOf(parsed, values) : orphanAgeOf(parsed, values);
  return {
    ...{ operation, name: table.options.name, catalog: catalogOf(parsed), compact, jobs },
    expired: snapshots.map(({ snapshotId }) => snapshotId),
    expiredRefs: refs.map((name) => ({ name, type: head.metadata.refs[name]?.type ?? "branch" })),
    ...{ orphansBeforeMs: nowMs - ageMs, orphanAgeMs: ageMs, sort: sortOf(head, parsed) },
  };
}

/** Other engines are told an age alone: nobody looks at what they would remove, as ours does after `--yes`. */
function safeAgeOf(parsed: ParsedArguments, values: PipelineValues): number {
  const ageMs = orphanAgeOf(parsed, values);
  if (ageMs >= ORPHAN_AGE_MS_SAFE) return ageMs;
  throw fail(
    "usage",
    "Files of the last 24 hours may belong to a commit that is on its way, of any writer: only the engine inside removes them, by --yes",
  );
}

/** Ours first puts a snapshot with all offsets on such a head (SPEC 2.2); another engine cannot. */
async function refuseForeignHead(table: CommitTable, head: LoadedTable): Promise<void> {
  const progress = await table.progressOf(head);
  if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
  if (progress.headIsOurs || progress.document.sources.size === 0) return;
  const sentence = `The newest snapshot of ${table.name} is another engine's: expire it here, or let ingest commit first`;
  throw fail("usage", sentence, { table: table.name });
}

/** Files that are sorted stay so, as far as the engine sorts. */
function sortOf({ metadata }: LoadedTable, parsed: ParsedArguments): EnginePlan["sort"] {
  const columns = zOrderOf(parsed);
  if (columns !== null) return { kind: "z-order", columns };
  const order = metadata.sortOrders.find(({ orderId }) => orderId === metadata.defaultSortOrderId);
  return (order?.fields.length ?? 0) === 0 ? null : { kind: "table" };
}

/** Columns of `--z-order a,b`; null: it is not asked for. */
function zOrderOf(parsed: ParsedArguments): readonly string[] | null {
  const columns = parsed
    .value("z-order")
    ?.split(",")
    .map((column) => column.trim());
  if (columns?.includes("") === true) throw fail("usage", "--z-order has a column without a name");
  return columns ?? null;
}

function catalogOf(parsed: ParsedArguments): string {
  const name = parsed.value("engine-catalog");
  if (name !== undefined) return name;
  throw fail("usage", "Say by --engine-catalog what the engine calls the catalog of the table");
}

async function ask(
  engine: Elsewhere["engine"],
  statements: readonly string[],
  parsed: ParsedArguments,
  stop: AbortSignal,
): Promise<readonly (readonly EngineRow[])[]> {
  if (statements.length === 0) return [];
  if (engine === "spark") {
    const command = (parsed.value("engine-command") ?? "spark-submit").split(/\s+/);
    return runInSpark(
      command.filter((word) => word !== ""),
      statements,
      stop,
    );
  }
  const url = parsed.value("engine-url");
  if (url === undefined || !URL.canParse(url)) {
    throw fail("usage", "Say by --engine-url where Trino is, e.g. http://trino:8080");
  }
  const { clock } = systemParts;
  const http = createHttp({ clock, timeoutMs: TRINO_TIMEOUT_MS, connectionsMax: 1 });
  try {
    for (const statement of statements) {
      await runInTrino({ http, clock }, { url, user: "kafka-iceberg" }, statement, stop);
    }
    return [];
  } finally {
    http.close();
  }
}

/** Of one answer: Trino answers within seconds, also while a statement runs for hours. */
const TRINO_TIMEOUT_MS = 60_000;

function sentenceOf(row: EngineRow): string {
  const values = Object.entries(row).map(([name, value]) => `${name} = ${String(value)}`);
  return `  ${values.join(", ")}`;
}
