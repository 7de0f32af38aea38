/**
 * The door to the SDK's client for Glue: each call is sent once, with a time limit, and ends in one of
 * three ways. The SDK's own retries are off, since a call that was sent twice has no known outcome; its
 * handler for Bun is `node:http`, which sends a request once (decision 0061).
 *
 * A refusal is definite only if Glue itself says so, in its own words: an answer of the 4xx kind that names
 * an exception which comes before anything is done. Everything else after the connection stood, 5xx and an
 * answer that is not to be read included, is lost.
 */
import {
  CreateDatabaseCommand,
  CreateTableCommand,
  GetDatabaseCommand,
  GetTableCommand,
  GetTablesCommand,
  GlueClient,
  type GlueClientConfig,
  GlueServiceException,
  type Table,
  type TableInput,
  UpdateTableCommand,
} from "@aws-sdk/client-glue";
import { type AwsCredentials, awsCredentials } from "#aws/credentials.ts";
import type { Clock } from "#base/clock.ts";
import { AppError, describe, fail } from "#base/errors.ts";
import { maybeSent } from "#base/http.ts";
import type { Answer } from "#catalog/answer.ts";

export type { Table as GlueTable, TableInput as GlueTableInput };

/** Where and as whom Glue is called. */
export interface GlueClientOptions {
  /** Null: as the environment and profile say. */
  readonly region: string | null;
  /** Another address than AWS's. */
  readonly endpoint: string | null;
  /** The account whose catalog it is; null: the identity's own. */
  readonly catalogId: string | null;
  /** A role to assume; null: the chain's identity. */
  readonly roleArn: string | null;
  /** Of one call, its answer included. */
  readonly requestTimeoutMs: number;
  /** Open connections at once, at most. */
  readonly connectionsMax: number;
}

/** What a client is built from. */
export interface GlueClientParts {
  readonly clock: Clock;
  /** Sends requests in place of the network; tests only. */
  readonly requestHandler?: NonNullable<GlueClientConfig["requestHandler"]>;
  /** Default: the provider chain's, or the role's. */
  readonly credentials?: AwsCredentials;
}

/** Tables of a database, and the token of the page behind; null: it was the last one. */
export interface GluePage {
  readonly tables: readonly Table[];
  readonly next: string | null;
}

/** The calls that the catalog makes; none is repeated, except once after keys that had ended. */
export interface GlueCalls {
  getDatabase(database: string): Promise<Answer<{ readonly location: string | null }>>;
  createDatabase(database: string): Promise<Answer<unknown>>;
  getTable(database: string, table: string): Promise<Answer<Table>>;
  /** @param token of the page before */
  getTables(database: string, token: string | null): Promise<Answer<GluePage>>;
  createTable(database: string, table: TableInput): Promise<Answer<unknown>>;
  updateTable(
    database: string,
    table: TableInput,
    versionId: string,
    skipArchive: boolean,
  ): Promise<Answer<unknown>>;
  close(): void;
}

/** Keys that have ended, or a clock that the SDK now knows: once more with fresh ones. */
const STALE_KEYS = new Set([
  "ExpiredTokenException",
  "ExpiredToken",
  "InvalidSignatureException",
  "RequestExpired",
  "UnrecognizedClientException",
]);
/** Refused before anything was done, but not for ever. */
const PASSING = new Set([
  "ThrottlingException",
  "Throttling",
  "TooManyRequestsException",
  "RequestLimitExceeded",
  "ResourceNotReadyException",
  "ConcurrentModificationException",
]);
/** Answered with 4xx although the work may be under way. */
const UNCLEAR = new Set([
  "OperationTimeoutException",
  "InternalServiceException",
  "FederationSourceRetryableException",
  "RequestTimeout",
  "RequestTimeoutException",
]);

