/**
 * A table of real files in memory whose topic is a list of JSON values: ingested as the product does, spoiled as
 * other engines do, replayed by the product's own code.
 */
import type { Clock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { type Feed, feedKey, type OffsetRange } from "#base/offsets.ts";
import { seededRandom } from "#base/random.ts";
import type { Catalog, LoadedTable, TableName } from "#catalog/catalog.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { commit, newCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { offsetsChange, planOffsets } from "#commit/offsets.ts";
import { refOf } from "#commit/progress.ts";
import { letterTable } from "#config/letterTable.ts";
import type { ConsumerEvent } from "#consumer/consumer.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { LETTER_FIELDS, LetterRows } from "#decode/letters.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import { deletesOf, liveDataOf } from "#iceberg/io/headFiles.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { PositionDeletes } from "#keyindex/positionDeletes.ts";
import { hiddenRows } from "#keyindex/readKeys.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { parquetBytes, readRows } from "#parquet/readColumns.ts";
import { asideTables, readAside } from "#replay/aside.ts";
import { type ReplayPlace, type ReplayReport, replay } from "#replay/replay.ts";
import { noLog } from "#txlog/log.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { currentFields } from "#writer/schema.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { createMemoryStorage, type MemoryStorage } from "../fakes/memoryStorage.ts";
import { recordBatch } from "./records.ts";
import { WRITER_OPTIONS } from "./writerOptions.ts";

/** The one partition. */
export const FEED: Feed = { clusterId: "c", topic: "t", topicId: "1", partition: 0 };

/** Records of a batch that is read from the topic. */
const BATCH = 4;

/** The table, its topic, and what is done to both. */
export class ReplayRig {
  readonly storage: MemoryStorage = createMemoryStorage();
  readonly parts: WriterParts;
  options: WriterOptions;
  /** Values by offset; a missing one is a hole. */
  readonly topic: Map<number, string | null> = new Map();
  logStart = 0n;
  /** Called before each request to the catalog. */
  beforeCommit: () => Promise<void> = () => Promise.resolve();
  decoding: Partial<DecoderOptions> = {};
  #nowMs = 1_760_000_000_000;

  constructor(formatVersion: 2 | 3 = 2) {
    const clock: Clock = {
      nowMs: () => this.#nowMs++,
      monotonicMs: () => this.#nowMs,
      sleep: () => Promise.resolve(),
      turn: () => Promise.resolve(),
    };
    const { storage } = this;
    const catalog = createFileCatalog(
      { warehouse: "/wh", readOnly: false },
      { storage, clock, log: silentLogger },
    );
    const send = catalog.commit.bind(catalog);
    const commit: Catalog["commit"] = async (...request) => {
      const before = this.beforeCommit;
      this.beforeCommit = () => Promise.resolve();
      await before();
      return send(...request);
    };
    this.parts = {
      ...{ catalog: Object.assign(catalog, { commit }), txlog: noLog, clock },
      ...{ random: seededRandom(1), logger: silentLogger, observe: () => undefined },
      encoder: createInlineEncoder(),
    };
    const coordinates = { topic: null, partition: "_kafka_partition", offset: "_kafka_offset" };
    const create = { ...WRITER_OPTIONS.create, formatVersion };
    this.options = { ...WRITER_OPTIONS, coordinates, create, rowGroupRows: 3 };
  }

  /** Puts values behind the topic's end, and commits them as one flush from `start` on. */
  async ingest(
    values: readonly (string | null)[],
    start: bigint,
    feed: Feed = FEED,
  ): Promise<void> {
    const own = feed === FEED ? this.topic : new Map<number, string | null>();
    for (const [at, value] of values.entries()) own.set(Number(start) + at, value);
    const decoder = createDecoder({ ...DECODER_DEFAULTS, inferRows: 1, ...this.decoding });
    const writer = await TableWriter.open(this.parts, this.options, decoder.own);
    decoder.adopt(writer.fields);
    const bytes = recordBatch(values, { topic: feed.topic, partition: 0, baseOffset: start });
    if (decoder.needsSample) decoder.sample([bytes]);
    const builder = decoder.builder();
    builder.decode(bytes);
    const [at] = await writer.positions([feed]);
    if (at == null) await writer.claim([{ feed, offset: start }]);
    const range = { feed, start, end: start + BigInt(values.length) };
    const flushed = await writer.flush(writer.newFlush([{ range, batch: builder.seal() }]));
    if (flushed.kind !== "committed") throw new Error(`not ingested: ${flushed.kind}`);
  }

  /** Puts records of these offsets into the dead-letter table; `brought` ones were brought in since. */
  async letters(offsets: readonly bigint[], brought: readonly bigint[] = []): Promise<void> {
    const options = letterTable(this.options);
    const writer = await TableWriter.open(this.parts, options, LETTER_FIELDS);
    const record = { key: null, value: new Uint8Array(0), headers: new Uint8Array(0) };
    const rejected = offsets.map((offset) => ({
      ...{
        topic: "t",
        partition: 0,
        offset,
        timestampMs: 0,
        reason: "bad_json",
        detail: "",
        record,
      },
    }));
    const rows = new LetterRows([], new Map());
    const marked = { topic: "t", topicId: FEED.topicId, partition: 0 };
    for (const each of rejected) rows.append(each, FEED.topicId, 0);
    for (const offset of brought)
      rows.appendMark({ ...marked, offset, reason: "bad_json", rejectedMs: 0 }, 1, null);
    await writer.claim([{ feed: FEED, offset: 0n }]);
    const range = { feed: FEED, start: 0n, end: 1000n };
    await writer.flush(writer.newFlush([{ range, batch: rows.seal() }]));
  }

  async head(name: TableName = this.options.name): Promise<LoadedTable> {
    const head = await this.parts.catalog.load(name);
    if (head === null) throw new Error("there is no table");
    return head;
  }

  /** Another engine adds or removes data files. */
  async foreign(
    change: {
      readonly files?: readonly DataFile[];
      readonly removed?: readonly DataFile[];
    },
    name: TableName = this.options.name,
  ): Promise<void> {
    const { storage, metadata } = await this.head(name);
    const staged = await stageAppend({
      ...{ storage, metadata, branch: "main", summary: {}, files: [], ...change },
      snapshotId: this.parts.random.id63(),
      timestampMs: this.parts.clock.nowMs(),
      nameSuffix: this.parts.random.uuid(),
    });
    const outcome = await this.parts.catalog.commit(name, [], staged.updates);
    if (outcome.kind !== "committed") throw new Error(`not committed: ${outcome.kind}`);
  }

  /** The head's data files, oldest first. */
  async dataFiles(name: TableName = this.options.name): Promise<DataFile[]> {
    const { storage, metadata } = await this.head(name);
    const files: { readonly file: DataFile; readonly sequenceNumber: bigint }[] = [];
    for await (const live of listDataFiles(storage, metadata, refOf(metadata, "main") ?? 0n)) {
      if (live.file.content === "data") files.push(live);
    }
    return files
      .sort((a, b) => Number(a.sequenceNumber - b.sequenceNumber))
      .map(({ file }) => file);
  }

  /** A person sets the partition's offset. */
  async setOffset(offset: bigint): Promise<void> {
    const table = new CommitTable(this.parts, this.options, await this.head());
    const wanted = [{ feed: FEED, offset }];
    const change = offsetsChange((head, progress) => {
      return planOffsets(head, progress, "main", wanted).document;
    });
    await commit(table, newCommit(table, change));
  }

  /** What a reader finds: `offset=n`, in order. */
  async rows(): Promise<string[]> {
    const { storage, metadata } = await this.head();
    const all = [];
    for await (const live of listDataFiles(storage, metadata, refOf(metadata, "main") ?? 0n)) {
      all.push(live);
    }
    const index = new DeleteIndex(
      metadata,
      all.filter(({ file }) => file.content !== "data"),
    );
    const found: string[] = [];
    for (const { file, sequenceNumber } of all.filter((live) => live.file.content === "data")) {
      const data = liveDataOf(file, sequenceNumber);
      const positionDeletes = new PositionDeletes(storage);
      const hidden = await hiddenRows({ positionDeletes }, data, deletesOf(index, data));
      let row = 0;
      const bytes = parquetBytes(storage, file.filePath, Number(file.fileSizeBytes));
      for await (const rows of readRows(bytes, ["_kafka_offset", "n"])) {
        for (const { _kafka_offset: offset, n } of rows) {
          if (!hidden.has(row++)) found.push(`${offset}=${n}`);
        }
      }
    }
    return found.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  }

  /** Committed offset, and rows that the table was given. */
  async progress(): Promise<readonly (bigint | undefined)[]> {
    const table = new CommitTable(this.parts, this.options, await this.head());
    const progress = await table.progressOf(await this.head());
    if (progress.kind === "unreadable") throw new Error(progress.reason);
    const source = progress.document.sources.get("c/t");
    return [source?.offsets.get(0), source?.rows.get(0)];
  }

  /** Replays offsets `start` to `end`. */
  async replay(start: bigint, end: bigint, more: Partial<ReplayPlace> = {}): Promise<ReplayReport> {
    const place: ReplayPlace = {
      ...{ parts: this.parts, options: this.options, isDry: false, isVouchedFor: false },
      newDecoder: () => createDecoder({ ...DECODER_DEFAULTS, ...this.decoding }),
      newConsumer: () => Promise.resolve(this.#consumer()),
      aside: (asked) =>
        readAside(this.parts.catalog, asideTables({ late: null }, "t", this.options), asked),
      progress: () => undefined,
      ...more,
    };
    const range: OffsetRange = { feed: FEED, start, end };
    return replay(place, await this.head(), range);
  }

  /** Reads the topic in batches of {@link BATCH}, whole ones. */
  #consumer(): Awaited<ReturnType<ReplayPlace["newConsumer"]>> {
    let position = 0;
    return {
      assign: () => undefined,
      start: ([first]) => {
        position = Number(first?.offset ?? 0n);
      },
      pause: () => undefined,
      bounds: async (feeds) => {
        const highWatermark = BigInt(Math.max(-1, ...this.topic.keys()) + 1);
        const { logStart } = this;
        return feeds.map((feed) => ({
          ...{ feed, logStart, highWatermark, lastStableOffset: highWatermark },
        }));
      },
      next: async (): Promise<ConsumerEvent> => {
        const base = position - (position % BATCH);
        const offsets = [0, 1, 2, 3].map((at) => base + at).filter((at) => this.topic.has(at));
        const records = offsets.map((offset) => ({
          value: this.topic.get(offset) ?? null,
          offsetDelta: offset - base,
        }));
        const { payload } = recordBatch(records);
        const wantedOffset = BigInt(position);
        position = base + BATCH;
        return {
          type: "batch",
          batch: {
            ...{ feed: FEED, key: feedKey(FEED), epoch: 1, wantedOffset, baseOffset: BigInt(base) },
            ...{ nextOffset: BigInt(position), leaderEpoch: 0, recordCount: records.length },
            payload: records.length === 0 ? null : payload,
            ...{ baseTimestampMs: 1_760_000_000_000, appendTimestampMs: null, arrivedMs: 0 },
          },
        };
      },
      close: () => Promise.resolve(),
    };
  }

  /** Columns of the table. */
  async columns(): Promise<readonly string[]> {
    return currentFields(await this.head()).map(({ name }) => name);
  }
}
