/**
 * Proofs about memory, by the built executable: one full topic through a small buffer, and many tables
 * of many partitions through one budget. Resident memory is what Linux says of the whole process.
 */
import { readFileSync } from "node:fs";
import { produceEvents } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { type Config, type Product, startProduct } from "../services/product.ts";

const MB = 2 ** 20;
const LOOK_MS = 50;
const IDLE_SECONDS = 10;
/** The process returns the memory of a burst within this time. */
const REST_MS = 20_000;

/** What {@link proveFlow} found; memory in MiB. */
export interface FlowReport {
  readonly events: number;
  readonly bufferMb: number;
  readonly rowsPerSecond: number;
  readonly peakMb: number;
  /** Highest and mean, by quarters of the rows. */
  readonly quarters: readonly { readonly peakMb: number; readonly meanMb: number }[];
  /** Before the first record, and after the last one. */
  readonly idleMb: number;
  readonly idleCpuPercent: number;
  readonly restMb: number;
}

/** A full topic of 6 partitions into one table, then nothing. */
export async function proveFlow(
  bootstrap: string,
  events: number,
  bufferMb: number,
): Promise<FlowReport> {
  const [topic, empty] = ["flow", "empty"];
  await createTopic(bootstrap, { topic: empty, partitions: 6 });
  await createTopic(bootstrap, { topic, partitions: 6 });
  await produceEvents({ bootstrap, topic, count: events, codec: "lz4" });
  const idle = await proveIdle(bootstrap, empty);
  const product = await start({ bootstrap, topic }, bufferMb);
  const looks: { mb: number; rows: number }[] = [];
  const began = performance.now();
  await watch(product, events, (mb, rows) => looks.push({ mb, rows }));
  const seconds = (performance.now() - began) / 1000;
  await Bun.sleep(REST_MS);
  const restMb = residentMb(product);
  await product.terminate();
  const quarters = [0, 1, 2, 3].map((quarter) => {
    const within = looks.filter(
      ({ rows }) => Math.min(3, Math.floor((4 * rows) / events)) === quarter,
    );
    const mean = within.reduce((sum, { mb }) => sum + mb, 0) / Math.max(1, within.length);
    return { peakMb: Math.max(...within.map(({ mb }) => mb)), meanMb: Math.round(mean) };
  });
  return {
    events,
    bufferMb,
    rowsPerSecond: Math.round(events / seconds),
    peakMb: Math.round(product.usage().peakBytes / MB),
    quarters,
    ...idle,
    restMb,
  };
}

async function proveIdle(
  bootstrap: string,
  topic: string,
): Promise<{ idleMb: number; idleCpuPercent: number }> {
  const product = await start({ bootstrap, topic }, 128);
  await product.ready();
  await Bun.sleep(3000);
  const before = product.usage().cpuSeconds;
  await Bun.sleep(IDLE_SECONDS * 1000);
  const used = product.usage().cpuSeconds - before;
  const idleMb = residentMb(product);
  await product.terminate();
  return { idleMb, idleCpuPercent: Math.round((1000 * used) / IDLE_SECONDS) / 10 };
}

/** What {@link proveTables} found; memory in MiB. */
export interface TablesReport {
  readonly tables: number;
  readonly partitions: number;
  readonly rows: number;
  readonly bufferMb: number;
  /** Memory of all rows at most, by the process's own gauge. */
  readonly heldMb: number;
  readonly peakMb: number;
  readonly seconds: number;
}

/** Many tables of one pipeline, each fed by a topic of many partitions, share one buffer. */
export async function proveTables(
  bootstrap: string,
  size: { tables: number; partitions: number; rows: number; bufferMb: number },
): Promise<TablesReport> {
  const { tables, partitions, rows, bufferMb } = size;
  for (let n = 0; n < tables; n++) {
    const topic = `many-${n}`;
    const count = Math.ceil(rows / tables);
    await createTopic(bootstrap, { topic, partitions });
    await produceEvents({ bootstrap, topic, count, codec: "lz4", seed: n + 1 });
  }
  const product = await start({ bootstrap, topic_pattern: "^many-\\d+$" }, bufferMb);
  const began = performance.now();
  let heldMb = 0;
  const look = async (): Promise<void> => {
    const text = await product.metrics().catch(() => "");
    const gauges = text.matchAll(/^\w*hot_buffer_size_bytes(?:\{.*\})? (\S+)$/gm);
    const bytes = [...gauges].reduce((sum, [, value]) => sum + Number(value), 0);
    heldMb = Math.max(heldMb, Math.round((10 * bytes) / MB) / 10);
  };
  // With a thousand partitions the text itself takes memory: not more often.
  const held = setInterval(() => void look(), 500);
  await watch(product, rows, () => undefined);
  clearInterval(held);
  const seconds = Math.round((performance.now() - began) / 1000);
  const peakMb = Math.round(product.usage().peakBytes / MB);
  await product.terminate();
  return { ...size, partitions: tables * partitions, heldMb, peakMb, seconds };
}

function start(kafka: Config[string], bufferMb: number): Promise<Product> {
  const { bootstrap, ...source } = kafka;
  const config = {
    kafka: {
      ...source,
      bootstrap_servers: bootstrap ?? "",
      consumer_group: crypto.randomUUID(),
    },
    hot_buffer: { max_size_mb: bufferMb },
    logging: { format: "json" },
  };
  return startProduct({ config, run: "binary" });
}

/** Looks at the process until so many rows are committed. */
async function watch(
  product: Product,
  rows: number,
  look: (residentMb: number, rows: number) => void,
): Promise<void> {
  for (let committed = 0; committed < rows; ) {
    if (product.ended()) throw new Error(`kafka-iceberg ended:\n${product.log().slice(-4000)}`);
    await Bun.sleep(LOOK_MS);
    const flushed = product.logLines().map((line) => line.records_flushed ?? 0);
    committed = flushed.reduce((sum, count) => sum + count, 0);
    look(residentMb(product), committed);
  }
}

function residentMb(product: Product): number {
  const status = readFileSync(`/proc/${product.pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024);
}
