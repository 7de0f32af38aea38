/**
 * A pipeline, its table and its consumer in a simulated world in which all goes well unless a test
 * says otherwise: requests to the catalog are applied at once, time passes when told.
 */

import type { Observation } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import { type Feed, type FeedKey, type FeedOffset, feedKey } from "#base/offsets.ts";
import type { Field } from "#columns/schema.ts";
import type { LogBounds } from "#consumer/consumer.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { lastFieldId } from "#iceberg/metadata/newTable.ts";
import { Pipeline } from "#pipeline/pipeline.ts";
import type { PipelineOptions, PipelineParts } from "#pipeline/pipelineParts.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import type { TransactionLog } from "#txlog/log.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { SimConsumer, SimGroup } from "../sim/group.ts";
import { MemoryLog, optionsOf, partsOf } from "../sim/process.ts";
import { SimClock } from "../sim/simClock.ts";
import { type Request, World } from "../sim/world.ts";
import { recordBatch } from "./records.ts";

/** A consumer whose log a test describes, and that keeps what was asked of it. */
export class RigConsumer extends SimConsumer {
  logStart = 0n;
  highWatermark = 40n;
  stamped: bigint | null = null;
  grouped: bigint | null = null;
  readonly paused: Set<FeedKey> = new Set();
  readonly started: FeedOffset[] = [];
  readonly acknowledged: FeedOffset[] = [];

  override bounds(feeds: readonly Feed[]): Promise<LogBounds[]> {
    const { logStart, highWatermark } = this;
    const bound = { logStart, highWatermark, lastStableOffset: highWatermark };
    return Promise.resolve(feeds.map((feed) => ({ feed, ...bound })));
  }

  override offsetsAt(feeds: readonly Feed[]): Promise<null[]> {
    return Promise.resolve(feeds.map(() => this.stamped as null));
  }

  override groupOffsets(feeds: readonly Feed[]): Promise<null[]> {
    return Promise.resolve(feeds.map(() => this.grouped as null));
  }

  override start(positions: readonly FeedOffset[]): void {
    this.started.push(...positions);
    super.start(positions);
  }

  override pause(keys: readonly FeedKey[]): void {
    for (const key of keys) this.paused.add(key);
  }

  override resume(keys: readonly FeedKey[]): void {
    for (const key of keys) this.paused.delete(key);
  }

  override acknowledge(offsets?: readonly FeedOffset[]): Promise<void> {
    this.acknowledged.push(...(offsets ?? []));
    return Promise.resolve();
  }

  /** Hands records over as one batch that follows the partition's last one. */
  give(partition: number, baseOffset: bigint, values: readonly (string | null)[]): void {
    const feed = this.feed(partition);
    const key = feedKey(feed);
    const bytes = recordBatch(values, { baseOffset });
    const nextOffset = baseOffset + BigInt(values.length);
    const times = { baseTimestampMs: 1_760_000_000_000, appendTimestampMs: null };
    const arrivedMs = this.group.world.nowMs;
    const position = {
      wantedOffset: baseOffset,
      baseOffset,
      nextOffset,
      leaderEpoch: 0,
      arrivedMs,
    };
    const batch = { feed, key, epoch: this.epoch(key), ...position, ...times };
    const payload = values.length === 0 ? null : bytes.payload;
    this.push({ type: "batch", batch: { ...batch, recordCount: values.length, payload } });
  }
}

/** Everything that a test of the app needs. */
export class AppRig {
  readonly world: World;
  readonly clock: SimClock;
  readonly consumer: RigConsumer;
  readonly parts: WriterParts;
  readonly options: WriterOptions;
  readonly table: Sink;
  readonly pipeline: Pipeline;
  readonly observations: Observation[] = [];
  readonly lines: { level: string; message: string }[] = [];
  readonly txlog: TransactionLog;
  running: Promise<void> | null = null;

