/**
 * `GET /lookup/TABLE/KEY`: the latest row of a key among the rows in memory (SPEC section 7), in constant
 * time. The first look-up of a table makes its index; who asks no more for a while lets it go.
 */
import type { Clock } from "#base/clock.ts";
import { describe, fail, kindOf } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { Recent } from "#base/recent.ts";
import { type FoundRow, KeyLookup } from "#buffer/keyLookup.ts";
import type { LentSegment } from "#buffer/lease.ts";
import { rowJson, timestampAt } from "#columns/valueJson.ts";
import { readMemory } from "#pipeline/hotRead.ts";
import type { Sink } from "#pipeline/sink.ts";
import type { Route, RouteRequest } from "#server/route.ts";
import { jsonAnswer } from "#server/server.ts";

/** What look-ups need of the process. */
export interface LookupParts {
  readonly clock: Clock;
  /** A table by its name as people write it; null: there is none. */
  find(name: string): LookedInto | null;
}

/** A table that is looked into. */
export interface LookedInto {
  readonly sink: Sink;
  /** `source.metadata_prefix`. */
  readonly prefix: string;
}

/** The indexes of a table's rows in memory. */
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
      const table = this.#parts.find(name);
      if (table === null) return jsonAnswer(404, { error: `There is no table ${name} here` });
      requireRows(table.sink);
      const names = url.searchParams.get("by")?.split(",") ?? keyOf(table);
      if (names.length !== key.length) {
        const columns = names.join(", ");
        throw fail(
          "query",
          `The key of ${name} is ${columns}: ${PATH}${name}/${names.map(() => "VALUE").join("/")}`,
        );
      }
      const known = this.#knownOf(table.sink);
      const answer = known.tail.then(() => this.#find(table, known, { names, key }));
      known.tail = answer.catch(() => undefined);
      return await answer;
    } catch (error) {
      return jsonAnswer(kindOf(error) === "query" ? 400 : 503, { error: describe(error) });
    }
  }

  async #find(
    { sink, prefix }: LookedInto,
    known: Known,
    { names, key }: { readonly names: readonly string[]; readonly key: readonly string[] },
  ): Promise<Response> {
    const read = readMemory(sink);
    if (read === null) return jsonAnswer(503, { error: `${sink.name} is not open yet` });
    try {
      requireColumns(sink, names, read.segments);
      const lookup = lookupOf(known, names);
      const found = await lookup.find(read.segments, key, () => this.#parts.clock.turn());
      for (const each of known.lookups.values()) each.forget(read.segments);
      const latest = latestOf(found, `${prefix}timestamp`);
      if (latest === null) {
        return jsonAnswer(404, { error: `No row in memory of ${sink.name} has this key` });
      }
      return jsonAnswer(200, {
        table: sink.name,
        row: rowJson(latest.segment.columns, latest.row),
      });
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

/** Of a table that records change no row in memory is shown (`pipeline/hotRead.ts`). */
function requireRows({ name, writer }: Sink): void {
  if (writer?.hasKey !== true) return;
  throw fail(
    "query",
    `${name} follows changes: rows in memory of such a table are not shown. Ask /query for the committed ones`,
  );
}

/** An index is made of columns only that the table has, or its rows in memory. */
function requireColumns(
  { name, writer }: Sink,
  names: readonly string[],
  segments: readonly LentSegment[],
): void {
  const columns = new Set(writer?.fields.map((field) => field.name));
  for (const segment of segments) for (const { field } of segment.columns) columns.add(field.name);
  const unknown = names.find((each) => !columns.has(each));
  if (unknown !== undefined) throw fail("query", `${name} has no column ${unknown} (?by=)`);
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

/** A key that several feeds have: the row with the greatest Kafka timestamp, where that is kept. */
function latestOf(found: readonly FoundRow[], timestamp: string): FoundRow | null {
  const [first] = found;
  if (first === undefined) return null;
  return found.reduce((latest, each) => (timeOf(each) > timeOf(latest) ? each : latest), first);

  function timeOf({ segment, row }: FoundRow): bigint {
    return timestampAt(segment.columns, timestamp, row);
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw fail("query", `${part} is no part of an address: write % as %25`, {}, error);
  }
}
