/**
 * Proof of foreign writers on a catalog's server: PyIceberg appends, deletes, rolls back and evolves the
 * schema and the partition spec of the table that we fill, until so many commits of both sides were
 * refused. Nothing is lost on either side: the law in every snapshot of ours, the head's
 * rows value by value, and every row of PyIceberg's that it did not take away itself.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { produceEvents } from "../events/events.ts";
import { judgeTable, readTopic, type TableSource, type Verdict } from "../judge/judge.ts";
import { readersPython } from "../services/cache.ts";
import type { CatalogServer } from "../services/catalogServers.ts";
import { run, until } from "../services/process.ts";
import { commitOutcomes } from "./catalogKills.ts";
import { newCourse, runToEnd, start } from "./course.ts";
import { NEIGHBOUR } from "./neighbours.ts";

/** Size and place of the proof. */
export interface ConflictsProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly server: CatalogServer;
  /** It goes on until so many commits were refused: the server counts, else PyIceberg counts its own. */
  readonly conflicts: number;
  readonly seed: number;
}

/** What PyIceberg did, and how often. */
interface Tally {
  readonly appends: number;
  readonly rollbacks: number;
  readonly deletes: number;
  readonly schemas: number;
  readonly specs: number;
  /** Commits that lost against one of ours. */
  readonly lost: number;
  /** Commits whose answer it did not get. */
  readonly unanswered: number;
  /** Rows of its own that must be there, and those that are; whether they are the same. */
  readonly own: number;
  readonly found: number;
  readonly same: boolean;
}

/** What was found. */
export interface ConflictsReport {
  readonly ok: boolean;
  readonly neighbour: Tally;
  /** Outcomes of our commits. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Requests that the server has answered, by method and status: 409 is a conflict of either. */
  readonly requests?: Readonly<Record<string, number>>;
  readonly verdict: Verdict;
}

const RATE = 100;
const CHUNK = 10 * RATE;
/** Acts until the conflicts have come, at most so many for each, and within so many seconds. */
const ACTS_EACH = 10;
const SECONDS_EACH = 3;
const SECONDS_MIN = 120;
const SECONDS_MAX = 600;
const LOOK_MS = 500;
/** Longer than an act of PyIceberg takes. */
const KEEP_ALL_SECONDS = 60;

/** Runs the proof. */
export async function proveConflicts(proof: ConflictsProof): Promise<ConflictsReport> {
  const { bootstrap, topic, server, conflicts, seed } = proof;
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: 2,
    env: server.env,
    config: {
      ...server.config,
      "iceberg.commit": { interval_ms: 200 },
      // Each commit of either side reads and writes the metadata of all snapshots.
      maintenance: { snapshot_keep_all_seconds: KEEP_ALL_SECONDS },
      partitioning: { partition_strategy: "none" },
    },
  });
  await produceEvents({ bootstrap, topic, count: CHUNK });
  const product = await start(course);
  await product.ready();
  await until("a first commit", () => product.log().includes("Flush committed"), 60_000);
  const end = join(course.folder, "end");
  const job = {
    catalog: propertiesOf(await server.table(topic)),
    table: `default.${topic}`,
    actions: conflicts * ACTS_EACH,
    until: conflicts,
    end,
    seconds: Math.min(SECONDS_MIN + conflicts * SECONDS_EACH, SECONDS_MAX),
    pause: 0.1,
    seed,
    acts: ["appends", "appends", "appends", "deletes", "rollbacks", "schemas", "specs"],
  };
  const busy = new AbortController();
  const neighbour = run([await readersPython(), NEIGHBOUR], { stdin: JSON.stringify(job) }).finally(
    () => busy.abort(),
  );
  let events = CHUNK;
  const flow = (async () => {
    for (; !busy.signal.aborted; events += CHUNK) {
      await produceEvents({ bootstrap, topic, count: CHUNK, rate: RATE, first: events });
    }
  })();
  const refused = async (): Promise<number> => (await server.counts?.())?.["POST 409"] ?? 0;
  while (!busy.signal.aborted) {
    if ((await refused()) >= conflicts) writeFileSync(end, "");
    await Bun.sleep(LOOK_MS);
  }
  const tally = JSON.parse(await neighbour) as Tally;
  await flow;
  const requests = await server.counts?.();
  const outcomes = Object.fromEntries(await commitOutcomes(product));
  await product.terminate();
  await runToEnd(course);
  const verdict = await judgeTable({
    table: await server.table(topic),
    topics: [await readTopic(bootstrap, topic)],
    readers: ["duckdb", "pyiceberg"],
    foreignWriters: true,
    snapshots: conflicts > CONFLICTS_JUDGED_MAX ? "head" : "all",
    ...(server.s3 && { s3: server.s3 }),
  });
  const rows = Object.values(verdict.readers).map((reader) => reader.rows);
  const isEnough = Math.max(tally.lost, requests?.["POST 409"] ?? 0) >= conflicts;
  const ok = verdict.ok && tally.same && isEnough && rows.every((count) => count === events);
  return { ok, neighbour: tally, outcomes, ...(requests && { requests }), verdict };
}

/** Of more conflicts the head alone is judged: there are thousands of snapshots then. */
const CONFLICTS_JUDGED_MAX = 20;

/** Properties of PyIceberg's `load_catalog`. */
function propertiesOf(table: TableSource): Readonly<Record<string, string>> {
  if ("rest" in table) return { type: "rest", ...table.rest.properties };
  if ("sql" in table) return { type: "sql", uri: table.sql.uri, init_catalog_tables: "false" };
  throw new Error("PyIceberg has no such catalog");
}
