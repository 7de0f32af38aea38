/**
 * Random schedules of replays (CHANGE_RULES 13): two processes ingest, one replays ranges, one brings dead
 * letters in, other engines double, delete and rewrite rows; answers get lost or come late, everybody dies. Tables and
 * deletes are real files, of the law of `upsertLaw.ts`: key and number of a row are partition and offset of its
 * record.
 */
import { feedKey, type OffsetRange } from "#base/offsets.ts";
import type { Random } from "#base/random.ts";
import { Addition, recordKey, recordsIn } from "#commit/addition.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { OffsetSet } from "#commit/offsetSet.ts";
import type { ConsumerEvent } from "#consumer/consumer.ts";
import type { Decoder, SegmentBuilder } from "#decode/decoder.ts";
import { RecordCursor } from "#decode/records.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { type ReplayPlace, replay } from "#replay/replay.ts";
import { addRows } from "#writer/additions.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import type { SealedSegment, WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { recordBatch } from "../support/records.ts";
import { Background } from "./background.ts";
import { type Outcome, WriterFrame } from "./frame.ts";
import { optionsOf, Process, partsOf, worldClock } from "./process.ts";
import { Foreigners } from "./upsertForeign.ts";
import { type ChangeTruth, type Truth, UpsertLaw } from "./upsertLaw.ts";
import { batchOf, KEY_FIELDS, type KeyedRow } from "./upsertRows.ts";
import { type CompareAndSet, World } from "./world.ts";

/** What a schedule may contain. */
export interface ReplayTroubles {
  readonly steps: number;
  readonly compareAndSet: CompareAndSet;
  /** False: nobody but our own processes. */
  readonly foreign: boolean;
}

/** How a schedule ended. */
export interface ReplayOutcome extends Outcome {
  readonly replays: number;
}

/** Runs one schedule; the law is checked whenever the table has changed. */
export async function runReplays(seed: number, troubles: ReplayTroubles): Promise<ReplayOutcome> {
  const sim = new ReplaySim(seed, troubles);
  return { ...(await sim.run(troubles.steps)), replays: sim.replays };
}

const COLUMNS = { topic: null, partition: "key", offset: "n" };
const WITNESS = { columns: COLUMNS, read: readCoordinates };

/** What the dead-letter table has; it may be ahead of its table, and here it always is. */
function isLetter(partition: number, offset: number): boolean {
  return (offset * 5 + partition) % 6 === 0;
}

class ReplaySim extends WriterFrame {
  /** Replays that say that they are done. */
  replays = 0;
  readonly #troubles: ReplayTroubles;
  readonly #law: UpsertLaw;
  readonly #foreigners: Foreigners;
  readonly #replayer: Background;
  readonly #retrier: Background;
  /** Where partition 1 begins in the table; above 0, a person who sets it back to before has to say so again. */
  readonly #first: bigint;

