/**
 * Proof of commits of several tables in one request: a topic's records go into eight tables by a field, and
 * request after request meets trouble on its way (`outcomes.ts` says which). Afterwards every record is in one of the
 * tables, in that which it names, as PyIceberg and DuckDB read them through the catalog.
 */
import { seededRandom } from "#base/random.ts";
import { readColumns } from "../../test/support/tableReaders.ts";
import { readTopic, type TopicCopy } from "../judge/judge.ts";
import type { CatalogServer } from "../services/catalogServers.ts";
import { commitOutcomes } from "./catalogKills.ts";
import { merge, newCourse, runToEnd, type Say, start } from "./course.ts";
import { flowing, meetTroubles } from "./outcomes.ts";

/** Size and place of the proof. */
export interface TogetherProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly server: CatalogServer;
  readonly cases: number;
  readonly seed: number;
  readonly say: Say;
}

/** What was found. */
export interface TogetherReport {
  readonly ok: boolean;
  readonly cases: Readonly<Record<string, number>>;
  /** Outcomes of the tables' commits, as the process counted them. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Requests that the server answered, by method and status: 204 is one for several tables. */
  readonly requests: Readonly<Record<string, number>>;
  readonly events: number;
  /** Rows by table. */
  readonly tables: Readonly<Record<string, number>>;
  /** Rows of another table than their own, rows that are there twice, and records that are in none. */
  readonly misplaced: number;
  readonly doubled: number;
  readonly missing: number;
}

/** As `events/generate.py` gives them to its events. */
const COUNTRIES = ["US", "DE", "FR", "JP", "BR", "IN", "CN", "GB"];

/** Runs the proof. */
export async function proveTogether(proof: TogetherProof): Promise<TogetherReport> {
  const { bootstrap, topic, server, say } = proof;
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: 3,
    env: server.env,
    config: merge(server.config, {
      iceberg: { route_field: "country" },
      "iceberg.commit": { interval_ms: 300, together: true },
      partitioning: { partition_strategy: "none" },
      "iceberg.catalog_manager": { reconnect_backoff_ms: [50], circuit_breaker_failures: 1000 },
    }),
  });
  const product = await start(course);
  const stop = new AbortController();
  const flow = flowing(bootstrap, topic, stop.signal);
  await product.ready();
  const cases = await meetTroubles(product, { ...proof, random: seededRandom(proof.seed) });
  await server.calm();
  const outcomes = Object.fromEntries(await commitOutcomes(product));
  const requests = (await server.counts?.()) ?? {};
  stop.abort();
  const events = await flow;
  await product.kill();
  await runToEnd(course);
  say(`${events} records; to the end`);
  const found = await placesOf(server, topic);
  const judged = judge(found, await readTopic(bootstrap, topic));
  const isFound = judged.misplaced + judged.doubled + judged.missing === 0;
  const ok = isFound && (requests["POST 204"] ?? 0) > 0;
  return { ok, cases, outcomes, requests, events, ...judged };
}

/** `partition/offset country` of each row of each table, which both readers read alike. */
async function placesOf(
  server: CatalogServer,
  topic: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  const columns = ["_kafka_partition", "_kafka_offset", "country"];
  for (const country of COUNTRIES) {
    const table = await server.table(`${topic}_${country}`);
    const { readers } = await readColumns({ table, columns, ...(server.s3 && { s3: server.s3 }) });
    const [first, second] = ["pyiceberg", "duckdb"].map((reader) => {
      const [partitions, offsets, countries] = columns.map((name) => readers[reader]?.[name]);
      if (!Array.isArray(partitions) || !Array.isArray(offsets) || !Array.isArray(countries)) {
        throw new Error(`${reader} cannot read ${country}: ${JSON.stringify(partitions)}`);
      }
      return offsets.map((offset, row) => `${partitions[row]}/${offset} ${countries[row]}`).sort();
    });
    if (first?.join() !== second?.join()) throw new Error(`the readers differ about ${country}`);
    found.set(country, first ?? []);
  }
  return found;
}

function judge(
  found: ReadonlyMap<string, readonly string[]>,
  { partitions }: TopicCopy,
): Pick<TogetherReport, "tables" | "misplaced" | "doubled" | "missing"> {
  const rows = [...found].flatMap(([country, places]) =>
    places.map((place) => ({ place: place.split(" ")[0] ?? "", own: place.endsWith(country) })),
  );
  const distinct = new Set(rows.map(({ place }) => place));
  const records = Object.values(partitions).reduce((sum, { count }) => sum + count, 0);
  return {
    tables: Object.fromEntries([...found].map(([country, { length }]) => [country, length])),
    misplaced: rows.filter(({ own }) => !own).length,
    doubled: rows.length - distinct.size,
    missing: records - distinct.size,
  };
}
