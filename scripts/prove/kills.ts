/**
 * Proof: interleaved transactions flow into a topic, the process is killed with SIGKILL in every phase
 * and started again at once; `--until-end` ends; foreign readers judge every retained snapshot.
 */
import { join } from "node:path";
import { seededRandom } from "#base/random.ts";
import {
  abortOpenTransactions,
  type Codec,
  createCompactedTopic,
  freezeWithHoles,
  produceEvents,
  produceTransactions,
} from "../events/events.ts";
import type { JudgeJob, Verdict } from "../judge/judge.ts";
import { judge, newCourse, runToEnd, type Say } from "./course.ts";
import { type FileReport, reportFiles } from "./files.ts";
import { type KillReport, killRepeatedly, killWhile } from "./killRun.ts";

/** Size of the proof. */
export interface KillsProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly partitions: number;
  readonly events: number;
  /** Events a second, so that they flow during all kills. */
  readonly rate: number;
  readonly kills: number;
  readonly seed: number;
  readonly readers?: NonNullable<JudgeJob["readers"]>;
  readonly say: Say;
}

/** What was found. */
export interface KillsReport extends KillReport {
  readonly verdict: Verdict;
  readonly files: FileReport;
}

const SMALL_BYTES = 4096;
const CODECS: readonly Codec[] = ["none", "gzip", "snappy", "lz4", "zstd"];

/** Runs the proof; the topic ends with control records, and with an open transaction. */
export async function proveKills(proof: KillsProof): Promise<KillsReport> {
  const { bootstrap, topic, partitions, say } = proof;
  const course = await newCourse({ bootstrap, topic, partitions });
  const { report, produced: openIds } = await killWhile({ ...proof, course }, () => produce(proof));
  say("to the end");
  await runToEnd(course);
  const verdict = await judge(
    course,
    proof.readers === undefined ? {} : { readers: proof.readers },
  );
  const files = await reportFiles(course.tableFolder);
  await abortOpenTransactions(bootstrap, openIds);
  return { ...report, verdict, files };
}

/** The same on a topic with compaction holes in every partition, which is there before the start. */
export async function proveCompactedKills(proof: Omit<KillsProof, "rate">): Promise<KillsReport> {
  const { bootstrap, topic, partitions, say } = proof;
  await createCompactedTopic(bootstrap, topic, partitions);
  await produceEvents({ bootstrap, topic, count: proof.events, batchBytes: SMALL_BYTES });
  await freezeWithHoles(bootstrap, topic);
  // Read in small steps, so that there is something left to read after each kill.
  const config = {
    kafka: { fetch_max_bytes: SMALL_BYTES },
    "iceberg.commit": { interval_ms: 100, max_rows: 500 },
  };
  const course = await newCourse({ bootstrap, topic, partitions: 0, config });
  const random = seededRandom(proof.seed);
  const report = await killRepeatedly({
    course,
    kills: proof.kills,
    flowing: () => false,
    random: () => random.unit(),
    say,
  });
  await runToEnd(course);
  const verdict = await judge(
    course,
    proof.readers === undefined ? {} : { readers: proof.readers },
  );
  return { ...report, verdict, files: await reportFiles(course.tableFolder) };
}

/** Two tables, fed by one topic in one process: kills fall between their commits. */
export async function proveTwoTables(
  proof: KillsProof,
): Promise<KillReport & { readonly verdicts: readonly Verdict[] }> {
  const { bootstrap, topic, partitions } = proof;
  const course = { ...(await newCourse({ bootstrap, topic, partitions })), pipelines: TWO_TABLES };
  const tables = ["one", "two"].map((name) => join(course.tableFolder, "..", name));
  const killed = { ...course, tableFolder: tables[0] ?? "" };
  const { report, produced: openIds } = await killWhile({ ...proof, course: killed }, () =>
    produce(proof),
  );
  await runToEnd(course);
  const verdicts: Verdict[] = [];
  for (const folder of tables) verdicts.push(await judge(course, { table: { folder } }));
  await abortOpenTransactions(bootstrap, openIds);
  return { ...report, verdicts };
}

const TWO_TABLES = ["one", "two"].map((name) => ({
  name,
  kafka: { consumer_group: `kills-${name}` },
  iceberg: { table_name: name },
}));

/** A fifth of the events with each codec, one after the other. */
async function produce(proof: KillsProof): Promise<readonly string[]> {
  const { bootstrap, topic, partitions, rate } = proof;
  let openIds: readonly string[] = [];
  for (const [index, codec] of CODECS.entries()) {
    const made = await produceTransactions({
      bootstrap,
      topic,
      partitions,
      count: Math.ceil(proof.events / CODECS.length),
      recordsMax: 400,
      seed: proof.seed + index,
      open: index === CODECS.length - 1 ? 1 : 0,
      codec,
      rate,
    });
    openIds = made.openIds;
  }
  return openIds;
}
