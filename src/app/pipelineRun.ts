/**
 * One configured pipeline in the process: connects its ports, runs it, and says how it ended. One
 * pipeline's failure never stops another.
 */
import type { Clock } from "#base/clock.ts";
import type { Disk } from "#base/disk.ts";
import { describe, EXIT, type ExitCode, kindOf, POLICY, policyOf, traceOf } from "#base/errors.ts";
import type { Observation, Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { retry } from "#base/retry.ts";
import type { Catalog } from "#catalog/catalog.ts";
import type { CircuitState, GuardedCatalog } from "#catalog/guard.ts";
import type { MetadataCache } from "#catalog/metadataCache.ts";
import { warehouseOf } from "#catalog/open.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import type { Consumer } from "#consumer/consumer.ts";
import { SchemaRegistry } from "#decode/registry/registry.ts";
import { type RunTimes, Scheduler } from "#maintenance/schedule.ts";
import type { ParquetEncoder } from "#parquet/encoder.ts";
import type { LetterTopic } from "#pipeline/letterTopic.ts";
import { Pipeline } from "#pipeline/pipeline.ts";
import type { CommitPolicy } from "#pipeline/pipelineParts.ts";
import type { RunState } from "#server/status.ts";
import type { Storage } from "#storage/storage.ts";
import type { TransactionLog } from "#txlog/log.ts";
import type { KeyParts } from "#writer/parts.ts";
import { checkCatalog } from "./catalogHealth.ts";
import { type CopyParts, copiesOf } from "./copies.ts";
import { scheduledTables, schedulesOf } from "./maintain.ts";
import { consumerOf, letterTopicOf, openServices } from "./openServices.ts";
import { Positions } from "./positions.ts";
import { probeStorage } from "./probes.ts";
import type { Readers } from "./readers.ts";
import { Services } from "./services.ts";
import { stateOf, uncommittedOf } from "./status.ts";
import type { TableReader } from "./tableReport.ts";
import { Targets } from "./targets.ts";
import { TopicRoutes } from "./topicRoutes.ts";
import { type Ending, untilEnd } from "./untilEnd.ts";

/** What pipelines share. */
export interface SharedParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly encoder: ParquetEncoder;
  readonly keys: KeyParts;
  readonly txlog: TransactionLog;
  readonly observe: (pipeline: string) => Observe;
  readonly readers: Readers;
  readonly rewrites: CopyParts;
  /** Ends the process: an error of a kind whose policy is `crash` was met and logged. */
  readonly crash: () => void;
  /** Bytes of hot buffer for this pipeline, as they are beside the key indexes of now. */
  readonly bufferBytesMax: () => number;
  /** How long committed rows stay in memory for readers, ms. */
  readonly keepMs: number;
}

/** How long services may be away at start; 0: for ever. */
export interface RunLimits {
  readonly startupTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
}

const INFER_WAIT_MS = 1000;
/** It has the parts of every placeholder. */
const HEALTH_TOPIC = "catalog.health.check";
const START_RETRY = { retriesMax: 0, baseDelayMs: 200, delayMsMax: 5000, forever: true };

/** One pipeline from its options to its end. */
export class PipelineRun {
  readonly name: string;
  readonly positions: Positions = new Positions();
  pipeline: Pipeline | null = null;
  recordsConsumed = 0;
  assigned = false;
  lastError: unknown = null;
  readonly #options: PipelineOptions & { readonly commit: CommitPolicy };
  readonly #shared: SharedParts;
  readonly #observe: Observe;
  readonly #logger: Logger;
  readonly #services: Services;
  readonly #maintenance: Scheduler;
  readonly #stopping: AbortController = new AbortController();
  #consumer: Consumer | null = null;
  #storage: Storage | null = null;
  readonly #registry: SchemaRegistry | null;
  #catalog: GuardedCatalog | null = null;
  #cache: MetadataCache | null = null;
  #ended = false;
  readonly #closed: AbortController = new AbortController();

