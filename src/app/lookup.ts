/**
 * `GET /lookup/TABLE/KEY`: the latest row of a key among the rows in memory (SPEC section 7), in constant
 * time. The first look-up of a table makes its index; who asks no more for a while lets it go.
 */
import type { Clock } from "#base/clock.ts";
import { describe, fail, kindOf } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { Recent } from "#base/recent.ts";
import { type FoundRow, KeyLookup } from "#buffer/keyLookup.ts";
import { type LentSegment, readRows } from "#buffer/lease.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import { isUnavailable } from "#columns/unavailable.ts";
import { rowJson, timestampAt } from "#columns/valueJson.ts";
import { readMemory } from "#pipeline/hotRead.ts";
import type { Sink } from "#pipeline/sink.ts";
import type { Route, RouteRequest } from "#server/route.ts";
import { jsonAnswer } from "#server/server.ts";

/** What look-ups need of the process. */
export interface LookupParts {
  readonly clock: Clock;
  /** A table by its name as people write it, once for each sink that fills it; none: there is no table. */
  find(name: string): readonly LookedInto[];
}

/** A sink of a table that is looked into. */
export interface LookedInto {
  readonly sink: Sink;
  /** `source.metadata_prefix`. */
  readonly prefix: string;
}

/** The key that is asked for. */
interface Asked {
  readonly names: readonly string[];
  /** A text for each column. */
  readonly key: readonly string[];
}

/** What one sink has of it: its row as JSON (null: it was deleted), and the row's Kafka timestamp where that is kept. */
type Found =
  | { readonly kind: "row"; readonly row: ReturnType<typeof rowJson> | null; readonly time: bigint }
  | { readonly kind: "no row" | "no column" | "not open" };

/** The indexes of a sink's rows in memory. */
interface Known {
  /** By the names of the columns that make the key. */
  readonly lookups: Recent<string, KeyLookup>;
  usedMs: number;
  /** Ends when those before have their answers: an index has no rows that a look-up was not lent. */
  tail: Promise<unknown>;
}

const PATH = "/lookup/";
/** Without a look-up for so long, a table's indexes go. */
const REST_MS = 60_000;

/** The route, and the indexes behind it. */
export class Lookups {
  readonly #parts: LookupParts;
  readonly #known = new Map<Sink, Known>();
  #isResting = false;

  constructor(parts: LookupParts) {
    this.#parts = parts;
  }

  get route(): Route {
    return {
      method: "GET",
      path: `${PATH}*`,
      listeners: ["health"],
      access: "token",
      limits: { bodyBytesMax: 0, timeMsMax: 10_000, atOnceMax: 32 },
      answer: (request) => this.#answer(request),
    };
  }

  async #answer({ url }: RouteRequest): Promise<Response> {
    try {
      const [name = "", ...key] = url.pathname.slice(PATH.length).split("/").map(decoded);
      const tables = this.#parts.find(name);
      const [table] = tables;
      if (table === undefined) return jsonAnswer(404, { error: `There is no table ${name} here` });
      const names = url.searchParams.get("by")?.split(",") ?? keyOf(table);
      if (names.length !== key.length) {
        const columns = names.join(", ");
        throw fail(
          "query",
          `The key of ${name} is ${columns}: ${PATH}${name}/${names.map(() => "VALUE").join("/")}`,
        );
      }
      const found = await Promise.all(tables.map((each) => this.#ask(each, { names, key })));
      return answerOf(table.sink, names, found);
    } catch (error) {
      return jsonAnswer(kindOf(error) === "query" ? 400 : 503, { error: describe(error) });
    }
  }

  #ask(table: LookedInto, asked: Asked): Promise<Found> {
    const known = this.#knownOf(table.sink);
    const found = known.tail.then(() => this.#find(table, known, asked));
    known.tail = found.catch(() => undefined);
    return found;
  }

  async #find({ sink, prefix }: LookedInto, known: Known, asked: Asked): Promise<Found> {
    if ((sink.writer?.order ?? null) !== null) throw ordered(sink.name);
    const read = readMemory([sink]);
    if (read === null) return { kind: "not open" };
    try {
      const { segments } = read;
      if (!hasColumns(sink, asked.names, segments)) return { kind: "no column" };
      const lookup = lookupOf(known, asked.names);
      const found = await lookup.find(segments, asked.key, () => this.#parts.clock.turn());
      for (const each of known.lookups.values()) each.forget(segments);
      return latestOf(found, `${prefix}timestamp`);
    } finally {
      read.release();
    }
  }

  #knownOf(sink: Sink): Known {
    const usedMs = this.#parts.clock.monotonicMs();
    const lookups = new Recent<string, KeyLookup>(LIMITS.keyIndexesMax);
    const known = this.#known.get(sink) ?? { lookups, usedMs, tail: Promise.resolve() };
    known.usedMs = usedMs;
    this.#known.set(sink, known);
    if (!this.#isResting) void this.#rest();
    return known;
  }

  async #rest(): Promise<void> {
    this.#isResting = true;
    while (this.#known.size > 0) {
      await this.#parts.clock.sleep(REST_MS);
      const beforeMs = this.#parts.clock.monotonicMs() - REST_MS;
      for (const [sink, { usedMs }] of this.#known) {
        if (usedMs <= beforeMs) this.#known.delete(sink);
      }
    }
    this.#isResting = false;
  }
}

