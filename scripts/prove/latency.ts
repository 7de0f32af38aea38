/**
 * Proof: at a steady rate every record is in the hot buffer within milliseconds of being produced.
 *
 * A producer of its own process (librdkafka) stamps each record when it is handed to it; the product
 * runs with a probe (`latencyProbe.ts`) that looks at the same machine's clock when the record's batch
 * is in the hot buffer. Between the two lie the producer's linger, the broker, and all of ours.
 */
import { join } from "node:path";
import { produceEvents } from "../events/events.ts";
import { startProduct } from "../services/product.ts";
import { newCourse } from "./course.ts";

/** Size of the proof. */
export interface LatencyProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly partitions: number;
  /** Records a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly lingerMs: number;
}

/** What was found; from the record's timestamp to the hot buffer, in milliseconds. */
export interface LatencyReport {
  readonly records: number;
  readonly rate: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

const WARM_UP_MS = 5000;

/** Runs the proof. */
export async function proveLatency(proof: LatencyProof): Promise<LatencyReport> {
  const { bootstrap, topic, partitions, rate, seconds, lingerMs } = proof;
  const config = { "iceberg.commit": { interval_ms: 1000 } };
  const course = await newCourse({ bootstrap, topic, partitions, config });
  const file = join(course.folder, "latency.json");
  const main = join(import.meta.dir, "..", "..", "src", "main.ts");
  const product = await startProduct({
    config: course.config,
    folder: course.folder,
    executable: process.execPath,
    command: ["--preload", join(import.meta.dir, "latencyProbe.ts"), main, "run"],
    env: { LATENCY_FILE: file, LATENCY_WARM_UP_MS: String(WARM_UP_MS) },
  });
  try {
    await product.ready();
    const count = rate * (seconds + WARM_UP_MS / 1000);
    await produceEvents({ bootstrap, topic, count, rate, lingerMs, codec: "lz4" });
    await product.terminate();
    return report((await Bun.file(file).json()) as number[], rate);
  } finally {
    await product.kill();
  }
}

function report(tenths: readonly number[], rate: number): LatencyReport {
  const records = tenths.reduce((sum, count) => sum + count, 0);
  const at = (share: number): number => {
    let left = share * records;
    const bucket = tenths.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return (bucket + 1) / 10;
  };
  const p = { p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), p999Ms: at(0.999) };
  return { records, rate, ...p, maxMs: at(1) };
}
