/**
 * Proof: one topic fills several tables, each with dead letters beside it, in two processes that judge
 * records differently, and both are killed again and again. Afterwards every record is in exactly one of all tables,
 * in the one that it names, as PyIceberg and DuckDB read them.
 */
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { seededRandom } from "#base/random.ts";
import { readColumns } from "../../test/support/tableReaders.ts";
import { judgeUnion } from "../judge/everySnapshot.ts";
import { type Course, newCourse, runToEnd, type Say } from "./course.ts";
import { type KillReport, killRepeatedly } from "./killRun.ts";

/** Size of the proof. */
export interface OutletsProof {
  readonly bootstrap: string;
  readonly topic: string;
  /** Kills of both processes together, at least. */
  readonly kills: number;
  /** Records in all. */
  readonly records: number;
  /** Records a second, so that they flow during all kills. */
  readonly rate: number;
  readonly seed: number;
  readonly say: Say;
}

/** What was found. */
export interface OutletsReport {
  readonly records: number;
  /** Kills by failpoint, or by the last step that the transaction log knows. */
  readonly phases: Readonly<Record<string, number>>;
  /** Rows, or letters, by table. */
  readonly tables: Readonly<Record<string, number>>;
  /** Records in no table, in more than one, and in another one than theirs: to be 0. */
  readonly missing: number;
  readonly doubled: number;
  readonly misplaced: number;
  /** Snapshots of the tables in which the same was judged, and what was wrong there: to be none. */
  readonly snapshots: number;
  readonly problems: readonly string[];
}

const PARTITIONS = 3;
const KINDS = ["click", "view", "none"] as const;
const STEP_MS = 100;

/** Runs the proof. */
export async function proveOutlets(proof: OutletsProof): Promise<OutletsReport> {
  const { say } = proof;
  const strict = await courseOf(proof, "strict", "dead_letter", null);
  const lax = await courseOf(proof, "lax", "ignore", strict);
  let isFlowing = true;
  const flowing = flow(proof).finally(() => {
    isFlowing = false;
  });
  const reports = await Promise.all(
    [strict, lax].map((course, index) => {
      const random = seededRandom(proof.seed + index);
      return killRepeatedly({
        course,
        kills: Math.ceil(proof.kills / 2),
        flowing: () => isFlowing,
        random: () => random.unit(),
        say: (line) => say(`process ${index + 1}: ${line}`),
      });
    }),
  );
  const produced = await flowing;
  say(`${produced.length} records; to the end`);
  await runToEnd(strict);
  return {
    records: produced.length,
    phases: phasesOf(reports),
    ...(await judge(strict, produced)),
    ...(await judgeSnapshots(strict, produced)),
  };
}

/** @param first whose warehouse it shares; null: it has its own */
async function courseOf(
  { bootstrap, topic }: OutletsProof,
  name: string,
  unknown: "dead_letter" | "ignore",
  first: Course | null,
): Promise<Course> {
  const partitions = first === null ? PARTITIONS : 0;
  const config = {
    schema: {
      fields: [
        { name: "n", type: "long" },
        { name: "kind", type: "string" },
      ],
      on_unknown_field: unknown,
    },
    iceberg: { route_field: "kind", routes: { click: "clicks", view: "views" } },
    kafka: { session_timeout_ms: 6000, group_instance_id: name },
  };
  const course = await newCourse({ bootstrap, topic, partitions, config });
  if (first === null) return course;
  const iceberg = { ...course.config["iceberg"], ...warehouseOf(first) };
  const { tableFolder, metadataRoot } = first;
  return { ...course, config: { ...course.config, iceberg }, tableFolder, metadataRoot };
}

function warehouseOf({ config }: Course): { readonly warehouse_path: string } {
  return { warehouse_path: String(config["iceberg"]?.["warehouse_path"]) };
}

/** Where a record was written, and the table that it names. */
interface Produced {
  readonly place: string;
  readonly table: string;
}

