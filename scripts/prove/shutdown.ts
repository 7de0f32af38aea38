/**
 * Proof: SIGTERM under full load ends the process with 0 in time. With a healthy catalog everything
 * that was buffered at the signal is committed; with a hanging one nothing is doubled afterwards.
 */
import { produceEvents } from "../events/events.ts";
import type { Verdict } from "../judge/judge.ts";
import { startFaultProxy } from "../services/faultProxy.ts";
import { until } from "../services/process.ts";
import type { Product } from "../services/product.ts";
import type { S3Service } from "../services/versitygw.ts";
import { type Course, judge, newCourse, newS3Course, readHead, runToEnd, start } from "./course.ts";

/** Size of the proof. */
export interface ShutdownProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly events: number;
}

/** What was found. */
export interface ShutdownReport {
  readonly exitCode: number;
  /** From the signal to the end of the process. */
  readonly exitMs: number;
  /** Next offset to be buffered just before the signal, by partition. */
  readonly positionsBefore: Readonly<Record<string, number>>;
  /** The table's offsets just before the signal, and after the end. */
  readonly committedBefore: Readonly<Record<string, number>>;
  readonly committedAfter: Readonly<Record<string, number>>;
  /** After what the store had held back was let through to it, before the restart. */
  readonly committedLate: Readonly<Record<string, number>>;
  /** After a restart to the end. */
  readonly verdict: Verdict;
}

const PARTITIONS = 4;
/** The default: a shutdown finds up to 5 s of events to commit. */
const DEFAULT_COMMITS = { "iceberg.commit": { interval_ms: 5000 } };

/** SIGTERM while events are read at full speed. */
export async function proveShutdown(proof: ShutdownProof): Promise<ShutdownReport> {
  const course = await newCourse({ ...proof, partitions: PARTITIONS, config: DEFAULT_COMMITS });
  const { bootstrap, topic } = proof;
  await produceEvents({ bootstrap, topic, count: proof.events, codec: "lz4" });
  const product = await start(course);
  await until("reading", async () => sum(await positions(product)) > proof.events / 10, 30_000, 5);
  return finish(course, await terminate(course, product));
}

/** What hangs: only the commit's request, or every request. */
export interface HangingProof extends ShutdownProof {
  readonly stalled: "commit" | "everything";
}

/** SIGTERM while the store, and with it the file catalog, does not answer. */
export async function proveHangingShutdown(
  proof: HangingProof,
  s3: S3Service,
  objects: string,
): Promise<ShutdownReport> {
  const proxy = startFaultProxy(`127.0.0.1:${s3.port}`);
  const course = await newS3Course({ ...proof, partitions: PARTITIONS }, s3, objects, proxy.port);
  const { bootstrap, topic } = proof;
  await produceEvents({ bootstrap, topic, count: proof.events, codec: "lz4" });
  const product = await start(course);
  try {
    // Before the first rows the table gets its columns, in a commit of its own.
    await until("a first commit", () => product.log().includes("Flush committed"), 30_000);
    const commit = { match: /^PUT [^ ]*\.metadata\.json/ };
    proxy.set({ kind: "stall", ...(proof.stalled === "commit" ? commit : {}) });
    const flow = produceEvents({ bootstrap, topic, count: 10_000, rate: 10_000, seed: 2 });
    await until("a held request", () => proxy.counters.stalled > 0, 30_000);
    const ended = await terminate(course, product);
    await flow;
    // What was held back arrives when its sender is long gone.
    proxy.set({ kind: "pass" });
    await Bun.sleep(500);
    return await finish(course, ended);
  } finally {
    proxy.stop();
  }
}

type Ended = Omit<ShutdownReport, "verdict" | "committedLate">;

async function terminate(course: Course, product: Product): Promise<Ended> {
  const committedBefore = (await readHead(course)).offsets;
  const positionsBefore = await positions(product);
  const began = performance.now();
  const exitCode = await product.terminate();
  const exitMs = Math.round(performance.now() - began);
  const committedAfter = (await readHead(course)).offsets;
  return { exitCode, exitMs, positionsBefore, committedBefore, committedAfter };
}

async function finish(course: Course, ended: Ended): Promise<ShutdownReport> {
  const committedLate = (await readHead(course)).offsets;
  await runToEnd({ ...course, config: { ...course.config, "iceberg.commit": {} } });
  return { ...ended, committedLate, verdict: await judge(course) };
}

/** Positions of a pipeline by `/status`; empty before it answers. */
export async function positions(product: Product): Promise<Record<string, number>> {
  const status = (await product.status().catch(() => ({ pipelines: [] }))) as {
    readonly pipelines: readonly {
      readonly partitions: readonly { readonly partition: number; readonly position: number }[];
    }[];
  };
  const all = status.pipelines.flatMap((each) => each.partitions);
  return Object.fromEntries(all.map((each) => [each.partition, Number(each.position)]));
}

function sum(offsets: Readonly<Record<string, number>>): number {
  return Object.values(offsets).reduce((total, offset) => total + offset, 0);
}