  constructor(seed: number, troubles: ReplayTroubles) {
    const world = new World(seed, troubles.compareAndSet, 2, true, undefined, KEY_FIELDS);
    const [replayer, retrier] = ["Y", "Q"].map((name) => new Background(world, name, false));
    if (replayer === undefined || retrier === undefined) throw new Error("two runs");
    const processes = [new Process("A", "g"), new Process("B", "g")];
    super(world, processes, [0.6, 0.8, 0.88], [replayer, retrier]);
    this.#troubles = troubles;
    this.#law = new UpsertLaw(world, (rows, key, offsets) => [
      ...rows,
      ...offsets.filter((n) => !isLetter(key, n)).map((n) => ({ key, n })),
    ]);
    this.#foreigners = new Foreigners(world, this.#law, "records");
    this.#replayer = replayer;
    this.#retrier = retrier;
    this.#first = troubles.foreign ? 0n : BigInt(world.pick([0, 9]));
  }

  protected override first(partition: number): bigint {
    return partition === 1 ? this.#first : 0n;
  }

  protected async step(): Promise<void> {
    const { world } = this;
    const dice = world.random.unit();
    if (dice < 0.4 && (await this.goOn([0.6, 0.7]))) return;
    if (dice < 0.55) return await this.#replayer.goOn((parts) => this.#replay(parts));
    if (dice < 0.62) return await this.#retrier.goOn((parts) => this.#retry(parts));
    if (dice < 0.74 && this.#troubles.foreign) return await this.#foreigners.act();
    if (dice < 0.78) return this.trouble(20);
    if (dice < 0.8) return this.crash(world.pick(this.processes));
    if (dice < 0.83) return world.pick([this.#replayer, this.#replayer, this.#retrier]).crash();
    const idle = this.processes.filter((process) => !process.busy);
    if (idle.length > 0) await this.#act(world.pick(idle));
  }

  async #act(process: Process): Promise<void> {
    const { world } = this;
    if (process.writer === null) return await this.start(process, () => this.open(process));
    const { held } = process;
    if (held !== null) return await this.start(process, () => this.flush(process, held));
    const partition = world.below(world.partitions.length);
    const range = process.buffered.get(partition);
    if (range === undefined) {
      return await this.start(process, () => this.seek(process, partition));
    }
    if (world.random.unit() < 0.5) return this.readOn(range);
    await this.start(process, () => this.flush(process, this.newFlush(process)));
  }

  protected async open(process: Process): Promise<void> {
    const { world } = this;
    const mine = process.incarnation;
    const alive = (): boolean => process.incarnation === mine;
    const log = process.log.reopen((count) => world.below(count + 1));
    const clock = worldClock(world, alive, this.asleepAs(process));
    const parts = realFiles(partsOf(world, process.name, log, alive, clock));
    const writer = await TableWriter.open(parts, this.#options(process.group), []);
    if (alive()) process.writer = writer;
    world.say(`${process.name} opens`);
  }

  #options(group: string): WriterOptions {
    return { ...optionsOf(this.world, group), coordinates: COLUMNS };
  }

  protected segment(range: SealedSegment["range"]): SealedSegment {
    const rows = this.#records(range).filter(({ key, n }) => !isLetter(key, n));
    return { range, batch: rows.length === 0 ? null : batchOf(rows) };
  }

  /** The topic's records of a range. */
  #records({ feed: { partition: key }, start, end }: OffsetRange): KeyedRow[] {
    return (this.world.topic.records[key] ?? [])
      .filter((offset) => offset >= start && offset < end)
      .map((n) => ({ key, n }));
  }

  /** A range below what the table has committed; it may begin before the table did. */
  #range(): OffsetRange | null {
    const { world } = this;
    const partition = world.below(world.partitions.length);
    const { offsets } = this.#law.truth(world.metadata.currentSnapshotId);
    const committed = offsets.get(partition) ?? 0;
    if (committed === 0) return null;
    const start = world.below(committed);
    const end = start + 1 + world.below(committed - start);
    return { feed: world.feed(partition), start: BigInt(start), end: BigInt(end) };
  }

  async #replay(ports: WriterParts): Promise<void> {
    const { world } = this;
    const range = this.#range();
    if (range === null) return;
    const { feed, start, end } = range;
    world.say(`Y replays p${feed.partition}[${start},${end})`);
    const place: ReplayPlace = {
      parts: this.#knownBy(realFiles(ports), (before) => this.#replayed(before, range)),
      options: this.#options("g"),
      ...{ isDry: false, isVouchedFor: false, progress: () => undefined, newDecoder: rowDecoder },
      newConsumer: () => Promise.resolve(this.#consumer(range)),
      aside: () => Promise.resolve(lettersOf(this.#records(range))),
    };
    const head = await ports.catalog.load(world.name);
    if (head === null) return;
    const { snapshotId, before, after } = await replay(place, head, range);
    this.replays++;
    world.say(`Y has replaced ${before} rows by ${after} as ${snapshotId}`);
    const kind = world.history.get(snapshotId ?? 0n)?.summary["kafka-iceberg.kind"];
    if (before + after > 0 && kind !== "replay") {
      this.violations.push(`DONE: p${feed.partition}[${start},${end}) was not replayed`);
    }
  }

  /** What a replay makes of rows: letters are rows where they were some. */
  #replayed({ rows, offsets }: Truth, range: OffsetRange): KeyedRow[] {
    const { partition } = range.feed;
    const committed = offsets.get(partition) ?? 0;
    const isInside = ({ key, n }: KeyedRow): boolean =>
      key === partition && n >= range.start && n < range.end;
    const there = new Set(rows.filter(isInside).map(({ n }) => n));
    const wanted = this.#records(range).filter(({ key, n }) => {
      const isGiven = n >= this.first(key) && n < committed;
      return isGiven && (!isLetter(key, n) || there.has(n));
    });
    return [...rows.filter((row) => !isInside(row)), ...wanted];
  }

  /** The law learns what commits do whose ids are made by these ports. */
  #knownBy(parts: WriterParts, change: ChangeTruth): WriterParts {
    const { random } = parts;
    const uuid = (): string => {
      const id = random.uuid();
      this.#law.own.set(id, change);
      return id;
    };
    const named: Random = { ...random, uuid };
    return { ...parts, random: named };
  }

  /** Brings a letter in that the table has passed. */
  async #retry(ports: WriterParts): Promise<void> {
    const { world } = this;
    const range = this.#range();
    const head = await ports.catalog.load(world.name);
    const letters = range === null ? [] : this.#records(range);
    const letter = letters.find(({ key, n }) => isLetter(key, n) && n >= this.first(key));
    if (range === null || head === null || letter === undefined) return;
    const parts = this.#knownBy(realFiles(ports), ({ rows }) => [...rows, letter]);
    const { feed } = range;
    const offset = BigInt(letter.n);
    const records = [{ feed, offsets: [offset] }];
    const there = await recordsIn(head, "main", records, WITNESS);
    if (there.has(recordKey(feed, offset))) return;
    world.say(`Q brings ${letter.key}:${letter.n} in`);
    const options = this.#options("g");
    const table = new CommitTable(parts, options, head);
    const batches = [batchOf([letter])];
    const flush = { feed, start: offset, end: offset + 1n, leaderEpoch: undefined, batches };
    const changeOf = (units: ConstructorParameters<typeof Addition>[2]): Addition =>
      new Addition(parts, records, units, WITNESS);
    await addRows(parts, options, table, [flush], changeOf);
  }

  /** Reads the topic's records of a range, a batch for each three. */
  #consumer({ feed, end }: OffsetRange): Awaited<ReturnType<ReplayPlace["newConsumer"]>> {
    const { world } = this;
    let position = 0n;
    const bounds = {
      ...{ feed, logStart: 0n, highWatermark: world.logEnd(feed.partition) },
      lastStableOffset: world.logEnd(feed.partition),
    };
    const next = async (): Promise<ConsumerEvent> => {
      const [baseOffset, nextOffset] = [position, position + 3n > end ? end : position + 3n];
      position = nextOffset;
      const records = this.#records({ feed, start: baseOffset, end: nextOffset });
      const inputs = records.map(({ n }) => ({ value: "", offsetDelta: n - Number(baseOffset) }));
      const { payload } = recordBatch(inputs);
      return {
        type: "batch",
        batch: {
          ...{ feed, key: feedKey(feed), epoch: 1, wantedOffset: baseOffset, baseOffset },
          ...{ nextOffset, leaderEpoch: 0, recordCount: records.length },
          payload: records.length === 0 ? null : payload,
          ...{ baseTimestampMs: 0, appendTimestampMs: null, arrivedMs: 0 },
        },
      };
    };
    return {
      ...{ assign: () => undefined, pause: () => undefined, next, close: () => Promise.resolve() },
      start: ([first]) => {
        position = first?.offset ?? 0n;
      },
      bounds: () => Promise.resolve([bounds]),
    };
  }

  protected law(): Promise<string[]> {
    return this.#law.violations();
  }

  protected async finish(last: Process): Promise<void> {
    const { world } = this;
    for (const partition of world.partitions) {
      await this.alone(last, () => this.seek(last, partition));
      const range = last.buffered.get(partition);
      if (range !== undefined) range.end = world.logEnd(partition);
    }
    await this.alone(last, () => this.flush(last, this.newFlush(last)));
    const { offsets } = this.#law.truth(world.metadata.currentSnapshotId);
    for (const partition of world.partitions) {
      const [offset, end] = [offsets.get(partition), Number(world.logEnd(partition))];
      if (offset !== end)
        this.violations.push(`STUCK: p${partition} ends at ${offset}, not ${end}`);
    }
    this.violations.push(...(await this.#law.violations()));
  }
}

/** Ports whose files are Parquet. */
function realFiles(parts: WriterParts): WriterParts {
  return { ...parts, encoder: createInlineEncoder(), readCoordinates };
}

function lettersOf(records: readonly KeyedRow[]): OffsetSet {
  const letters = new OffsetSet();
  for (const { key, n } of records) if (isLetter(key, n)) letters.add(BigInt(n));
  return letters;
}

/** Makes rows of records by their coordinates alone. */
function rowDecoder(): Decoder {
  return {
    ...{ fields: KEY_FIELDS, declared: [], own: [], needsSample: false, prepare: null },
    ...{ takeGrowth: () => null, sample: () => undefined },
    ...{ checkNew: () => undefined, adopt: () => undefined },
    builder: (): SegmentBuilder => {
      const rows: KeyedRow[] = [];
      const decode: SegmentBuilder["decode"] = (bytes) => {
        const cursor = new RecordCursor(bytes);
        const before = rows.length;
        while (cursor.next()) {
          rows.push({ key: bytes.partition, n: Number(bytes.baseOffset) + cursor.offsetDelta });
        }
        const count = rows.length - before;
        return { rows: count, skipped: 0, rejected: [], timestampMsMax: 0 };
      };
      return {
        get rowCount() {
          return rows.length;
        },
        ...{
          byteCount: 0,
          usedBytes: 0,
          hasWaiting: false,
          isCurrent: true,
          decode,
          tryDecode: decode,
        },
        column: () => null,
        ...{ live: () => [], truncate: () => undefined, seal: () => batchOf(rows) },
        memory: undefined as unknown as SegmentBuilder["memory"],
      };
    },
  };
}