/** Opens a client; nothing is sent yet. */
export function createGlueCalls(options: GlueClientOptions, parts: GlueClientParts): GlueCalls {
  const { region, endpoint, catalogId, connectionsMax } = options;
  const kinds = { refused: "catalog_refused", unreachable: "catalog_unreachable" } as const;
  const credentials = parts.credentials ?? awsCredentials(options, kinds, parts);
  const agent = { maxSockets: connectionsMax, keepAlive: true };
  const client = new GlueClient({
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
    // Asked for before each call, so that the SDK keeps nothing.
    credentials: async () => ({ ...(await credentials()), expiration: new Date(0) }),
    requestHandler: parts.requestHandler ?? { httpAgent: agent, httpsAgent: agent },
    maxAttempts: 1,
  });
  const once = async <T>(
    operation: string,
    send: (signal: AbortSignal) => Promise<T>,
  ): Promise<Answer<T>> => {
    try {
      await credentials();
      await client.config.region();
    } catch (error) {
      return { kind: "refused", code: "", error: notSent(error) };
    }
    try {
      return { kind: "done", value: await withTimeout(parts.clock, options, operation, send) };
    } catch (error) {
      return failedCall(operation, error);
    }
  };
  const call = async <T>(
    operation: string,
    send: (signal: AbortSignal) => Promise<T>,
  ): Promise<Answer<T>> => {
    const answer = await once(operation, send);
    if (answer.kind !== "refused" || !STALE_KEYS.has(answer.code)) return answer;
    await credentials(true).catch(() => undefined);
    return once(operation, send);
  };
  const where = catalogId === null ? {} : { CatalogId: catalogId };
  return {
    getDatabase: (Name) =>
      call("GetDatabase", async (abortSignal) => {
        const command = new GetDatabaseCommand({ ...where, Name });
        const { Database } = await client.send(command, { abortSignal });
        return { location: Database?.LocationUri || null };
      }),
    createDatabase: (Name) =>
      call("CreateDatabase", (abortSignal) =>
        client.send(new CreateDatabaseCommand({ ...where, DatabaseInput: { Name } }), {
          abortSignal,
        }),
      ),
    getTable: (DatabaseName, Name) =>
      call("GetTable", async (abortSignal) => {
        const command = new GetTableCommand({ ...where, DatabaseName, Name });
        const { Table: table } = await client.send(command, { abortSignal });
        if (table === undefined)
          throw fail("catalog_unreachable", "Glue answered GetTable without a table");
        return table;
      }),
    getTables: (DatabaseName, token) =>
      call("GetTables", async (abortSignal) => {
        const page = token === null ? {} : { NextToken: token };
        const command = new GetTablesCommand({ ...where, DatabaseName, ...page });
        const { TableList, NextToken } = await client.send(command, { abortSignal });
        return { tables: TableList ?? [], next: NextToken || null };
      }),
    createTable: (DatabaseName, table) =>
      call("CreateTable", (abortSignal) =>
        client.send(new CreateTableCommand({ ...where, DatabaseName, TableInput: table }), {
          abortSignal,
        }),
      ),
    updateTable: (DatabaseName, table, VersionId, SkipArchive) =>
      call("UpdateTable", (abortSignal) => {
        const request = { ...where, DatabaseName, TableInput: table, VersionId, SkipArchive };
        return client.send(new UpdateTableCommand(request), { abortSignal });
      }),
    close: () => client.destroy(),
  };
}

/** What an exception of a call means. */
function failedCall<T>(operation: string, error: unknown): Answer<T> {
  const { status, code } = answerOf(error);
  const context = { operation, status, code };
  if (error instanceof AppError) return { kind: "lost", error };
  const said = describe(error);
  if (status === 0) {
    const sentence = `Glue cannot be reached (${operation}): ${said}`;
    const failure = fail("catalog_unreachable", sentence, context, error);
    return maybeSent(error)
      ? { kind: "lost", error: failure }
      : { kind: "refused", code: "", error: failure };
  }
  const isNamed = error instanceof GlueServiceException && code !== "Unknown";
  const isRefusal = isNamed && status >= 400 && status < 500 && !UNCLEAR.has(code);
  if (!isRefusal || status === 408) {
    const sentence = `Glue answered ${operation} with ${status} ${code}: ${said}`;
    return { kind: "lost", error: fail("catalog_unreachable", sentence, context, error) };
  }
  const kind = PASSING.has(code) || status === 429 ? "catalog_unreachable" : "catalog_refused";
  const sentence = `Glue refused ${operation} (${code}): ${said}`;
  return { kind: "refused", code, error: fail(kind, sentence, context, error) };
}

/** Status 0: there was no answer. */
function answerOf(error: unknown): { readonly status: number; readonly code: string } {
  if (!(error instanceof Error)) return { status: 0, code: "" };
  const { $metadata, $response } = error as {
    $metadata?: { readonly httpStatusCode?: number };
    $response?: { readonly statusCode?: number };
  };
  return { status: $metadata?.httpStatusCode ?? $response?.statusCode ?? 0, code: error.name };
}

function notSent(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const sentence = `Glue's region is not known: set iceberg.glue.region (${describe(error)})`;
  return fail("catalog_refused", sentence, {}, error);
}

async function withTimeout<T>(
  clock: Clock,
  { requestTimeoutMs }: GlueClientOptions,
  operation: string,
  send: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  const expired = clock.sleep(requestTimeoutMs, done.signal).then((): never => {
    late.abort();
    const sentence = `Glue did not answer ${operation} within ${requestTimeoutMs} ms`;
    throw fail("catalog_unreachable", sentence, { operation });
  });
  try {
    return await Promise.race([send(late.signal), expired]);
  } finally {
    expired.catch(() => undefined);
    done.abort();
  }
}
