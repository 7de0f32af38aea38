/**
 * The producing process of a load test: the same executable as the ingesting one, so that producing is
 * neither in its event loop nor in its CPU time.
 *
 * Lines of JSON on standard input and output. In: the job, then `go`, then perhaps `stop`. Out: `ready`,
 * `progress` now and then, and `done` or `failed`. Its owner's death ends its input, and that ends it. The
 * job may hold passwords, which is why it does not stand on the command line.
 */

import type { Clock } from "#base/clock.ts";
import { describe, type ErrorKind, fail, kindOf } from "#base/errors.ts";
import { parseJson, writeJson } from "#base/json.ts";
import { silentLogger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { utf8Stream } from "#base/text.ts";
import { Scratch } from "#consumer/codec/blocks.ts";
import type { KafkaConsumerOptions } from "#consumer/options.ts";
import { produceRequest } from "#consumer/produce/produceRequest.ts";
import { BatchPool, rowsPerBatch } from "./batches.ts";
import { type Produced, type Progress, produce } from "./producer.ts";
import { openCluster, topicLeaders } from "./scratchTopic.ts";

/** The word on the command line that makes a process this one; in no help. */
export const PRODUCER_WORD = "load-test-producer";

/** What is to be produced. */
export interface ProducerJob {
  /** The cluster and the login. */
  readonly kafka: KafkaConsumerOptions;
  readonly topic: string;
  readonly rate: number;
  readonly seconds: number;
  readonly eventBytes: number;
}

/** What the process says. */
export type ProducerLine =
  | { readonly type: "ready" }
  | ({ readonly type: "progress" } & Progress)
  | ({ readonly type: "done"; readonly ends: readonly (readonly [number, string])[] } & Omit<
      Produced,
      "ends"
    >)
  | { readonly type: "failed"; readonly kind: ErrorKind; readonly sentence: string };

/** What the process works with. */
export interface ChildParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Lines of standard input. */
  readonly lines: AsyncIterator<string>;
  write(line: string): void;
}

/** Runs the producing process to its end; says what went wrong, and never throws. */
export async function runProducer(parts: ChildParts): Promise<void> {
  const say = (line: ProducerLine): void => parts.write(`${writeJson(line)}\n`);
  try {
    const { ends, ...produced } = await work(parts, say);
    const texts = [...ends].map(([partition, end]) => [partition, String(end)] as const);
    say({ type: "done", ...produced, ends: texts });
  } catch (error) {
    say({ type: "failed", kind: kindOf(error), sentence: describe(error) });
  }
}

async function work(parts: ChildParts, say: (line: ProducerLine) => void): Promise<Produced> {
  const { lines, clock, random } = parts;
  const job = readJob(await lines.next());
  const cluster = openCluster(job.kafka, { clock, random, log: silentLogger });
  try {
    const leaders = await topicLeaders(cluster, job.topic);
    const rows = rowsPerBatch(job.rate, job.eventBytes);
    const pool = new BatchPool(rows, job.eventBytes, { random, scratch: new Scratch() });
    // The connections are open before the clock runs.
    for (const leader of new Set(leaders.values())) {
      await cluster.send(leader, "produce", produceRequest(job.topic, []));
    }
    say({ type: "ready" });
    const go = await lines.next();
    if (go.done === true) throw fail("internal", "The load test ended before it began");
    return await produce(
      { rate: job.rate, seconds: job.seconds, leaders, rowsPerBatch: rows },
      {
        clock,
        batch: (timestampMs) => pool.take(timestampMs),
        send: (leader, batches) =>
          cluster.send(leader, "produce", produceRequest(job.topic, batches)),
        progress: (progress) => say({ type: "progress", ...progress }),
      },
      onNext(lines),
    );
  } finally {
    cluster.close();
  }
}

function readJob(line: IteratorResult<string, unknown>): ProducerJob {
  if (line.done === true) throw fail("internal", "The load test's producer got no job");
  return parseJson(line.value) as unknown as ProducerJob;
}

/** Aborts with the next line, whatever it says, or with the end of the input. */
function onNext(lines: AsyncIterator<string>): AbortSignal {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  lines.next().then(end, end);
  return stop.signal;
}

/** The lines of a stream of bytes; what follows the last line break is no line. */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = utf8Stream();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
