/**
 * Proof: with a store that hangs and a buffer that is full, partitions pause; when the store is back
 * they go on. Nothing is lost, memory stays bounded, and the lag gauge says what the broker says.
 */
import { countRecords, produceEvents } from "../events/events.ts";
import type { Verdict } from "../judge/judge.ts";
import { startFaultProxy } from "../services/faultProxy.ts";
import { until } from "../services/process.ts";
import type { Product } from "../services/product.ts";
import type { S3Service } from "../services/versitygw.ts";
import { judge, newS3Course, runToEnd, start } from "./course.ts";
import { positions } from "./shutdown.ts";

/** Size of the proof. */
export interface BackpressureProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly events: number;
  /** `hot_buffer.max_size_mb`. */
  readonly bufferMb: number;
  /** How long the store hangs after the first pause. */
  readonly hangMs: number;
}

/** What was found. */
export interface BackpressureReport {
  /** Partitions held back while the store hung; how often that was seen to end. */
  readonly pausedPartitions: number;
  readonly pausedPartitionsAfter: number;
  /** While paused: end of the log by the broker, next offset to read, and the gauge. */
  readonly lags: readonly LagSample[];
  readonly bufferBytes: number;
  readonly backpressureSeconds: number;
  /** VmHWM over the whole life. */
  readonly peakBytes: number;
  readonly eventBytes: number;
  readonly verdict: Verdict;
}

/** One partition's lag by two witnesses. */
export interface LagSample {
  readonly partition: string;
  readonly logEnd: number;
  readonly position: number;
  readonly gauge: number;
}

const PARTITIONS = 4;

/** Runs the proof. */
export async function proveBackpressure(
  proof: BackpressureProof,
  s3: S3Service,
  objects: string,
): Promise<BackpressureReport> {
  const { bootstrap, topic } = proof;
  const proxy = startFaultProxy(`127.0.0.1:${s3.port}`);
  const config = { hot_buffer: { max_size_mb: proof.bufferMb } };
  const options = { bootstrap, topic, partitions: PARTITIONS, config };
  const course = await newS3Course(options, s3, objects, proxy.port);
  const product = await start(course);
  try {
    await product.ready();
    proxy.set({ kind: "stall" });
    const produced = await produceEvents({ bootstrap, topic, count: proof.events, codec: "lz4" });
    await until("pause", async () => (await gauge(product, "partitions_paused")) > 0, 60_000);
    await Bun.sleep(proof.hangMs);
    const held = {
      pausedPartitions: await gauge(product, "partitions_paused"),
      bufferBytes: await gauge(product, "hot_buffer_size_bytes"),
      lags: await lags(product, bootstrap, topic),
    };
    proxy.set({ kind: "pass" });
    const all = async (): Promise<boolean> => (await gauge(product, "commit_lag_records")) === 0;
    await until("everything committed", all, 120_000);
    // The buffer is looked at again after the commit, at the next turn of the loop.
    const goesOn = async (): Promise<boolean> => (await gauge(product, "partitions_paused")) === 0;
    await until("partitions to go on", goesOn, 10_000);
    const after = {
      pausedPartitionsAfter: await gauge(product, "partitions_paused"),
      backpressureSeconds: await gauge(product, "backpressure_seconds_total"),
      peakBytes: product.usage().peakBytes,
      eventBytes: produced.bytes,
    };
    await product.terminate();
    await runToEnd(course);
    return { ...held, ...after, verdict: await judge(course) };
  } finally {
    proxy.stop();
    await product.kill();
  }
}

async function lags(product: Product, bootstrap: string, topic: string): Promise<LagSample[]> {
  const [counts, at, text] = await Promise.all([
    countRecords(bootstrap, topic),
    positions(product),
    product.metrics(),
  ]);
  return Object.entries(counts).map(([partition, { end }]) => ({
    partition,
    logEnd: end,
    position: at[partition] ?? Number.NaN,
    gauge: sample(text, `kafka_offset_lag_gauge{[^}]*partition="${partition}"[^}]*}`),
  }));
}

async function gauge(product: Product, name: string): Promise<number> {
  return sample(await product.metrics().catch(() => ""), `\\w*${name}{[^}]*}`);
}

/** The first sample whose name and labels match. */
function sample(text: string, pattern: string): number {
  const found = new RegExp(`^${pattern} (\\S+)$`, "m").exec(text);
  return Number(found?.[1] ?? Number.NaN);
}
