/**
 * `GET /lookup/TABLE/KEY`: the latest row of a key among the rows in memory (SPEC section 7), in constant
 * time. The first look-up of a table makes its index; who asks no more for a while lets it go.
 */
import type { Clock } from "#base/clock.ts";
import { describe, fail, kindOf } from "#base/errors.ts";
import { type FoundRow, KeyLookup } from "#buffer/keyLookup.ts";
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

/** The indexes of a table for a key's columns. */
interface Known {
  readonly lookup: KeyLookup;
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
  /** By the table's name and the key's columns. */
  readonly #lookups = new Map<string, Known>();
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
      const names = url.searchParams.get("by")?.split(",") ?? keyOf(table);
      if (names.length !== key.length) {
        const columns = names.join(", ");
        throw fail(
          "query",
          `The key of ${name} is ${columns}: ${PATH}${name}/${names.map(() => "VALUE").join("/")}`,
        );
      }
      const known = this.#knownOf(table.sink, names);
      const answer = known.tail.then(() => this.#find(table, known.lookup, key));
      known.tail = answer.catch(() => undefined);
      return await answer;
    } catch (error) {
      return jsonAnswer(kindOf(error) === "query" ? 400 : 503, { error: describe(error) });
    }
  }

  async #find(
    { sink, prefix }: LookedInto,
    lookup: KeyLookup,
    key: readonly string[],
  ): Promise<Response> {
    const read = readMemory(sink);
    if (read === null) return jsonAnswer(503, { error: `${sink.name} is not open yet` });
    try {
      const found = await lookup.find(read.segments, key, () => this.#parts.clock.turn());
      lookup.forget(read.segments);
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

  #knownOf(sink: Sink, names: readonly string[]): Known {
    const id = JSON.stringify([sink.name, names]);
    const usedMs = this.#parts.clock.monotonicMs();
    const tail = Promise.resolve();
    const known = this.#lookups.get(id) ?? { lookup: new KeyLookup(names), usedMs, tail };
    known.usedMs = usedMs;
    this.#lookups.set(id, known);
    if (!this.#isResting) void this.#rest();
    return known;
  }

  async #rest(): Promise<void> {
    this.#isResting = true;
    while (this.#lookups.size > 0) {
      await this.#parts.clock.sleep(REST_MS);
      const beforeMs = this.#parts.clock.monotonicMs() - REST_MS;
      for (const [id, { usedMs }] of this.#lookups) {
        if (usedMs <= beforeMs) this.#lookups.delete(id);
      }
    }
    this.#isResting = false;
  }
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