/** Writes the records. */
async function flow({ bootstrap, topic, records, rate }: OutletsProof): Promise<Produced[]> {
  // A request that is sent again for want of an answer would be in the topic twice.
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR });
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  const produced: Produced[] = [];
  const next = Array.from({ length: PARTITIONS }, () => 0);
  while (produced.length < records) {
    const some = Array.from({ length: Math.ceil((rate * STEP_MS) / 1000) }, (_, index) => {
      const n = produced.length + index;
      return { n, partition: n % PARTITIONS, kind: KINDS[Math.floor(n / 7) % KINDS.length] };
    });
    const messages = some.map(({ n, partition, kind }) => ({
      partition,
      value: recordOf(n, kind ?? ""),
    }));
    await producer.send({ topic, messages });
    for (const { n, partition, kind } of some) {
      const offset = next[partition] ?? 0;
      next[partition] = offset + 1;
      // What names no table is of the topic's own.
      const table = isBroken(n) || kind === "none" ? topic : `${kind}s`;
      produced.push({ place: `${partition}/${offset}`, table });
    }
    await Bun.sleep(STEP_MS);
  }
  await producer.disconnect();
  return produced;
}

/** One record in ten has a field that one process refuses and the other leaves out; one in twenty is no JSON. */
function recordOf(n: number, kind: string): string {
  if (isBroken(n)) return `{"n":${n}`;
  return JSON.stringify({ n, kind, ...(n % 10 === 3 ? { more: 1 } : {}) });
}

function isBroken(n: number): boolean {
  return n % 20 === 7;
}

function phasesOf(reports: readonly KillReport[]): Record<string, number> {
  const phases: Record<string, number> = {};
  for (const report of reports) {
    for (const [name, count] of Object.entries(report.phases)) {
      phases[name] = (phases[name] ?? 0) + count;
    }
  }
  return phases;
}

async function judge(
  course: Course,
  produced: readonly Produced[],
): Promise<Pick<OutletsReport, "tables" | "missing" | "doubled" | "misplaced">> {
  const tables: Record<string, number> = {};
  const found = new Map<string, string[]>();
  for (const table of [course.topic, "clicks", "views"]) {
    for (const place of await placesIn(course, table, ["_kafka_partition", "_kafka_offset"])) {
      found.set(place, [...(found.get(place) ?? []), table]);
      tables[table] = (tables[table] ?? 0) + 1;
    }
    const letters = `${table}__dead_letter`;
    for (const place of await placesIn(course, letters, ["partition", "offset"])) {
      found.set(place, [...(found.get(place) ?? []), table]);
      tables[letters] = (tables[letters] ?? 0) + 1;
    }
  }
  const times = produced.map(({ place }) => found.get(place)?.length ?? 0);
  return {
    tables,
    missing: times.filter((count) => count === 0).length,
    doubled: times.filter((count) => count > 1).length,
    misplaced: produced.filter(
      ({ place, table }) => found.get(place)?.some((each) => each !== table) === true,
    ).length,
  };
}

/** Every snapshot of each table, with the dead letters of its time. */
async function judgeSnapshots(
  { topic, tableFolder }: Course,
  produced: readonly Produced[],
): Promise<Pick<OutletsReport, "snapshots" | "problems">> {
  const tableOf = new Map(produced.map(({ place, table }) => [place, table]));
  let snapshots = 0;
  const problems: string[] = [];
  for (const table of [topic, "clicks", "views"]) {
    const folder = join(tableFolder, "..", table);
    const rows = { folder, partition: "_kafka_partition", offset: "_kafka_offset" };
    const letters = { folder: `${folder}__dead_letter`, partition: "partition", offset: "offset" };
    const found = await judgeUnion(rows, [letters], (place) => tableOf.get(place) === table);
    snapshots += found.snapshots;
    problems.push(...found.problems.map((problem) => `${table}: ${problem}`));
  }
  return { snapshots, problems };
}

/** Partition and offset of each row, which both readers read alike. */
async function placesIn(
  { tableFolder }: Course,
  table: string,
  columns: readonly [string, string],
): Promise<string[]> {
  const source = { folder: join(tableFolder, "..", table) };
  const { readers } = await readColumns({ table: source, columns, order: columns[1] });
  const places = ["duckdb", "pyiceberg"].map((reader) => {
    const [partitions, offsets] = columns.map((name) => readers[reader]?.[name]);
    if (!Array.isArray(partitions) || !Array.isArray(offsets)) {
      throw new Error(`${reader} cannot read ${table}: ${JSON.stringify(partitions)}`);
    }
    return offsets.map((offset, row) => `${partitions[row]}/${offset}`).sort();
  });
  const [first = [], second = []] = places;
  if (first.join() !== second.join()) throw new Error(`the readers differ about ${table}`);
  return first;
}
