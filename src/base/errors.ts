/**
 * Errors as values with a kind: what happened, one sentence, context we own, and the cause.
 *
 * What is done about a kind stands in one table ({@link POLICY}); no other place decides about
 * retries or exit codes. Context never holds row values, tokens or URLs with credentials.
 */

/** Exit codes of SPEC section 3. */
export const EXIT: Readonly<{ ok: 0; failed: 1; usage: 2; unreachable: 3; question: 4 }> = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  question: 4,
};

/** A process exit code. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What to do about a kind of error. */
export interface ErrorPolicy {
  /**
   * `again`: retry with backoff; `stop`: the pipeline or table stops; `crash`: the process ends at once,
   * all pipelines with it, since what it has in memory can no longer be trusted.
   */
  readonly action: "again" | "stop" | "crash";
  readonly exitCode: ExitCode;
  /** Label `type` of the metric `errors_total`. */
  readonly metric: "kafka_consumer" | "iceberg_writer" | "network" | "data" | "storage" | "catalog";
}

/** The kinds of error. */
export type ErrorKind =
  | "usage"
  | "kafka_unreachable"
  | "catalog_unreachable"
  | "storage_unreachable"
  | "registry_unreachable"
  | "registry_refused"
  | "kafka_refused"
  | "catalog_refused"
  | "storage_refused"
  | "storage_missing"
  | "storage_full"
  | "storage_corrupt"
  | "topic_unreadable"
  | "batch_corrupt"
  | "data"
  | "table_gone"
  | "table_unsupported"
  | "table_schema"
  | "table_missing"
  | "progress"
  | "fenced"
  | "paused"
  | "stopped"
  | "state"
  | "encoder"
  | "key_index"
  | "rewrite_process"
  | "query"
  | "query_engine"
  | "process_unreachable"
  | "internal";

