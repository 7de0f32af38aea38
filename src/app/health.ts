/**
 * `/health`: each check blames the dependency that an error is about, whoever met it (SPEC section 7).
 *
 * An error's kind says which one that is; of an error with causes the innermost decides, since the
 * outer ones say only what could not be done because of it. 503 is for a process that keeps no table
 * any more; a dependency that is away is `degraded`.
 */
import { AppError, describe, type ErrorKind } from "#base/errors.ts";
import type { Sink } from "#pipeline/sink.ts";
import type { HealthCheck, HealthCheckName, HealthReport } from "#server/status.ts";
import type { PipelineRun } from "./pipelineRun.ts";

/** What of a pipeline health depends on. */
export type WatchedPipeline = Pick<
  PipelineRun,
  "state" | "pipeline" | "kafkaTrouble" | "storageTrouble" | "registryTrouble" | "lastError"
>;

/** The check that an error of each kind belongs to. */
const CHECK_OF: Readonly<Record<ErrorKind, HealthCheckName>> = {
  kafka_unreachable: "kafka",
  kafka_refused: "kafka",
  topic_unreadable: "kafka",
  batch_corrupt: "kafka",
  catalog_unreachable: "catalog",
  catalog_refused: "catalog",
  table_gone: "catalog",
  table_missing: "catalog",
  table_unsupported: "catalog",
  storage_unreachable: "storage",
  storage_refused: "storage",
  storage_missing: "storage",
  storage_full: "storage",
  storage_corrupt: "storage",
  registry_unreachable: "schema_registry",
  registry_refused: "schema_registry",
  state: "transaction_log",
  usage: "tables",
  data: "tables",
  table_schema: "tables",
  progress: "tables",
  fenced: "tables",
  paused: "tables",
  stopped: "tables",
  encoder: "tables",
  key_index: "tables",
  rewrite_process: "tables",
  query: "tables",
  query_engine: "tables",
  process_unreachable: "tables",
  internal: "tables",
};

/**
 * The report.
 * @param stateTrouble why the state directory or the log in it cannot be used; null while they can
 * @param lag why the pipelines are too far behind; null while they are not
 * @param stateFolders the folders of the state directory and the log: a full disk there is the log's trouble,
 *   not the store's
 */
export function healthOf(
  pipelines: readonly WatchedPipeline[],
  stateTrouble: unknown,
  lag: string | null,
  stateFolders: readonly string[] = [],
): HealthReport {
  const found = new Map<HealthCheckName, string>();
  const blame = (error: unknown, check = checkOf(error, stateFolders)): void => {
    if (!found.has(check)) found.set(check, describe(error));
  };
  for (const run of pipelines) for (const error of errorsOf(run)) blame(error);
  if (stateTrouble !== null) blame(stateTrouble, "transaction_log");
  if (lag !== null) found.set("lag", lag);
  const check = (name: HealthCheckName): HealthCheck => {
    const detail = found.get(name);
    return detail === undefined ? { status: "ok", detail: "" } : { status: "degraded", detail };
  };
  const isOver = pipelines.length > 0 && pipelines.every(({ state }) => state === "stopped");
  return {
    status: isOver ? "failed" : found.size > 0 ? "degraded" : "ok",
    checks: {
      kafka: check("kafka"),
      catalog: check("catalog"),
      storage: check("storage"),
      schema_registry: check("schema_registry"),
      transaction_log: check("transaction_log"),
      tables: check("tables"),
      lag: check("lag"),
    },
  };
}

function errorsOf(run: WatchedPipeline): unknown[] {
  const tables = [...(run.pipeline?.tables ?? [])].flatMap(tableErrors);
  const refused = run.pipeline?.tables.refused.values() ?? [];
  const services = [run.kafkaTrouble, run.storageTrouble, run.registryTrouble];
  return [run.lastError, ...services, ...tables, ...refused].filter((error) => error !== null);
}

/** What a table stopped for, waits for, or no longer reads. */
export function tableErrors({
  state,
  failedTopics,
}: Pick<Sink, "state" | "failedTopics">): unknown[] {
  if (state.kind === "stopped" || state.kind === "draining") return [state.error];
  const errors = [...failedTopics.values()];
  return state.kind === "retrying" ? [...errors, state.cause] : errors;
}

/** Of the innermost error that we made: it is the one that says what is wrong. */
function checkOf(error: unknown, stateFolders: readonly string[]): HealthCheckName {
  let check: HealthCheckName = "tables";
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (!(each instanceof AppError)) continue;
    const path = String(each.context["path"] ?? "");
    const isOwn = stateFolders.some((folder) => path === folder || path.startsWith(`${folder}/`));
    check = isOwn ? "transaction_log" : CHECK_OF[each.kind];
  }
  return check;
}
