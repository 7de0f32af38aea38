/**
 * Proof of foreign writers on a catalog's server: PyIceberg, in one or more processes, appends, deletes, rolls
 * back and evolves the schema and the partition spec of the table that we fill, until so many commits of
 * both sides were refused. Nothing is lost on either side: the law in every
 * snapshot of ours, the head's rows value by value, and every row of PyIceberg's that it did not take away itself.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
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
  /** It goes on until so many commits were refused: the server counts, else both sides their own. */
  readonly conflicts: number;
  /** PyIceberg's processes, each with rows of its own; default 1. */
  readonly writers?: number;
  readonly seed: number;
}

/** What PyIceberg did, and how often. */
interface Tally {
  readonly appends: number;
  readonly rollbacks: number;
  readonly deletes: number;
  readonly schemas: number;
  readonly specs: number;
  /** Commits that were refused, for whatever reason. */
  readonly lost: number;
  /** Of them changes of rows whose base a commit of ours had left behind. */
  readonly lostToProduct: number;
  /** Commits whose answer it did not get. */
  readonly unanswered: number;
  /** Acts that took longer than snapshots are kept. */
  readonly late: number;
  /** Rows of its own that must be there, and those that are; whether they are the same. */
  readonly own: number;
  readonly found: number;
  readonly same: boolean;
}

/** What was found. */
export interface ConflictsReport {
  readonly ok: boolean;
  /** Each of PyIceberg's processes. */
  readonly neighbours: readonly Tally[];
  readonly conflicts: number;
  /** Outcomes of our commits. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Requests that the server has answered, by method and status: 409 is a conflict of either. */
  readonly requests?: Readonly<Record<string, number>>;
  readonly verdict: Verdict;
}

const RATE = 100;
const CHUNK = 10 * RATE;
/** Acts of a process at most, and seconds until the conflicts have come. */
const ACTS_EACH = 10;
const SECONDS_EACH = 3;
const SECONDS_MIN = 120;
const SECONDS_MAX = 1300;
const LOOK_MS = 500;
/** Longer than an act of PyIceberg takes. */
const KEEP_ALL_SECONDS = 180;

/** Runs the proof. */
export async function proveConflicts(proof: ConflictsProof): Promise<ConflictsReport> {
  const { bootstrap, topic, server, conflicts } = proof;
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: 2,
    env: server.env,
    config: {
      ...server.config,
      "iceberg.commit": { interval_ms: 400 },
      // Each commit of either side reads and writes the metadata of all snapshots.
      maintenance: { snapshot_keep_all_seconds: KEEP_ALL_SECONDS },
      partitioning: { partition_strategy: "none" },
    },
  });
  await produceEvents({ bootstrap, topic, count: CHUNK });
  const product = await start(course);
  await product.ready();
  await until("a first commit", () => product.log().includes("Flush committed"), 60_000);
  const neighbours = await startNeighbours(proof, course.folder);
  let events = CHUNK;
  const flow = (async () => {
    for (; !neighbours.ended(); events += CHUNK) {
      await produceEvents({ bootstrap, topic, count: CHUNK, rate: RATE, first: events });
    }
  })();
  let found = 0;
  while (!neighbours.ended()) {
    const ours = Object.fromEntries(await commitOutcomes(product))["conflict"] ?? 0;
    const refused = (await server.counts?.())?.["POST 409"];
    found = Math.max(found, refused ?? ours + neighbours.lost());
    if (found >= conflicts) neighbours.end();
    if (product.ended()) throw new Error(`kafka-iceberg has ended:\n${product.log().slice(-4000)}`);
    await Bun.sleep(LOOK_MS);
  }
  await flow;
  const requests = await server.counts?.();
  const outcomes = Object.fromEntries(await commitOutcomes(product));
  await product.terminate();
  await runToEnd(course);
  const tallies = await neighbours.found();
  const verdict = await judgeTable({
    table: await server.table(topic),
    topics: [await readTopic(bootstrap, topic)],
    readers: ["duckdb", "pyiceberg"],
    foreignWriters: true,
    snapshots: conflicts > CONFLICTS_JUDGED_MAX ? "head" : "all",
    ...(server.s3 && { s3: server.s3 }),
  });
  const rows = Object.values(verdict.readers).map((reader) => reader.rows);
  const isKept = tallies.every(({ same }) => same) && rows.every((count) => count === events);
  const ok = verdict.ok && isKept && found >= conflicts;
  const report = { ok, conflicts: found, neighbours: tallies, outcomes };
  return { ...report, ...(requests && { requests }), verdict };
}

/** PyIceberg's processes at work. */
interface Neighbours {
  /** Their commits that were refused so far. */
  lost(): number;
  /** They do no more. */
  end(): void;
  /** All have done their last act, or one has failed. */
  ended(): boolean;
  /** Lets them look for their rows in the table as it is now. Throws when one has failed. */
  found(): Promise<readonly Tally[]>;
}

async function startNeighbours(proof: ConflictsProof, folder: string): Promise<Neighbours> {
  const { topic, server, conflicts, writers = 1, seed } = proof;
  const [end, settled] = [join(folder, "end"), join(folder, "settled")];
  const files = Array.from({ length: writers }, (_, writer) => join(folder, `tally-${writer}`));
  const job = {
    catalog: propertiesOf(await server.table(topic)),
    table: `default.${topic}`,
    actions: conflicts * ACTS_EACH,
    pause: 0.1,
    acts: ["appends", "appends", "appends", "deletes", "rollbacks", "schemas", "specs"],
  };
  const seconds = Math.min(SECONDS_MIN + conflicts * SECONDS_EACH, SECONDS_MAX);
  const python = await readersPython();
  let hasFailed = false;
  const runs = Promise.all(
    files.map((tally, writer) => {
      const own = { writer, seconds, end, settled, tally };
      const stdin = JSON.stringify({ ...job, seed: seed + writer, conflicts: own });
      return run([python, NEIGHBOUR], { stdin });
    }),
  );
  runs.catch(() => {
    hasFailed = true;
  });
  const tallies = (): readonly (Partial<Tally> & { readonly ended?: boolean })[] =>
    files.map((file) => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {}));
  return {
    lost: () => tallies().reduce((sum, { lost = 0 }) => sum + lost, 0),
    end: () => writeFileSync(end, ""),
    ended: () => hasFailed || tallies().every(({ ended }) => ended === true),
    found: async () => {
      for (const file of [end, settled]) writeFileSync(file, "");
      return (await runs).map((answer) => JSON.parse(answer) as Tally);
    },
  };
}

/** Of more conflicts the head alone is judged: there are thousands of snapshots then. */
const CONFLICTS_JUDGED_MAX = 20;

/** Properties of PyIceberg's `load_catalog`. */
function propertiesOf(table: TableSource): Readonly<Record<string, string>> {
  if ("rest" in table) return { type: "rest", ...table.rest.properties };
  if ("sql" in table) return { type: "sql", uri: table.sql.uri, init_catalog_tables: "false" };
  throw new Error("PyIceberg has no such catalog");
}
