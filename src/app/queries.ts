/**
 * `POST /query`: SQL over the tables of this process, each with the rows that its newest snapshot does
 * not have yet (SPEC section 7).
 */
import type { Clock } from "#base/clock.ts";
import { describe, fail, kindOf } from "#base/errors.ts";
import { type Json, parseJson } from "#base/json.ts";
import { LIMITS } from "#base/limits.ts";
import { utf8Text } from "#base/text.ts";
import { type SyncPoint, syncPoints } from "#commit/syncPoints.ts";
import type { QueryOptions } from "#config/buildProcess.ts";
import { newestWriter, readHot, readMemory } from "#pipeline/hotRead.ts";
import type { Sink } from "#pipeline/sink.ts";
import type { Route, RouteRequest } from "#server/route.ts";
import { jsonAnswer } from "#server/server.ts";
import type { Answered, Question, Sources } from "#sql/answer.ts";
import type { Parameter } from "#sql/duckdb/statement.ts";
import type { Pieces } from "#sql/engineProcess.ts";
import { SqlService } from "#sql/service.ts";
import { type SnapshotChoice, timeOf } from "#sql/snapshotChoice.ts";
import { findTable, sinksByTable } from "./findTable.ts";

/** What queries need of the process. */
export interface QueryParts {
  readonly clock: Clock;
  readonly options: QueryOptions;
  /** The tables of all pipelines, as they are now. */
  tables(): Iterable<Sink>;
  /** Of the transaction log. */
  readonly logFolder: string;
}

const ARROW_TYPE = "application/vnd.apache.arrow.stream";
/** Each waits for those before it, within its own time. */
const AT_ONCE_MAX = 32;
/** The server's own limit stands behind the query's, which has the better sentence. */
const GRACE_MS = 6000;

/** The route, and the engine behind it, which the first question starts. */
export class Queries {
  readonly #parts: QueryParts;
  readonly #service: SqlService;
  readonly #sources: Sources;

  constructor(parts: QueryParts) {
    this.#parts = parts;
    const { clock, options } = parts;
    this.#sources = this.#sourcesOf();
    const engine = {
      cacheFolder: options.cacheFolder,
      memoryBytesMax: LIMITS.hotQueryBytesMax,
      processBytesMax: LIMITS.queryProcessBytesMax,
    };
    this.#service = new SqlService(clock, engine, options.copies);
  }

  get route(): Route {
    const { timeoutMs } = this.#parts.options;
    return {
      method: "POST",
      path: "/query",
      listeners: ["health"],
      access: "token",
      limits: {
        bodyBytesMax: LIMITS.questionBytesMax,
        timeMsMax: timeoutMs + GRACE_MS,
        atOnceMax: AT_ONCE_MAX,
      },
      answer: (request) => this.#answer(request),
    };
  }

  async close(): Promise<void> {
    await this.#service.close();
  }