/** The one table of error kinds. */
export const POLICY: Readonly<Record<ErrorKind, ErrorPolicy>> = {
  /** Wrong command line or configuration. */
  usage: { action: "stop", exitCode: EXIT.usage, metric: "data" },
  /** A broker, catalog or store cannot be reached. */
  kafka_unreachable: { action: "again", exitCode: EXIT.unreachable, metric: "network" },
  catalog_unreachable: { action: "again", exitCode: EXIT.unreachable, metric: "catalog" },
  storage_unreachable: { action: "again", exitCode: EXIT.unreachable, metric: "storage" },
  /**
   * The schema registry is away, or does not let us read. Both are waited for: neither says anything
   * about a record, and rights are given there, not here.
   */
  registry_unreachable: { action: "again", exitCode: EXIT.unreachable, metric: "network" },
  registry_refused: { action: "again", exitCode: EXIT.failed, metric: "network" },
  /** Refused: wrong password, certificate, missing permission. */
  kafka_refused: { action: "stop", exitCode: EXIT.failed, metric: "kafka_consumer" },
  catalog_refused: { action: "stop", exitCode: EXIT.failed, metric: "catalog" },
  storage_refused: { action: "stop", exitCode: EXIT.failed, metric: "storage" },
  /** An object that must be there is not. */
  storage_missing: { action: "stop", exitCode: EXIT.failed, metric: "storage" },
  /** No room, or a read-only disk. */
  storage_full: { action: "again", exitCode: EXIT.failed, metric: "storage" },
  /** What was read back is not what was written. */
  storage_corrupt: { action: "again", exitCode: EXIT.failed, metric: "storage" },
  /** One topic is gone, unreadable or re-created. */
  topic_unreadable: { action: "stop", exitCode: EXIT.question, metric: "kafka_consumer" },
  /** A fetched record batch is not what the protocol allows (CRC, length, codec, bound). */
  batch_corrupt: { action: "again", exitCode: EXIT.question, metric: "kafka_consumer" },
  /** A record that cannot become a row, and the policy is `fail`. */
  data: { action: "stop", exitCode: EXIT.question, metric: "data" },
  /** The table is not what it was or cannot hold what the topic has. */
  table_gone: { action: "stop", exitCode: EXIT.question, metric: "catalog" },
  table_unsupported: { action: "stop", exitCode: EXIT.usage, metric: "catalog" },
  table_schema: { action: "stop", exitCode: EXIT.question, metric: "iceberg_writer" },
  table_missing: { action: "stop", exitCode: EXIT.usage, metric: "catalog" },
  /** The table's offsets cannot be read or cannot be reached in Kafka: only a person can answer. */
  progress: { action: "stop", exitCode: EXIT.question, metric: "iceberg_writer" },
  /** Another group keeps fencing us. */
  fenced: { action: "stop", exitCode: EXIT.question, metric: "iceberg_writer" },
  /** A person holds the table (`pause TABLE`) until `resume TABLE`. */
  paused: { action: "again", exitCode: EXIT.question, metric: "iceberg_writer" },
  /** A person ended what was under way (Ctrl-C). */
  stopped: { action: "stop", exitCode: EXIT.ok, metric: "iceberg_writer" },
  /** The transaction log or state directory cannot be used. */
  state: { action: "stop", exitCode: EXIT.failed, metric: "iceberg_writer" },
  /** The encoder's Worker ended; a new one takes the rows, which nobody has lost. */
  encoder: { action: "again", exitCode: EXIT.failed, metric: "iceberg_writer" },
  /** The Worker of the key indexes ended; a new one begins with what is on disk. */
  key_index: { action: "again", exitCode: EXIT.failed, metric: "iceberg_writer" },
  /** The process that reads data files to write them anew ended, or could not open its engine, most likely for want of memory or disk; the next one does it. */
  rewrite_process: { action: "again", exitCode: EXIT.failed, metric: "iceberg_writer" },
  /** A query that cannot be answered: what it says, asks for or may take is not allowed. */
  query: { action: "stop", exitCode: EXIT.usage, metric: "data" },
  /** The SQL engine cannot be had or has failed; ingest goes on without it. */
  query_engine: { action: "stop", exitCode: EXIT.failed, metric: "data" },
  /** Another program that a command asks, a running kafka-iceberg or Trino, does not answer. */
  process_unreachable: { action: "stop", exitCode: EXIT.unreachable, metric: "network" },
  /** Something that must not happen happened: the process stops rather than write a wrong row. */
  internal: { action: "crash", exitCode: EXIT.failed, metric: "iceberg_writer" },
};

/** Values that may stand in an error's context. */
export type ErrorContext = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/** Every error that this program throws on purpose. */
export class AppError extends Error {
  readonly kind: ErrorKind;
  readonly context: ErrorContext;

  constructor(kind: ErrorKind, sentence: string, context: ErrorContext, cause: unknown) {
    super(sentence, cause === undefined ? undefined : { cause });
    this.name = "AppError";
    this.kind = kind;
    this.context = context;
  }
}

/** Builds an error of `kind`; the caller throws it: `throw fail("data", "...", { topic })`. */
export function fail(
  kind: ErrorKind,
  sentence: string,
  context: ErrorContext = {},
  cause?: unknown,
): AppError {
  return new AppError(kind, sentence, context, cause);
}

/** The kind of any thrown value; foreign errors are `internal`. */
export function kindOf(error: unknown): ErrorKind {
  return error instanceof AppError ? error.kind : "internal";
}

/** The policy for any thrown value. */
export function policyOf(error: unknown): ErrorPolicy {
  return POLICY[kindOf(error)];
}

/** One line for a person: the sentence, then the message of each cause that adds something. */
export function describe(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error; e !== undefined && e !== null && parts.length < 4; ) {
    const message = e instanceof Error ? e.message : String(e);
    if (message !== "" && !parts.some((part) => part.includes(message))) parts.push(message);
    e = e instanceof Error ? e.cause : undefined;
  }
  return parts.join(": ");
}

/** Where a mistake of ours was made, as fields of a log line; nothing for errors of other kinds. */
export function traceOf(error: unknown): { readonly stack?: string } {
  if (policyOf(error).action !== "crash" || !(error instanceof Error)) return {};
  return { stack: error.stack ?? "" };
}