  constructor(options: PipelineOptions, shared: SharedParts) {
    this.name = options.name;
    // One object for all tables, whose pace may change (`pace`).
    const commit: CommitPolicy = { ...options.commit, keepMs: shared.keepMs };
    this.#options = { ...options, commit };
    this.#shared = shared;
    this.#logger = shared.logger.with({ pipeline: options.name });
    this.#services = new Services(shared.clock);
    this.#maintenance = new Scheduler(
      shared,
      schedulesOf(options.maintenance, shared.rewrites),
      () => scheduledTables(this.pipeline?.tables ?? [], this.positions),
      options.maintenance.windows,
    );
    const sink = shared.observe(options.name);
    this.#observe = (observation) => {
      this.#note(observation);
      sink(observation);
    };
    const parts = { ...shared, log: this.#logger, observe: this.#observe };
    this.#registry = options.registry === null ? null : new SchemaRegistry(options.registry, parts);
  }

  /** Its tables, for those who read them; null before the catalog is known. */
  get reader(): TableReader | null {
    if (this.#cache === null) return null;
    const tables = [...(this.pipeline?.tables ?? [])].map(({ options }) => options.name);
    return { pipeline: this.name, cache: this.#cache, tables };
  }

  /** Before the names of metadata columns. */
  get metadataPrefix(): string {
    return this.#options.decoder.metadataPrefix;
  }

  /** Bytes in the hot buffers of its tables. */
  get bufferedBytes(): number {
    return this.pipeline?.bufferedBytes ?? 0;
  }

  /** What the pipeline does now. */
  get state(): RunState {
    if (this.#ended) return "stopped";
    if (this.pipeline === null) return this.lastError === null ? "starting" : "retrying";
    const state = stateOf(this.pipeline.tables);
    const { kafkaTrouble, storageTrouble, registryTrouble } = this;
    const isWaiting = [kafkaTrouble, storageTrouble, registryTrouble].some((each) => each !== null);
    return state === "running" && isWaiting ? "retrying" : state;
  }

  /** Why Kafka does not answer now, as an error; null while it does. */
  get kafkaTrouble(): unknown {
    const waitMsMax = this.#options.consumer.fetchWaitMsMax ?? 0;
    return this.#services.kafkaTrouble(waitMsMax, () => this.#isReading());
  }

  /** Why the store does not answer now, as an error; null while it does. */
  get storageTrouble(): unknown {
    return this.#services.trouble("storage");
  }

  /** Why the schema registry does not answer now, as an error; null while it does. */
  get registryTrouble(): unknown {
    return this.#services.trouble("registry");
  }

  /** Of the catalog's circuit breaker. */
  get circuit(): CircuitState {
    return this.#catalog?.circuit ?? "closed";
  }

  /** The maintenance runs of a table, of this process: how the last ones ended, and when the next ones are due. */
  maintenanceOf(table: string): readonly RunTimes[] {
    return this.#maintenance.runsOf(table);
  }

  /** True when Kafka is being asked for the records of a partition. */
  #isReading(): boolean {
    const { pipeline } = this;
    return pipeline?.feeds.all().some(({ epoch, held }) => epoch > 0 && !held) ?? false;
  }

  /** Runs until stopped, ended by errors, or (`toEnd`) until everything is committed. */
  async run(limits: RunLimits, toEnd: boolean): Promise<ExitCode> {
    try {
      const pipeline = await this.#unlessStopped(this.#connect(limits));
      if (pipeline === null) return EXIT.ok;
      const loops = pipeline.run();
      if (toEnd && this.#consumer !== null) {
        const { clock } = this.#shared;
        const parts = { consumer: this.#consumer, pipeline, clock, logger: this.#logger };
        const done = untilEnd(parts, this.#ending(limits), this.#stopping.signal);
        await Promise.race([done, loops]);
        await pipeline.shutdown(limits.shutdownTimeoutMs);
      }
      await loops;
      return this.#exitCode();
    } catch (error) {
      // Stopped on request while it waited for a service: nothing had begun.
      if (this.#stopping.signal.aborted && this.pipeline === null) return EXIT.ok;
      this.lastError = error;
      const { action, exitCode } = policyOf(error);
      this.#logger.log("error", describe(error), { kind: kindOf(error), ...traceOf(error) });
      if (action === "crash") this.#shared.crash();
      return exitCode;
    } finally {
      this.#ended = true;
      await this.#close();
      this.sayUncommitted();
    }
  }

  /** Takes another pace of commits over, from the next one on. @param rowsMax 0: no bound */
  pace(intervalMs: number, rowsMax: number): void {
    Object.assign(this.#options.commit, { intervalMs, rowsMax });
  }

  /** Takes other intervals and limits of maintenance over, within a minute. */
  maintain(options: PipelineOptions["maintenance"]): void {
    this.#maintenance.change(schedulesOf(options, this.#shared.rewrites), options.windows);
  }

  /** Rows that were read and are in no snapshot yet. */
  get uncommittedRows(): number {
    return [...(this.pipeline?.tables ?? [])].reduce((sum, each) => sum + uncommittedOf(each), 0);
  }

  /** Logs at the end what was read and is not in the tables: nobody shall look for it there. */
  sayUncommitted(): void {
    for (const table of this.pipeline?.tables ?? []) {
      const rows = uncommittedOf(table);
      const sentence = `${rows} rows were read and not committed; the next start reads them again`;
      if (rows > 0) this.#logger.log("warn", sentence, { table: table.name, rows });
    }
  }

  /** Ends the pipeline: flush, commit, leave the group. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping.abort();
    await this.pipeline?.shutdown(timeoutMs);
  }

  /** Null when stopped first: what is still being opened is closed, whatever becomes of it. */
  async #unlessStopped(connecting: Promise<Pipeline>): Promise<Pipeline | null> {
    const { signal } = this.#stopping;
    const stopped = Promise.withResolvers<null>();
    if (signal.aborted) stopped.resolve(null);
    signal.addEventListener("abort", () => stopped.resolve(null), { once: true });
    return Promise.race([connecting, stopped.promise]);
  }

  /** What `--until-end` needs to know. */
  #ending({ startupTimeoutMs }: RunLimits): Ending {
    const { topics } = this.#options.consumer;
    return {
      topics: topics ?? [],
      awayMsMax: startupTimeoutMs,
      kafkaTrouble: () => this.kafkaTrouble,
      logEnd: ({ topic, partition }) => this.positions.of(topic, partition)?.highWatermark ?? null,
    };
  }

  /** Opens catalog and consumer; services that are away are waited for. */
  async #connect(limits: RunLimits): Promise<Pipeline> {
    const { clock, random, disk } = this.#shared;
    const parts = { clock, random, disk, log: this.#logger, observe: this.#observe };
    const { storage, catalog, cache } = openServices(this.#options, parts);
    this.#storage = storage;
    this.#cache = cache;
    this.#catalog = catalog;
    await this.#patiently(limits, () => catalog.open());
    const pipeline = await this.#patiently(limits, async () => {
      const consumer = consumerOf(this.#options, this.#shared.bufferBytesMax(), parts);
      this.#consumer = consumer;
      const letters = letterTopicOf(this.#options, parts);
      const made = this.#makePipeline(consumer, catalog, letters);
      try {
        await letters?.open();
        await made.open();
        const { groupId, topicPattern } = this.#options.consumer;
        this.#shared.readers.add({
          pipeline: this.name,
          group: groupId,
          byPattern: typeof topicPattern === "string",
          feeds: consumer.feeds(),
        });
      } catch (error) {
        letters?.close();
        await consumer.close().catch(() => undefined);
        throw error;
      }
      return made;
    });
    this.lastError = null;
    this.pipeline = pipeline;
    const warehouse = warehouseOf(this.#options.catalog);
    this.#watchCatalog(catalog);
    void this.#maintenance.run(this.#closed.signal);
    if (warehouse !== null) {
      const probed = { clock, storage, observe: this.#observe };
      void probeStorage(probed, `${warehouse}/probe`, this.#closed.signal);
    }
    return pipeline;
  }

  #watchCatalog(catalog: Catalog): void {
    const { clock, txlog } = this.#shared;
    const parts = { catalog, txlog, clock, logger: this.#logger };
    // Any name will do: what counts is that the catalog answers.
    const { name } = this.#options.writer(this.#options.consumer.topics?.[0] ?? HEALTH_TOPIC);
    void checkCatalog(parts, name, this.#options.catalogCheckMs, this.#closed.signal);
  }

  async #patiently<T>(limits: RunLimits, action: () => Promise<T>): Promise<T> {
    const { clock, random } = this.#shared;
    const began = clock.monotonicMs();
    const giveUp = new AbortController();
    const forward = (): void => giveUp.abort();
    this.#stopping.signal.addEventListener("abort", forward, { once: true });
    const note = (error: unknown): void => {
      this.lastError = error;
      this.#logger.log("warn", `Waiting for a service: ${describe(error)}`);
      const waited = clock.monotonicMs() - began;
      if (limits.startupTimeoutMs > 0 && waited >= limits.startupTimeoutMs) giveUp.abort();
    };
    return retry({ clock, random }, START_RETRY, action, note, giveUp.signal);
  }

  #makePipeline(consumer: Consumer, catalog: Catalog, letters: LetterTopic | null): Pipeline {
    const { clock, random } = this.#shared;
    const options = this.#options;
    const observe = this.#observe;
    const targets = new Targets(
      options,
      {
        ...{ ...this.#shared, catalog, logger: this.#logger, observe },
        copyOnWrite: copiesOf(this.#shared.rewrites, this.#closed.signal),
      },
      this.#registry,
    );
    return new Pipeline(
      {
        consumer,
        clock,
        random,
        logger: this.#logger,
        observe,
        isHeld: () => this.#shared.rewrites.room.isFull,
        targetsOf: (topic) => targets.of(topic),
        ...(letters === null ? {} : { letterTopic: letters }),
        ...(options.routing === null
          ? {}
          : { routing: new TopicRoutes(options.routing, catalog, targets) }),
      },
      {
        name: options.name,
        start: options.start,
        revokeFlushMs: (options.consumer.rebalanceTimeoutMs ?? 60_000) / 2,
        bufferBytesMax: this.#shared.bufferBytesMax,
        inferRows: options.decoder.inferRows,
        inferWaitMs: INFER_WAIT_MS,
        rejects: options.rejects,
        acknowledge: options.acknowledge,
      },
    );
  }

  #note(observation: Observation): void {
    this.positions.observe(observation);
    if (observation.type === "consumed") this.recordsConsumed += observation.records;
    if (observation.type === "error" && POLICY[observation.kind].action === "crash") {
      this.#shared.crash();
    }
    if (observation.type === "assigned") this.assigned = true;
    this.#services.observe(observation);
  }

  /** The worst of stopped tables, failed and refused topics; a stop on request is 0. */
  #exitCode(): ExitCode {
    let worst: ExitCode = EXIT.ok;
    for (const error of this.pipeline?.tables.refused.values() ?? []) {
      const { exitCode } = policyOf(error);
      if (exitCode > worst) worst = exitCode;
    }
    for (const table of this.pipeline?.tables ?? []) {
      const errors = [...table.failedTopics.values()];
      const { state } = table;
      if (state.kind === "stopped" || state.kind === "draining") errors.push(state.error);
      for (const { exitCode } of errors.map(policyOf)) if (exitCode > worst) worst = exitCode;
    }
    return worst;
  }

  async #close(): Promise<void> {
    this.#closed.abort();
    this.#shared.readers.remove(this.name);
    await this.#consumer?.close().catch(() => undefined);
    await this.#catalog?.close().catch(() => undefined);
    this.#registry?.close();
    await this.#storage?.close().catch(() => undefined);
  }
}