  async #answer(request: RouteRequest): Promise<Response> {
    const { clock, options } = this.#parts;
    const beganMs = clock.monotonicMs();
    const late = new AbortController();
    const over = new AbortController();
    void clock.sleep(options.timeoutMs, over.signal).then(
      () => late.abort(),
      () => undefined,
    );
    try {
      const format = formatOf(request.headers.get("accept") ?? "");
      if (format === null)
        return refused(406, `Accept: application/json, text/csv or ${ARROW_TYPE}`);
      const question = questionOf(request, format, options.rowsMax);
      const signal = AbortSignal.any([request.signal, late.signal]);
      const answer = await this.#service.ask(question, this.#sources, signal);
      return written(answer, format, clock.monotonicMs() - beganMs);
    } catch (error) {
      if (late.signal.aborted) {
        return refused(
          504,
          `The query took longer than ${options.timeoutMs} ms (server.query_timeout_ms)`,
        );
      }
      if (request.signal.aborted) {
        return refused(503, "Nobody waits for the answer any more, or the process is being ended");
      }
      const isOurs = kindOf(error) === "query_engine" || kindOf(error) === "internal";
      return refused(isOurs ? 503 : 400, describe(error));
    } finally {
      over.abort();
    }
  }

  #sourcesOf(): Sources {
    return {
      useTable: async (name, part, use) => {
        const sinks = findTable(this.#parts.tables(), name);
        const read = part === "memory" ? readMemory(sinks) : await readHot(sinks);
        if (read === null) return use(null);
        const { table, ...hot } = read;
        return use({ table, hot });
      },
      tableNames: () => {
        const main = [...this.#parts.tables()].filter(({ rank }) => rank === "main");
        return [...new Set(main.map(({ name }) => name))];
      },
      syncPoints: async () =>
        (await Promise.all(sinksByTable(this.#parts.tables()).map(syncPointsOf))).flat(),
      logFolder: this.#parts.logFolder,
    };
  }
}

async function syncPointsOf(sinks: readonly Sink[]): Promise<SyncPoint[]> {
  const writer = newestWriter(sinks);
  if (writer === null) return [];
  const head = writer.lastSeen;
  return syncPoints(head, await writer.progressSeen(head));
}

type Format = "json" | "csv" | "arrow";

function formatOf(accept: string): Format | null {
  if (accept.includes(ARROW_TYPE)) return "arrow";
  if (accept === "" || /\*\/\*|application\/(json|\*)/.test(accept)) return "json";
  return /text\/(csv|\*)/.test(accept) ? "csv" : null;
}

function written(answered: Answered<Pieces>, format: Format, elapsedMs: number): Response {
  const headers = { "cache-control": "no-store" };
  if (format === "arrow") {
    const type = { ...headers, "content-type": ARROW_TYPE };
    return new Response(sent(answered.answer), { headers: type });
  }
  if (format === "csv") {
    const type = { ...headers, "content-type": "text/csv; charset=utf-8" };
    return new Response(sent(answered.answer), { headers: type });
  }
  const about = {
    elapsed_ms: Math.round(elapsedMs * 1000) / 1000,
    snapshot_id: answered.snapshotId === null ? null : String(answered.snapshotId),
    hot_partitions: answered.hotPartitions,
  };
  // The object goes on where the engine's ends.
  const last = answered.answer.at(-1)?.subarray(0, -1) ?? new Uint8Array(0);
  const rest = Buffer.from(`, ${JSON.stringify(about).slice(1)}\n`);
  const type = { ...headers, "content-type": "application/json" };
  return new Response(sent([...answered.answer.slice(0, -1), last, rest]), { headers: type });
}

/** A large answer is sent piece by piece: to put it together would hold the event loop up. */
function sent(pieces: Pieces): Blob | ReadableStream<Uint8Array> {
  if (pieces.length <= 2) return new Blob([...pieces]);
  const left = [...pieces];
  return new ReadableStream({
    pull: (controller) => {
      const piece = left.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
}

function refused(code: number, error: string): Response {
  return jsonAnswer(code, { error });
}

/** `{"sql": "...", "params": [...]}`, with `?snapshot=` or `?as_of=`. Throws `query`. */
function questionOf({ body, url }: RouteRequest, format: Format, rowsMax: number): Question {
  const asked = bodyOf(body);
  const { sql, params = [] } = asked;
  if (typeof sql !== "string" || !Array.isArray(params) || !params.every(isParameter)) {
    throw fail(
      "query",
      'Send {"sql": "SELECT ...", "params": [...]}; parameters are texts, numbers, true, false and null',
    );
  }
  const snapshot = snapshotOf(url.searchParams);
  const form = format === "csv" ? "text" : format;
  return {
    ...{ sql, parameters: params, form, rowsMax, snapshot },
    bytesMax: LIMITS.queryAnswerBytesMax,
  };
}

function bodyOf(body: Uint8Array): { [key: string]: Json } {
  try {
    const parsed = parseJson(utf8Text(body));
    if (parsed !== null && typeof parsed === "object" && !Array.isArray(parsed)) return parsed;
  } catch {
    // Said below.
  }
  throw fail("query", 'The body is no JSON object: send {"sql": "SELECT ..."}');
}

function isParameter(value: Json): value is Exclude<Parameter, undefined> {
  return value === null || typeof value !== "object";
}

function snapshotOf(parameters: URLSearchParams): SnapshotChoice {
  const id = parameters.get("snapshot");
  const time = parameters.get("as_of");
  if (id !== null && time !== null)
    throw fail("query", "?snapshot= and ?as_of= both name a time: send one");
  if (time !== null) return { kind: "time", timeMs: timeOf(time) };
  if (id === null) return { kind: "current" };
  if (/^\d+$/.test(id)) return { kind: "id", id: BigInt(id) };
  throw fail("query", `?snapshot=${id}: a snapshot id is a number`);
}
