/**
 * Proof: every failpoint is hit, with a crash and with an error, on one course with events flowing.
 *
 * After a crash the next incarnation takes over; after an error the same process goes on and commits.
 * Foreign readers judge all retained snapshots at the end.
 */
import { FAILPOINTS, type FailpointName } from "#base/failpoint.ts";
import { produceEvents } from "../events/events.ts";
import type { Verdict } from "../judge/judge.ts";
import { until } from "../services/process.ts";
import {
  type Course,
  judge,
  newCourse,
  progressPast,
  readHead,
  runToEnd,
  type Say,
  start,
} from "./course.ts";
import { type FileReport, reportFiles } from "./files.ts";

/** What happens at a failpoint. */
export type FailpointAction = "crash" | "error";

/** One failpoint, hit. */
export interface FailpointHit {
  readonly name: FailpointName;
  readonly action: FailpointAction;
  /** Exit code after a crash (137: SIGKILL); after an error that of the SIGTERM that followed. */
  readonly exitCode: number;
  /** After an error: commits of the same process after it. */
  readonly wentOn: boolean;
}

/** What was found. */
export interface FailpointsReport {
  readonly hits: readonly FailpointHit[];
  readonly verdict: Verdict;
  readonly files: FileReport;
}

const HIT_MS_MAX = 30_000;

/** Hits every failpoint in both ways; 24 incarnations of the product. */
export async function proveFailpoints(
  bootstrap: string,
  topic: string,
  say: Say,
): Promise<FailpointsReport> {
  const course = await newCourse({ bootstrap, topic, partitions: 2 });
  const hits: FailpointHit[] = [];
  for (const name of FAILPOINTS) {
    for (const action of ["crash", "error"] as const) {
      await produceEvents({ bootstrap, topic, count: 400, seed: hits.length });
      const hit = await hitFailpoint(course, name, action, hits.length + 100);
      say(`${name} ${action}: ${JSON.stringify(hit)}`);
      hits.push(hit);
    }
  }
  await runToEnd(course);
  const verdict = await judge(course);
  return { hits, verdict, files: await reportFiles(course.tableFolder) };
}

async function hitFailpoint(
  course: Course,
  name: FailpointName,
  action: FailpointAction,
  seed: number,
): Promise<FailpointHit> {
  const product = await start(course, { KAFKA_ICEBERG_FAILPOINT: `${name}=${action}` });
  if (action === "crash") {
    const exitCode = await Promise.race([product.exited, Bun.sleep(HIT_MS_MAX).then(() => -1)]);
    await product.kill();
    return { name, action, exitCode, wentOn: false };
  }
  await until(
    `failpoint ${name} with an error`,
    () => product.ended() || product.log().includes(`Failpoint ${name} was armed`),
    HIT_MS_MAX,
  );
  const wentOn = !product.ended() && (await goesOn(course, seed));
  const exitCode = await product.terminate();
  return { name, action, exitCode, wentOn };
}

/** Whether the process still commits what comes. */
async function goesOn(course: Course, seed: number): Promise<boolean> {
  const { bootstrap, topic } = course;
  await produceEvents({ bootstrap, topic, count: 200, seed });
  const head = await readHead(course);
  try {
    await progressPast(course, head, 10_000);
    return true;
  } catch {
    return false;
  }
}
