/**
 * A load test: a scratch topic, a process that produces into it, and the ordinary pipeline, in this
 * process, that ingests it; what is measured is what `run` would do with the same settings.
 */

import type { PipelineRun } from "#app/pipelineRun.ts";
import { runApp } from "#app/runApp.ts";
import { systemClock } from "#base/clock.ts";
import { describe, type ExitCode, fail } from "#base/errors.ts";
import type { Observation } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { buildPipeline } from "#config/buildPipeline.ts";
import type { AppConfig } from "#config/config.ts";
import type { Environment } from "#config/environment.ts";
import type { KafkaConsumerOptions } from "#consumer/options.ts";
import type { Cluster } from "#consumer/wire/cluster.ts";
import { type CommittedFlush, commitRate, Freshness } from "./freshness.ts";
import type { LoadTestFigures, LoadTestJob, LoadTestState } from "./job.ts";
import type { Produced } from "./producer.ts";
import { ownCommand, type ProducerProcess, startProducer } from "./producerProcess.ts";
import { createTopic, openCluster, removeTopic } from "./scratchTopic.ts";

/** How often is looked whether the ingest has got there. */
const LOOK_MS = 20;
/** The last flush may take so long: nothing is left behind to save time. */
const LAST_FLUSH_MS = 120_000;
/** After a stop, what was produced is still read for so long. */
const STOPPED_READ_MS = 10_000;
/** Services may be away so long before the production begins. */
const STARTUP_MS = 60_000;

/**
 * Produces and ingests as `job` says, and removes the topic unless it is to be kept. The table is the
 * caller's. `stop` ends it early, in order.
 * @param config one pipeline, of a scratch topic and a scratch table
 * @param command how this program is started, for the producing process
 * Throws `kafka_unreachable`, `kafka_refused`, and what ended the pipeline.
 */
export async function runLoadTest(
  config: AppConfig,
  environment: Environment,
  job: LoadTestJob,
  stop: AbortSignal,
  command: readonly string[] = ownCommand(),
): Promise<LoadTestFigures> {
  const [pipeline] = config.pipelines;
  if (pipeline === undefined) throw fail("internal", "A load test has a pipeline");
  const { consumer: kafka, commit } = await buildPipeline(pipeline, environment, "load-test");
  const cluster = openCluster(kafka, {
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  });
  try {
    await createTopic(cluster, systemClock, job.topic, job.partitions);
    try {
      const test = new LoadTest(job, kafka, commit.intervalMs, stop);
      return await test.run(config, environment, command);
    } finally {
      if (!job.keep) await removeTopicLate(cluster, job, kafka);
    }
  } finally {
    cluster.close();
  }
}

/** Says what is left when the topic cannot be removed; what was measured counts all the same. */
async function removeTopicLate(
  cluster: Cluster,
  job: LoadTestJob,
  kafka: KafkaConsumerOptions,
): Promise<void> {
  try {
    await removeTopic(cluster, job.topic, kafka.groupId);
  } catch (error) {
    job.log(`The topic ${job.topic} is left behind: ${describe(error)}\n`);
  }
}

class LoadTest {
  readonly #job: LoadTestJob;
  readonly #kafka: KafkaConsumerOptions;
  readonly #intervalMs: number;
  readonly #stop: AbortSignal;
  readonly #freshness: Freshness = new Freshness(() => systemClock.nowMs());
  readonly #flushes: CommittedFlush[] = [];
  #run: PipelineRun | null = null;
  #produced = { rows: 0, behindMs: 0 };
  #ended: ExitCode | null = null;

  constructor(
    job: LoadTestJob,
    kafka: KafkaConsumerOptions,
    intervalMs: number,
    stop: AbortSignal,
  ) {
    this.#job = job;
    this.#kafka = kafka;
    this.#intervalMs = intervalMs;
    this.#stop = stop;
  }