  constructor(
    more: Partial<PipelineOptions> = {},
    writer: Partial<WriterOptions> = {},
    parts: Partial<WriterParts> = {},
    decoding: Partial<DecoderOptions> = {},
    ports: Pick<PipelineParts, "letterTopic"> = {},
  ) {
    this.world = new World(1, "sequence", 2);
    this.heal();
    this.clock = new SimClock(this.world.nowMs, (nowMs) => {
      this.world.nowMs = nowMs;
    });
    const logger: Logger = {
      log: (level, message) => this.lines.push({ level, message }),
      with: () => logger,
    };
    const observe = (observation: Observation): void => {
      this.observations.push(observation);
    };
    this.txlog = new MemoryLog().reopen(() => 0);
    const made = partsOf(this.world, "A", this.txlog, () => true, this.clock);
    this.parts = { ...made, logger, observe, ...parts };
    this.options = { ...optionsOf(this.world, "g"), thinning: null, ...writer };
    const decoder = createDecoder({ ...DECODER_DEFAULTS, inferRows: 1, ...decoding });
    const policy = { intervalMs: 200, rowsMax: 0, bytesMax: 1 << 20, emptyIntervalMs: 400 };
    this.table = new Sink(this.options, this.parts, decoder, policy);
    const target = { sink: this.table, source: new Source(decoder) };
    this.consumer = new RigConsumer("A", new SimGroup(this.world));
    const { random } = this.world;
    this.pipeline = new Pipeline(
      {
        consumer: this.consumer,
        clock: this.clock,
        random,
        logger,
        observe,
        targetsOf: () => [target],
        ...ports,
      },
      {
        name: "p",
        start: { reset: "earliest", timestampMs: 0, fromGroup: false },
        revokeFlushMs: 300,
        bufferBytesMax: () => 1 << 22,
        inferRows: 1,
        inferWaitMs: 100,
        rejects: { action: "fail" },
        acknowledge: { enabled: true, intervalMs: 0 },
        ...more,
      },
    );
  }

  /** From now on the catalog answers at once, also what waits. */
  heal(): void {
    const answer = (request: Request): void => {
      if (request.answer !== null) this.world.apply(request, "arrives");
    };
    this.world.onRequest = (request) => queueMicrotask(() => answer(request));
    for (const request of [...this.world.pending]) answer(request);
  }

  /** Opens the pipeline, runs it, and waits until its partitions are read. */
  async start(): Promise<this> {
    await this.pipeline.open();
    this.running = this.pipeline.run();
    this.running.catch(() => undefined);
    await this.settle();
    return this;
  }

  /** The table's owner changes its columns; new ones take ids from `nextId` on. */
  async changeSchema(
    change: (fields: readonly Field[], nextId: number) => readonly Field[],
  ): Promise<void> {
    const head = await this.parts.catalog.load(this.options.name);
    if (head === null) throw new Error("there is no table");
    const { schemas, currentSchemaId, lastColumnId } = head.metadata;
    const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
    const fields = change(current?.fields ?? [], lastColumnId + 1);
    const schemaId = Math.max(...schemas.map((schema) => schema.schemaId)) + 1;
    const outcome = await this.parts.catalog.commit(
      this.options.name,
      [{ type: "assert-table-uuid", uuid: head.metadata.tableUuid }],
      [
        {
          action: "add-schema",
          schema: { schemaId, fields, identifierFieldIds: [] },
          lastColumnId: Math.max(lastColumnId, lastFieldId(fields)),
        },
        { action: "set-current-schema", schemaId: -1 },
      ],
    );
    if (outcome.kind !== "committed") throw new Error(`schema change: ${outcome.kind}`);
  }

  /** A writer of the table, apart from the pipeline. @param options over the pipeline's */
  writer(options: Partial<WriterOptions> = {}): Promise<TableWriter> {
    return TableWriter.open(this.parts, { ...this.options, ...options }, []);
  }

  /** Lets time pass, and everything that is due happen. */
  async pass(ms: number): Promise<void> {
    for (let gone = 0; gone < ms; gone += 50) {
      this.clock.advance(50);
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    // Avro files are compressed by threads.
    await Bun.sleep(1);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Committed offset of a partition by the table. */
  async committed(partition: number): Promise<bigint | null> {
    const [offset] = await (await this.writer()).positions([this.world.feed(partition)]);
    return offset ?? null;
  }

  /** Rows of a partition in the table's head. */
  async rows(partition: number): Promise<readonly number[]> {
    const { currentSnapshotId } = this.world.metadata;
    if (currentSnapshotId === null) return [];
    return (await this.world.law.content(currentSnapshotId)).rows.get(partition) ?? [];
  }
}
