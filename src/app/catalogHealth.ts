/**
 * Asks a pipeline's catalog from time to time whether it answers, also while nothing is committed
 * (SPEC sections 4, 8 and 10), and writes each answer into the transaction log.
 */
import type { Clock } from "#base/clock.ts";
import { describe, policyOf } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Catalog, TableName } from "#catalog/catalog.ts";
import type { LogEntry, TransactionLog } from "#txlog/log.ts";

/** Failed checks in a row that make an error line. */
const ALERT_AFTER = 3;

/** What the checks need. */
export interface HealthParts {
  readonly catalog: Catalog;
  readonly txlog: TransactionLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Checks every `intervalMs` until `signal`, by loading one table, which need not exist.
 * @param table a name that the pipeline writes, so that the check needs no other permission
 */
export async function checkCatalog(
  parts: HealthParts,
  table: TableName,
  intervalMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { catalog, clock, logger } = parts;
  const { type } = catalog.traits;
  for (let failures = 0; ; ) {
    await clock.sleep(intervalMs, signal);
    if (signal.aborted) return;
    const began = clock.monotonicMs();
    const error = await catalog.load(table).then(
      () => null,
      (cause: unknown) => (policyOf(cause).action === "again" ? cause : null),
    );
    failures = error === null ? 0 : failures + 1;
    await note(parts, {
      type: "CatalogHealthCheck",
      catalog_type: type,
      is_healthy: error === null,
      response_time_ms: Math.round(clock.monotonicMs() - began),
    });
    if (error === null) continue;
    const message = describe(error);
    await note(parts, {
      type: "CatalogError",
      catalog_type: type,
      error_message: message,
      retry_count: failures,
    });
    if (failures % ALERT_AFTER !== 0) continue;
    logger.log("error", "The catalog failed its health checks", {
      catalog_type: type,
      failures,
      error: message,
    });
  }
}

/** The log may be full or closed: a check is no reason to stop for that. */
async function note({ txlog, logger }: HealthParts, entry: LogEntry): Promise<void> {
  try {
    await txlog.append(entry);
  } catch (error) {
    logger.log("debug", "A health check was not logged", { error: describe(error) });
  }
}