function lookupOf({ lookups }: Known, names: readonly string[]): KeyLookup {
  const id = JSON.stringify(names);
  const lookup = lookups.get(id) ?? new KeyLookup(names);
  lookups.set(id, lookup);
  return lookup;
}

/** An index is made of columns only that the table has, or its rows in memory. */
function hasColumns(
  { writer }: Sink,
  names: readonly string[],
  segments: readonly LentSegment[],
): boolean {
  const columns = new Set(writer?.fields.map(({ name }) => name));
  for (const segment of segments) for (const { field } of segment.columns) columns.add(field.name);
  return names.every((each) => columns.has(each));
}

/** The latest of the rows that the sinks of a table have; otherwise why there is none. */
function answerOf({ name }: Sink, names: readonly string[], found: readonly Found[]): Response {
  const rows = found.flatMap((each) => (each.kind === "row" ? [each] : []));
  const [first] = rows;
  if (first !== undefined) {
    const { row } = rows.reduce((latest, each) => (each.time > latest.time ? each : latest), first);
    if (row !== null) return jsonAnswer(200, { table: name, row });
    return jsonAnswer(404, { error: `The row of ${name} with this key was deleted` });
  }
  if (found.some(({ kind }) => kind === "no row")) {
    return jsonAnswer(404, { error: `No row in memory of ${name} has this key` });
  }
  if (found.some(({ kind }) => kind === "no column")) {
    throw fail("query", `${name} has not all of these columns: ${names.join(", ")} (?by=)`);
  }
  return jsonAnswer(503, { error: `${name} is not open yet` });
}

/** The identifier fields of the table; else the Kafka key, where the table keeps it. */
function keyOf({ sink, prefix }: LookedInto): readonly string[] {
  const metadata = sink.writer?.lastSeen.metadata;
  const schema = metadata?.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  const fields = schema?.fields ?? [];
  const names = (schema?.identifierFieldIds ?? []).map(
    (id) => fields.find((field) => field.id === id)?.name ?? "",
  );
  if (names.length > 0) return names;
  const kafkaKey = `${prefix}key`;
  if (fields.some(({ name }) => name === kafkaKey)) return [kafkaKey];
  throw fail(
    "query",
    `${sink.name} has neither identifier fields nor ${kafkaKey} (source.metadata_columns): name the column, ?by=user_id`,
  );
}

/** What is in memory may be older than the table's row (`source.order_field`). */
function ordered(table: string): Error {
  const sentence = `${table} orders its changes by a column: its rows are told by POST /query`;
  return fail("query", sentence, { table });
}

/** A key that several feeds have: the row with the greatest Kafka timestamp, where that is kept. */
function latestOf(found: readonly FoundRow[], timestamp: string): Found {
  let latest: FoundRow | null = null;
  let time = -1n;
  for (const each of found) {
    const own = timestampAt(each.segment.columns, timestamp, each.row);
    if (latest !== null && own <= time) continue;
    latest = each;
    time = own;
  }
  if (latest === null) return { kind: "no row" };
  return { kind: "row", row: rowAt(latest), time };
}

/** Null: the change that was found deletes its row, or every row. What it leaves as it was is not in memory, and left out. */
function rowAt({ segment, row }: FoundRow): ReturnType<typeof rowJson> | null {
  const { [CHANGE_TYPE.name]: change, ...own } = rowJson(segment.columns, row);
  const kind = Number(change ?? CHANGE.put);
  if (kind === CHANGE.delete || kind === CHANGE.truncate) return null;
  if (kind !== CHANGE.partial) return own;
  const held = readRows(segment).columns.filter((column) => isUnavailable(column, row));
  const names = new Set(held.map(({ field }) => field.name));
  return Object.fromEntries(Object.entries(own).filter(([name]) => !names.has(name)));
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw fail("query", `${part} is no part of an address: write % as %25`, {}, error);
  }
}
