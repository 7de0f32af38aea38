/**
 * Proof: random changes of keys flow into a topic while the process is killed with SIGKILL in every phase
 * and started again at once. Foreign readers then find in every retained snapshot the rows that a fold
 * of the topic has below the snapshot's offsets: of each key the last.
 */
import { join } from "node:path";
import { seededRandom } from "#base/random.ts";
import { type ExactRecord, produceValues } from "../events/events.ts";
import { type Reader, readTopic, type SparkValues, sparkValues } from "../judge/judge.ts";
import { readersPython } from "../services/cache.ts";
import { run } from "../services/process.ts";
import { type Course, newCourse, runToEnd, type Say } from "./course.ts";
import { type KillReport, killWhile } from "./killRun.ts";

/** `iceberg.write.delete_mode`. */
export type DeleteMode = keyof typeof READERS;

/** Who judges rows that are deleted so: PyIceberg reads no deletes by equality. */
const READERS = {
  auto: ["pyiceberg", "duckdb"],
  equality: ["duckdb", "spark"],
  "copy-on-write": ["pyiceberg", "duckdb", "spark"],
} as const;

/** True for one that can be proven. */
export function isDeleteMode(word: string | undefined): word is DeleteMode {
  return word !== undefined && word in READERS;
}

/** Size of the proof. */
export interface ChangesProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly partitions: number;
  readonly formatVersion: 2 | 3;
  readonly deleteMode: DeleteMode;
  readonly changes: number;
  /** Different keys. */
  readonly keys: number;
  /** Changes a second, so that they flow during all kills. */
  readonly rate: number;
  readonly kills: number;
  readonly seed: number;
  readonly say: Say;
}

/** What foreign readers found. */
export interface ChangesVerdict {
  /** Snapshots that were read, of so many. */
  readonly judged: number;
  readonly snapshots: number;
  /** Of the head. */
  readonly rows: number;
  readonly violations: readonly string[];
  readonly equalityDeletes: number;
  readonly positionDeletes: number;
  readonly deleteFiles: number;
}

/** What was found. */
export interface ChangesReport extends KillReport {
  readonly verdict: ChangesVerdict;
}

/** Snapshots that each reader reads, about. */
const JUDGED = 120;

/** Runs the proof. */
export async function proveChanges(proof: ChangesProof): Promise<ChangesReport> {
  const { bootstrap, topic, partitions, say } = proof;
  const course = await newCourse({
    bootstrap,
    topic,
    partitions,
    config: {
      source: { mode: "ktable" },
      "iceberg.write": { format_version: proof.formatVersion, delete_mode: proof.deleteMode },
    },
  });
  const { report } = await killWhile({ ...proof, course }, () => produceChanges(proof));
  say("to the end");
  await runToEnd(course);
  const verdict = await judgeChanges(course, READERS[proof.deleteMode], JUDGED);
  return { ...report, verdict };
}

/** Judges a course's table in about so many of its snapshots, and in the head. */
export async function judgeChanges(
  course: Course,
  readers: readonly Reader[],
  judged: number,
): Promise<ChangesVerdict> {
  const { file } = await readTopic(course.bootstrap, course.topic);
  const job = {
    table: { folder: course.tableFolder },
    file,
    topic: course.topic,
    column: "n",
    judged,
    readers,
  };
  const read = readers.includes("spark")
    ? await sparkValues({
        ...((await ask({ ...job, list: true })) as SparkValues),
        column: job.column,
      })
    : null;
  return (await ask({ ...job, sparkValues: read })) as ChangesVerdict;
}

async function ask(job: object): Promise<unknown> {
  const script = join(import.meta.dir, "..", "judge", "changes.py");
  return JSON.parse(await run([await readersPython(), script], { stdin: JSON.stringify(job) }));
}

/** A fifth of the changes are deletes; every value has a number of its own. */
async function produceChanges(proof: ChangesProof): Promise<void> {
  const { bootstrap, topic, changes, keys, rate } = proof;
  const random = seededRandom(proof.seed + 1);
  const began = Date.now();
  for (let n = 0; n < changes; ) {
    const records: ExactRecord[] = [];
    for (const end = Math.min(changes, n + rate); n < end; n++) {
      const key = `key-${Math.floor(random.unit() * keys)}`;
      const value =
        random.unit() < 0.2 ? null : JSON.stringify({ n, text: `change ${n} of ${key}` });
      records.push({ key, value });
    }
    await produceValues({ bootstrap, topic }, records);
    await Bun.sleep(Math.max(0, began + (n / rate) * 1000 - Date.now()));
  }
}