  async run(
    config: AppConfig,
    environment: Environment,
    command: readonly string[],
  ): Promise<LoadTestFigures> {
    const { topic, rate, seconds, eventBytes, version, commit } = this.#job;
    const producer = await startProducer(
      command,
      { kafka: this.#kafka, topic, rate, seconds, eventBytes },
      (progress) => {
        this.#produced = progress;
      },
    );
    const forward = (): void => producer.stop();
    this.#stop.addEventListener("abort", forward, { once: true });
    const ingest = runApp(config, environment, {
      untilEnd: false,
      version,
      commit,
      supervisor: {
        observe: (observation) => this.#observe(observation),
        log: this.#job.log,
        started: ([run = null]) => {
          this.#run = run;
        },
      },
    });
    void ingest.then((code) => {
      this.#ended = code;
    });
    try {
      await this.#until(() => this.#isReading(), STARTUP_MS, 0);
      return await this.#measure(producer, ingest);
    } finally {
      this.#stop.removeEventListener("abort", forward);
      producer.kill();
      await this.#run?.stop(LAST_FLUSH_MS);
      await ingest;
    }
  }

  async #measure(producer: ProducerProcess, ingest: Promise<ExitCode>): Promise<LoadTestFigures> {
    const cpuBefore = process.cpuUsage();
    const watching = new AbortController();
    void this.#report(watching.signal);
    const death = ingest.then((code) => this.#died(code));
    death.catch(() => undefined);
    try {
      const produced = this.#stop.aborted
        ? nothing()
        : await Promise.race([producer.produce(), death]);
      const hasRead = (): boolean => this.#hasRead(produced);
      await this.#until(hasRead, Number.POSITIVE_INFINITY, STOPPED_READ_MS);
      this.#freshness.ending();
      await this.#run?.stop(LAST_FLUSH_MS);
      const cpu = process.cpuUsage(cpuBefore);
      return this.#figures(produced, (cpu.user + cpu.system) / 1e6);
    } finally {
      watching.abort();
    }
  }

  #observe(observation: Observation): void {
    this.#freshness.observe(observation);
    if (observation.type !== "freshness" || observation.stage !== "committed") return;
    const rows = this.#rowsCommitted();
    if (rows === (this.#flushes.at(-1)?.rows ?? 0)) return;
    const { sealedMs } = this.#freshness;
    this.#flushes.push({ sealedMs, committedMs: systemClock.nowMs(), rows });
  }

  #rowsCommitted(): number {
    const tables = this.#run?.pipeline?.tables ?? [];
    return [...tables].reduce((sum, table) => sum + table.rowsCommitted, 0);
  }

  /** Every partition has its first position in the table, and is being read. */
  #isReading(): boolean {
    const feeds = this.#run?.pipeline?.feeds.all() ?? [];
    return feeds.length === this.#job.partitions && feeds.every((feed) => feed.epoch > 0);
  }

  /** What was produced is in the hot buffer, or further. */
  #hasRead({ ends }: Produced): boolean {
    const feeds = this.#run?.pipeline?.feeds.all() ?? [];
    return feeds.every((run) => run.position >= (ends.get(run.feed.partition) ?? 0n));
  }

  /** Waits; throws when the pipeline ends meanwhile, and after `msMax`. A stop shortens the wait. */
  async #until(isSo: () => boolean, msMax: number, stoppedMsMax: number): Promise<void> {
    const began = systemClock.monotonicMs();
    let stoppedAt = Number.POSITIVE_INFINITY;
    while (!isSo()) {
      const now = systemClock.monotonicMs();
      if (this.#stop.aborted) stoppedAt = Math.min(stoppedAt, now);
      if (now - stoppedAt >= stoppedMsMax) return;
      if (this.#ended !== null) this.#died(this.#ended);
      if (now - began > msMax) {
        throw fail("kafka_unreachable", "The pipeline did not begin to read within a minute");
      }
      await systemClock.sleep(LOOK_MS);
    }
  }

  #died(code: ExitCode): never {
    const error = this.#run?.lastError ?? tableError(this.#run);
    if (error instanceof Error) throw error;
    throw fail("internal", `The pipeline ended before the load test did (exit ${code})`);
  }

  async #report(signal: AbortSignal): Promise<void> {
    const beganMs = systemClock.nowMs();
    for (;;) {
      await systemClock.sleep(this.#job.everyMs, signal);
      if (signal.aborted) return;
      const buffer = [...(this.#run?.pipeline?.tables ?? [])].map((table) => table.buffer);
      const state: LoadTestState = {
        passedMs: systemClock.nowMs() - beganMs,
        produced: this.#produced.rows,
        behindMs: this.#produced.behindMs,
        ingested: this.#run?.recordsConsumed ?? 0,
        committed: this.#rowsCommitted(),
        bufferedBytes: buffer.reduce((sum, { bytes }) => sum + bytes, 0),
      };
      this.#job.progress(state);
    }
  }

  #figures(produced: Produced, cpuSeconds: number): LoadTestFigures {
    const { queryable, committed, lastQueryableMs } = this.#freshness;
    const endedMs = this.#flushes.at(-1)?.committedMs ?? produced.endedMs;
    return {
      exit: this.#stop.aborted ? "stopped" : "done",
      rows: produced.rows,
      producedMs: produced.endedMs - produced.beganMs,
      ends: produced.ends,
      ingestedMs: Math.max(0, lastQueryableMs - produced.beganMs),
      commits: this.#flushes.length,
      committedRate: commitRate(this.#flushes, produced.beganMs, this.#intervalMs),
      queryable: { p50Ms: queryable.percentile(0.5), p99Ms: queryable.percentile(0.99) },
      committed: { p50Ms: committed.percentile(0.5), p99Ms: committed.percentile(0.99) },
      cpuSeconds,
      wallSeconds: Math.max(0, endedMs - produced.beganMs) / 1000,
      peakBytes: process.resourceUsage().maxRSS * 1024,
    };
  }
}

/** The error that stopped a table, if one did. */
function tableError(run: PipelineRun | null): unknown {
  for (const { state } of run?.pipeline?.tables ?? []) {
    if (state.kind === "stopped") return state.error;
  }
  return null;
}

function nothing(): Produced {
  const nowMs = systemClock.nowMs();
  return { rows: 0, bytes: 0, beganMs: nowMs, endedMs: nowMs, ends: new Map() };
}
