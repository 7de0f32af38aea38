/**
 * Random schedules of changes: two processes that upsert, each with an index, crashes, lost and late
 * answers, foreign engines, a compaction of ours. A world of its own, so that the dice of the other
 * simulations stay as they are.
 */
import type { RowIndex } from "#keyindex/port.ts";
import { type KeyStore, openKeyStore, volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { copyOnWrite } from "#maintenance/copyOnWrite.ts";
import { CopySlots } from "#maintenance/copySlots.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { DeleteMode, SealedSegment, WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { createLossyDisk, type LossyDisk } from "../fakes/lossyDisk.ts";
import { type Outcome, WriterFrame } from "./frame.ts";
import { optionsOf, Process, partsOf, worldClock } from "./process.ts";
import { simulatedEngine } from "./simulatedEngine.ts";
import { Foreigners } from "./upsertForeign.ts";
import { byOrder, type ChangeOf, changedTexts, emptying, UpsertLaw } from "./upsertLaw.ts";
import { UpsertRewriter } from "./upsertRewriter.ts";
import {
  changeBatch,
  changeOf,
  emptyingChangeOf,
  KEY_FIELDS,
  TEXT_FIELDS,
  type TextOf,
  textOf,
} from "./upsertRows.ts";
import { type CompareAndSet, World } from "./world.ts";

/** What a schedule may contain. */
export interface UpsertTroubles {
  readonly steps: number;
  readonly compareAndSet: CompareAndSet;
  /** False: nobody but our own processes. */
  readonly foreign: boolean;
  /** True: one of our own compacts the table again and again. Default false. */
  readonly rewrites?: boolean;
  /** Changes have an order, and those of a key come by all partitions; default: they are in order. */
  readonly ordered?: boolean;
  /** How our processes delete rows. Default: by position. */
  readonly deletes?: DeleteMode;
  /** There is one partition, and its source is emptied now and then (truncate); default: it is not. */
  readonly empties?: boolean;
  /** Changes may leave a value as it was; default: they have all values. */
  readonly partial?: boolean;
}

/** Runs one schedule; the law is checked whenever the table has changed. */
export async function runUpserts(seed: number, troubles: UpsertTroubles): Promise<Outcome> {
  return await new UpsertSim(seed, troubles).run(troubles.steps);
}

/** The changes of a world whose updates keep row ids; null: they do not, or nobody says here which change counts. */
function changesThatKeepIds({
  deletes,
  ordered = false,
  empties = false,
}: UpsertTroubles): ChangeOf | null {
  if (deletes === "equality" || ordered) return null;
  if (empties) return (_, offset) => emptyingChangeOf(offset);
  return (partition, offset) => changeOf(partition, offset, false);
}

/** Of about three small files. */
const FILE_BYTES = 2000;

const SECRET = { k0: 1n, k1: 2n };

class UpsertSim extends WriterFrame {
  readonly troubles: UpsertTroubles;
  readonly #law: UpsertLaw;
  readonly #texts: TextOf | null;
  readonly foreigners: Foreigners;
  readonly rewriter: UpsertRewriter;
  readonly #disks = new Map<string, LossyDisk>();

  constructor(seed: number, troubles: UpsertTroubles) {
    const { empties = false, ordered: isOrdered = false, partial: isPartial = false } = troubles;
    const partitions = empties ? 1 : 2;
    const fields = isPartial ? TEXT_FIELDS : KEY_FIELDS;
    const world = new World(seed, troubles.compareAndSet, partitions, true, undefined, fields);
    const given = (partition: number): readonly number[] =>
      (world.topic.records[partition] ?? []).filter((offset) => offset >= this.first(partition));
    const texts = isPartial ? textOf(given) : null;
    const fold = texts === null ? undefined : changedTexts(texts);
    const folds = empties ? emptying : isOrdered ? byOrder : fold;
    const law = new UpsertLaw(world, folds, changesThatKeepIds(troubles));
    // Copies take the place of what is being compacted, and a truncate takes it away; a rewrite whose request got no
    // answer is left when others have moved on: in long runs one is.
    const isTaken = empties || troubles.deletes === "copy-on-write";
    const hasOthers = troubles.foreign || isPartial || isTaken;
    const processes = [new Process("A", "g"), new Process("B", "g")];
    const rewriter = new UpsertRewriter(world, law, hasOthers, processes);
    super(world, processes, [0.6, 0.8, 0.88], [rewriter]);
    this.troubles = troubles;
    this.#texts = texts;
    this.#law = law;
    this.rewriter = rewriter;
    const kind = isPartial ? "texts" : "changes";
    this.foreigners = new Foreigners(world, this.#law, isOrdered ? "ordered" : kind);
    for (const { name } of this.processes) {
      const { random } = world;
      if (random.unit() < 0.7) this.#disks.set(name, createLossyDisk({ random }));
    }
  }

  protected async step(): Promise<void> {
    const { world } = this;
    if (this.troubles.rewrites === true && world.random.unit() < 0.3) {
      return await this.rewriter.act();
    }
    const dice = world.random.unit();
    if (dice < 0.5 && (await this.goOn([0.7, 0.8]))) return;
    if (dice > 0.86 && dice < 0.95 && this.troubles.foreign) return await this.foreigners.act();
    if (dice > 0.95) return this.crash(world.pick(this.processes));
    if (dice > 0.83) return this.trouble(12);
    const idle = this.processes.filter((process) => !process.busy);
    if (idle.length > 0) await this.#act(world.pick(idle));
  }

  /** With the power: what was not synced of its index is there by chance. */
  protected override lose({ name }: Process): void {
    this.#disks.get(name)?.crash();
  }

  async #act(process: Process): Promise<void> {
    const { world } = this;
    if (process.writer === null) return await this.start(process, () => this.open(process));
    if (process.held !== null) {
      const { held } = process;
      return await this.start(process, () => this.flush(process, held));
    }
    const partition = world.below(world.partitions.length);
    const range = process.buffered.get(partition);
    if (range === undefined) {
      return await this.start(process, () => this.seek(process, partition));
    }
    const dice = world.random.unit();
    // Its partition is taken away; it comes back by another seek.
    if (dice < 0.06) return void process.buffered.delete(partition);
    if (dice < 0.5) return this.readOn(range);
    await this.start(process, () => this.flush(process, this.newFlush(process)));
  }

  protected async open(process: Process): Promise<void> {
    const { world } = this;
    const mine = process.incarnation;
    const alive = (): boolean => process.incarnation === mine;
    const log = process.log.reopen((count) => world.below(count + 1));
    const clock = worldClock(world, alive, this.asleepAs(process));
    const openIndex = async (
      _: unknown,
      keyColumns: readonly string[],
      orderColumn: string | null = null,
    ): Promise<RowIndex> => {
      const store = await this.#openStore(process);
      return createTableIndex({ store, secret: SECRET, keyColumns, orderColumn });
    };
    const engine = simulatedEngine(world, this.#law, { clock });
    const slots = new CopySlots(() => () => undefined);
    const copies = { engine, slots, stop: new AbortController().signal };
    const parts: WriterParts = {
      ...partsOf(world, process.name, log, alive, clock),
      encoder: createInlineEncoder(),
      keys: { secret: SECRET, openIndex },
      copyOnWrite: { check: () => undefined, deleteRows: () => copyOnWrite(copies, FILE_BYTES) },
    };
    const options = { ...optionsOf(world, process.group), coordinates: null, ...this.#key };
    const writer = await TableWriter.open(parts, options, []);
    if (alive()) process.writer = writer;
    world.say(`${process.name} opens`);
  }

  get #key(): Pick<WriterOptions, "key" | "order" | "deletes"> {
    const { ordered = false, deletes = "position" } = this.troubles;
    return { key: ["key"], order: ordered ? "n" : null, deletes };
  }

  /** What a process keeps of its index outlives it; some keep nothing. */
  async #openStore({ name }: Process): Promise<KeyStore> {
    const table = createWasmKeyTable({ slotsFirst: 8 });
    const disk = this.#disks.get(name);
    if (disk === undefined) return volatileKeyStore(table);
    return await openKeyStore({
      disk: disk.mount(),
      folder: "/index",
      table,
      warn: (error) => this.world.say(`${name} keeps nothing of its index: ${error}`),
      sizes: { pending: 4096, log: 512, cycle: 256 },
    });
  }

  protected segment(range: SealedSegment["range"]): SealedSegment {
    const { feed, start, end } = range;
    const offsets = (this.world.topic.records[feed.partition] ?? []).filter(
      (offset) => offset >= start && offset < end,
    );
    const { ordered = false, empties = false } = this.troubles;
    const form = empties ? "emptying" : ordered ? "ordered" : "changes";
    if (offsets.length === 0) return { range, batch: null };
    return { range, batch: changeBatch(feed.partition, offsets, form, this.#texts) };
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
