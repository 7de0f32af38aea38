/**
 * The world of the simulations: one table, a topic with holes in its offsets that may be deleted and
 * re-created, writers that crash and come back as zombies, a catalog whose answers get lost.
 *
 * Determinism: one seed decides everything. Only one writer runs at a time; it runs until its call
 * ends or until it waits for the catalog's answer, which the schedule gives, loses or delays.
 */
import { fail } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";
import { type Random, seededRandom } from "#base/random.ts";
import type {
  Catalog,
  CatalogTraits,
  CommitOutcome,
  LoadedTable,
  TableName,
} from "#catalog/catalog.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import { encodeMetadataFile } from "#iceberg/io/metadataFile.ts";
import type {
  Snapshot,
  SnapshotId,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "#iceberg/metadata/metadata.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import type { RetentionPolicy } from "#iceberg/metadata/retention.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import type { Storage } from "#storage/storage.ts";
import { createMemoryStorage, type MemoryStorage } from "../fakes/memoryStorage.ts";
import { headOnly } from "./headOnly.ts";
import { Law } from "./law.ts";
import { columns, FIELDS, holes, rowNumber, TOPIC, type Topic, topicId } from "./rows.ts";
import type { Applied } from "./thinningLaw.ts";

/** The one table of a world. */
export const NAME: TableName = { namespace: ["db"], table: "t" };

/** Who expires snapshots; its commits are judged by a law of their own. */
export const MAINTAINER = "E";

/**
 * What a catalog compares when it applies a commit. `parented`: as Iceberg's own servers, the sequence
 * number of a snapshot that has a parent; one without takes the table's last number back to its own.
 */
export type CompareAndSet = "sequence" | "pointer" | "parented" | "nothing";

const ENDS_LATE_REQUESTS: Readonly<Record<CompareAndSet, CatalogTraits["endsLateRequests"]>> = {
  sequence: "all",
  pointer: "all",
  parented: "with-parent",
  nothing: "none",
};

/** A commit on its way to the catalog. */
export interface Request {
  readonly writer: string;
  readonly requirements: readonly TableRequirement[];
  readonly updates: readonly TableUpdate[];
  /** Version of the metadata pointer when it was sent. */
  readonly version: number;
  /** When it was sent. */
  readonly sentMs: number;
  answer: ((outcome: CommitOutcome) => void) | null;
}

/** An answer of a service that goes wrong, once. */
export interface Fault {
  readonly kind: "before" | "after";
  /** Calls that still go well. */
  calls: number;
}

/** A world and what may happen in it. */
export class World {
  readonly random: Random;
  readonly storage: MemoryStorage;
  readonly compareAndSet: CompareAndSet;
  /** False: the catalog keeps the head alone, without a parent, as Nessie does. */
  readonly showsAncestors: boolean;
  /** Every state of the table there was, for a catalog whose branches can be set to any of them. */
  readonly states: TableMetadata[] = [];
  readonly topics: Topic[];
  readonly name: TableName;
  /** Whether its table must have a record that its offset has passed. */
  isDue: (offset: number, partition: number, number: number) => boolean = () => true;
  /** Whether its table may have a record that its offset has passed. */
  mayHold: World["isDue"] = () => true;
  mayHoldBelow = false;
  /** Whether its topic has records whose Kafka timestamp no column holds, and records with event times. */
  readonly has = { oddRecords: true, eventTimes: false };
  readonly law: Law;
  /** Every snapshot that ever was. */
  readonly history: Map<SnapshotId, Snapshot> = new Map();
  /** How writers thin snapshots in this world. */
  readonly thinning: RetentionPolicy | null;
  /**
   * How old a file is that an orphan cleaner takes, ms; null: there is no cleaner. With one, nothing is
   * sent whose files are older than a third of that, and nothing arrives later than a third after it
   * was sent (rule 10l).
   */
  readonly orphanAgeMs: number | null;
  /** Feeds of another topic that the table holds from the start: with them summaries hold deltas. */
  readonly others: readonly Feed[];
  metadata: TableMetadata;
  foreignRows = 0;
  version = 1;
  /** Requests that were sent and neither applied nor lost. */
  pending: Request[] = [];
  fault: Fault | null = null;
  /** The disk of the transaction log is full for so many entries; one process meets it. */
  logFault: (Fault & { lasts: number }) | null = null;
  loadFails = false;
  /** How often the head was loaded. */
  loads = 0;
  kafkaFails = false;
  /** Whether a log may be lost in this world. */
  mayLoseLogs = false;
  /** The partition whose log was lost and has grown again past what was read, under the same topic id. */
  lost: number | null = null;
  /** Told to every writer that waits: a request arrived. */
  onRequest: (request: Request) => void = () => undefined;
  /** A person has said where to go on: counts of rows begin anew. */
  personDecided = false;
  /** Snapshots of before the table was replaced in place: nobody picks them. */
  abandoned: ReadonlySet<SnapshotId> = new Set();
  /** Earlier metadata files that are still there. */
  readonly metadataFiles: Map<string, TableMetadata> = new Map();
  readonly trace: string[];
  readonly #time: { nowMs: number };

  /** Tables are partitioned by hour. */
  readonly hourly: boolean;

  /**
   * @param sibling a world with the same topic, time and chance, whose table is another one
   * @param fields columns of the table
   */
  constructor(
    seed: number,
    compareAndSet: CompareAndSet,
    partitions = 2,
    showsAncestors: boolean = true,
    sibling?: World,
    fields: readonly Field[] = [...FIELDS, TOPIC],
  ) {
    this.random = sibling?.random ?? seededRandom(seed);
    this.compareAndSet = compareAndSet;
    const memory = createMemoryStorage({ nowMs: () => this.nowMs });
    const get = async (at: string): Promise<Uint8Array> => {
      const earlier = this.metadataFiles.get(at);
      return earlier === undefined ? memory.get(at) : encodeMetadataFile(earlier);
    };
    this.showsAncestors = showsAncestors;
    this.#time = sibling === undefined ? { nowMs: 1_700_000_000_000 } : sibling.#time;
    this.topics = sibling?.topics ?? [];
    this.trace = sibling?.trace ?? [];
    this.name = sibling === undefined ? NAME : { ...NAME, table: `${NAME.table}${seed}` };
    this.storage = { ...memory, get };
    this.hourly = seed % 2 === 0;
    if (sibling === undefined) {
      this.createTopic(Array.from({ length: partitions }, () => holes(this.random)));
    }
    this.thinning =
      this.random.unit() < 0.5
        ? null
        : { branch: "main", keepAllMs: 4000, retentionMs: 60_000, snapshotsMax: 6 };
    this.orphanAgeMs = this.pick([null, null, 9000, 30_000]);
    this.metadata = newTableMetadata({
      uuid: "11111111-1111-4111-8111-111111111111",
      location: "/wh/db/t",
      fields,
      spec: () => ({ specId: 0, fields: [] }),
      formatVersion: this.random.unit() < 0.4 ? 3 : 2,
      properties: {},
      timestampMs: this.nowMs,
    });
    const others = { clusterId: "c", topic: "others", topicId: "others" };
    this.others =
      this.random.unit() < 0.5
        ? []
        : Array.from({ length: 80 }, (_, partition) => ({ ...others, partition }));
    this.law = new Law(this);
  }

  /** What the catalog of this world promises. */
  get traits(): CatalogTraits {
    const { showsAncestors, compareAndSet } = this;
    const endsLateRequests = ENDS_LATE_REQUESTS[compareAndSet];
    return { type: "fake", showsAncestors, endsLateRequests, removesSchemas: true };
  }

  get nowMs(): number {
    return this.#time.nowMs;
  }

  set nowMs(nowMs: number) {
    this.#time.nowMs = nowMs;
  }

  /** How old files may be when they are sent. */
  get filesAgeMsMax(): number {
    return (this.orphanAgeMs ?? Number.POSITIVE_INFINITY) / 3;
  }

  /** Whether a request can still arrive. */
  mayArrive({ sentMs }: Request): boolean {
    return this.nowMs - sentMs <= this.filesAgeMsMax;
  }

  /** The topic as it is now. */
  get topic(): Topic {
    return this.topics.at(-1) as Topic;
  }

  /** Partitions of the topic as it is now. */
  get partitions(): number[] {
    return [...this.topic.records.keys()];
  }

  /** Deletes the topic and makes it again. */
  createTopic(records: number[][]): void {
    const index = this.topics.length;
    const id = topicId(index);
    this.topics.push({ index, id, records });
    if (index > 0) this.say(`the topic is deleted and made again as ${id}`);
  }

  /** A feed of the topic. */
  feed(partition: number, topic: Topic = this.topic): Feed {
    return { clusterId: "c", topic: "t", topicId: topic.id, partition };
  }

  /** The life of the topic that a feed belongs to. */
  topicOf(feed: Feed): Topic {
    return this.topics.find((topic) => topic.id === feed.topicId) ?? this.topic;
  }

  /** The end of a partition's log. */
  logEnd(partition: number, topic: Topic = this.topic): bigint {
    return BigInt((topic.records[partition]?.at(-1) ?? -1) + 3);
  }

  /** Rows of one feed from `start` to `end` as a column batch. */
  batch(feed: Feed, start: bigint, end: bigint, more: readonly Field[] = []): ColumnBatch | null {
    const topic = this.topicOf(feed);
    const numbers = (topic.records[feed.partition] ?? [])
      .filter((offset) => BigInt(offset) >= start && BigInt(offset) < end)
      .map((offset) => rowNumber(topic, offset));
    return numbers.length === 0 ? null : columns(feed.partition, numbers, more);
  }

  /** Loses the log of a partition of which the table has rows, and writes another one. */
  loseLog(partition: number): void {
    this.lost = partition;
    this.say(`the log of p${partition} is lost and written anew`);
  }

  say(line: string): void {
    this.trace.push(line);
  }

  /** A whole number below `n`. */
  below(n: number): number {
    return Math.floor(this.random.unit() * n);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /**
   * The catalog as one writer sees it; `alive` false: its calls never return.
   * @param storage the store as that writer sees it
   */
  catalog(writer: string, alive: () => boolean, storage: Storage): Catalog {
    const gone = new Promise<never>(() => undefined);
    return {
      traits: this.traits,
      open: () => Promise.resolve(),
      load: () => {
        this.loads++;
        if (!alive()) return gone;
        if (!this.loadFails) return Promise.resolve(this.loaded(storage));
        this.loadFails = false;
        return Promise.reject(fail("catalog_unreachable", "the catalog is away"));
      },
      locationOf: () => Promise.resolve("/wh/db/t"),
      create: () => Promise.resolve({ kind: "conflict", cause: "exists" }),
      commit: (_name, requirements, updates) => {
        if (!alive()) return gone;
        return new Promise<CommitOutcome>((resolve) => {
          const answer = (outcome: CommitOutcome): void =>
            resolve(
              outcome.kind === "committed"
                ? { ...outcome, table: { ...outcome.table, storage } }
                : outcome,
            );
          const request = {
            writer,
            requirements,
            updates,
            version: this.version,
            sentMs: this.nowMs,
            answer,
          };
          this.pending.push(request);
          this.onRequest(request);
        });
      },
      list: () => Promise.resolve([this.name]),
      close: () => Promise.resolve(),
    };
  }

  /** Applies or refuses a request; the answer arrives when somebody still waits for it. */
  apply(request: Request, reply: "arrives" | "lost"): "applied" | "refused" {
    this.pending = this.pending.filter((each) => each !== request);
    this.nowMs += 10;
    const late = this.compareAndSet === "pointer" && request.version !== this.version;
    const planned = late
      ? { kind: "conflict" as const, reason: "the pointer moved" }
      : planCommit(this.#comparedWith(request), request.requirements, request.updates, {
          timestampMs: this.nowMs,
          previousLocation: `/wh/db/t/metadata/v${this.version}.metadata.json`,
        });
    if (planned.kind === "next") {
      const before = this.metadata;
      const isCurrent = request.version === this.version;
      const { nowMs } = this;
      this.#advance(planned.metadata);
      this.#judge(request.writer, { before, after: planned.metadata, nowMs, isCurrent });
    }
    const outcome: CommitOutcome =
      planned.kind === "next"
        ? { kind: "committed", table: this.loaded() }
        : { kind: "conflict", cause: planned.reason };
    const verb = planned.kind === "next" ? "applied" : "refused";
    this.say(`catalog: ${request.writer}'s request ${verb}, reply ${reply}`);
    request.answer?.(reply === "arrives" ? outcome : { kind: "unknown", cause: "reply lost" });
    request.answer = null;
    return verb;
  }

  #judge(writer: string, applied: Applied): void {
    if (writer === MAINTAINER) {
      this.law.thinning.noteForeign(applied.before, applied.after);
      this.law.expiry.note(applied);
    } else this.law.thinning.note(applied);
  }

  /** The writer gives up waiting; the request is dropped on its way, or may still arrive. */
  giveUp(request: Request, fate: "dropped" | "late"): void {
    if (fate === "dropped") this.pending = this.pending.filter((each) => each !== request);
    this.say(`catalog: ${request.writer} waits no longer, its request is ${fate}`);
    request.answer?.({ kind: "unknown", cause: "timeout" });
    request.answer = null;
  }

  /** The table now; by default with a store of its own that never fails. */
  loaded(storage: Storage = { ...this.storage }): LoadedTable {
    const metadataLocation = `/wh/db/t/metadata/v${this.version}.metadata.json`;
    return { name: this.name, metadata: this.metadata, metadataLocation, storage };
  }

  /** Somebody else's commit: any updates, at once. */
  foreign(updates: readonly TableUpdate[], what: string): void {
    this.nowMs += 10;
    const planned = planCommit(this.metadata, [], updates, {
      timestampMs: this.nowMs,
      previousLocation: `/wh/db/t/metadata/v${this.version}.metadata.json`,
    });
    if (planned.kind === "conflict")
      throw fail("internal", `bad foreign commit: ${planned.reason}`);
    this.law.thinning.noteForeign(this.metadata, planned.metadata);
    this.#advance(planned.metadata);
    this.say(what);
  }

  /** The table, with a last sequence number that a snapshot passes which the catalog does not compare. */
  #comparedWith({ updates }: Request): TableMetadata {
    const added = updates.find((update) => update.action === "add-snapshot");
    const { lastSequenceNumber } = this.metadata;
    if (added?.action !== "add-snapshot" || !this.#takesAnyNumber(added.snapshot)) {
      return this.metadata;
    }
    const before = added.snapshot.sequenceNumber - 1n;
    return before < lastSequenceNumber
      ? { ...this.metadata, lastSequenceNumber: before }
      : this.metadata;
  }

  #takesAnyNumber({ parentSnapshotId }: Snapshot): boolean {
    if (this.compareAndSet === "parented") return parentSnapshotId === null;
    return this.compareAndSet === "nothing";
  }

  /** A person sets the branch of a catalog like Nessie to a state of the table that it had. */
  setTo(metadata: TableMetadata): void {
    this.metadata = metadata;
    this.version++;
    this.say(`a person sets the branch to snapshot ${metadata.currentSnapshotId}`);
  }

  #advance(next: TableMetadata): void {
    this.metadataFiles.set(`/wh/db/t/metadata/v${this.version}.metadata.json`, this.metadata);
    const last = this.metadata.lastSequenceNumber;
    const goesBack = next.lastSequenceNumber < last && this.compareAndSet !== "parented";
    const metadata = goesBack ? { ...next, lastSequenceNumber: last } : next;
    this.metadata = this.showsAncestors ? metadata : headOnly(metadata);
    if (!this.showsAncestors) this.states.push(this.metadata);
    this.version++;
    for (const snapshot of metadata.snapshots) {
      if (!this.history.has(snapshot.snapshotId)) this.history.set(snapshot.snapshotId, snapshot);
    }
  }
}
