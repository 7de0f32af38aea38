/**
 * The world of the writer simulation: one table, a topic with holes in its offsets, writers that
 * crash and come back as zombies, a catalog whose answers get lost, people and foreign engines.
 *
 * Determinism: one seed decides everything. Only one writer runs at a time; it runs until its call
 * ends or until it waits for the catalog's answer, which the schedule gives, loses or delays.
 */

import { fail } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";
import { type Random, seededRandom } from "#base/random.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { stageAppend } from "#iceberg/append.ts";
import type { Catalog, CommitOutcome, LoadedTable, TableName } from "#iceberg/catalog/catalog.ts";
import type {
  SnapshotId,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "#iceberg/metadata.ts";
import { newTableMetadata } from "#iceberg/newTable.ts";
import { listDataFiles } from "#iceberg/scan.ts";
import { planCommit } from "#iceberg/updates.ts";
import { headOf, offsetOf, parseDocument, SUMMARY, visibleChain } from "#writer/progress.ts";
import { createMemoryStorage, type MemoryStorage } from "../fakes/memoryStorage.ts";
import { columns, FIELDS, foreignFile, holes } from "./rows.ts";

/** The one table of a world. */
export const NAME: TableName = { database: "db", table: "t" };

/** What a catalog compares when it applies a commit. */
export type CompareAndSet = "sequence" | "pointer";

/** A commit on its way to the catalog. */
export interface Request {
  readonly writer: string;
  readonly requirements: readonly TableRequirement[];
  readonly updates: readonly TableUpdate[];
  /** Version of the metadata pointer when it was sent. */
  readonly version: number;
  answer: ((outcome: CommitOutcome) => void) | null;
}

/** A world and what may happen in it. */
export class World {
  readonly random: Random;
  readonly storage: MemoryStorage;
  readonly compareAndSet: CompareAndSet;
  readonly topicId = "00000000-0000-4000-8000-000000000001";
  /** Offsets that hold a visible record, per partition; not dense. */
  readonly records: number[][];
  nowMs = 1_700_000_000_000;
  metadata: TableMetadata;
  version = 1;
  /** Requests that were sent and neither applied nor lost. */
  pending: Request[] = [];
  storageFault: "before" | "after" | null = null;
  loadFails = false;
  /** Told to every writer that waits: a request arrived. */
  onRequest: (request: Request) => void = () => undefined;
  readonly trace: string[] = [];

  constructor(seed: number, compareAndSet: CompareAndSet, partitions = 2) {
    this.random = seededRandom(seed);
    this.compareAndSet = compareAndSet;
    this.storage = createMemoryStorage({
      nowMs: () => this.nowMs,
      fault: (operation) => this.#fault(operation),
    });
    this.records = Array.from({ length: partitions }, () => holes(this.random));
    this.metadata = newTableMetadata({
      uuid: "11111111-1111-4111-8111-111111111111",
      location: "/wh/db/t",
      fields: FIELDS,
      spec: () => ({ specId: 0, fields: [] }),
      formatVersion: this.random.unit() < 0.3 ? 3 : 2,
      properties: {},
      timestampMs: this.nowMs,
    });
  }

  /** A feed of the topic. */
  feed(partition: number): Feed {
    return { clusterId: "c", topic: "t", topicId: this.topicId, partition };
  }

  /** The end of a partition's log. */
  logEnd(partition: number): bigint {
    return BigInt((this.records[partition]?.at(-1) ?? -1) + 3);
  }

  say(line: string): void {
    this.trace.push(line);
  }

  /** A whole number below `n`. */
  below(n: number): number {
    return Math.floor(this.random.unit() * n);
  }

  #fault(operation: string): "before" | "after" | null {
    if (operation === "remove") return null;
    const fault = this.storageFault;
    this.storageFault = null;
    return fault;
  }

  /** The catalog as one writer sees it; `alive` false: its calls never return. */
  catalog(writer: string, alive: () => boolean): Catalog {
    const gone = new Promise<never>(() => undefined);
    const table = (): LoadedTable => ({
      name: NAME,
      metadata: this.metadata,
      metadataLocation: `/wh/db/t/metadata/v${this.version}.metadata.json`,
    });
    return {
      traits: {
        type: "fake",
        showsAncestors: true,
        lateRequestsEndBy: this.compareAndSet,
      },
      open: () => Promise.resolve(),
      load: () => {
        if (!alive()) return gone;
        if (!this.loadFails) return Promise.resolve(table());
        this.loadFails = false;
        return Promise.reject(fail("catalog_unreachable", "the catalog is away"));
      },
      defaultLocation: () => "/wh/db/t",
      create: () => Promise.resolve({ kind: "conflict", cause: "exists" }),
      commit: (_name, requirements, updates) => {
        if (!alive()) return gone;
        return new Promise<CommitOutcome>((answer) => {
          const request = { writer, requirements, updates, version: this.version, answer };
          this.pending.push(request);
          this.onRequest(request);
        });
      },
      list: () => Promise.resolve([NAME]),
      close: () => Promise.resolve(),
    };
  }

  /** Applies or refuses a request; the answer arrives when somebody still waits for it. */
  apply(request: Request, reply: "arrives" | "lost"): void {
    this.pending = this.pending.filter((each) => each !== request);
    this.nowMs += 10;
    const late = this.compareAndSet === "pointer" && request.version !== this.version;
    const planned = late
      ? { kind: "conflict" as const, reason: "the pointer moved" }
      : planCommit(this.metadata, request.requirements, request.updates, {
          timestampMs: this.nowMs,
          previousLocation: `/wh/db/t/metadata/v${this.version}.metadata.json`,
        });
    if (planned.kind === "next") {
      this.metadata = planned.metadata;
      this.version++;
    }
    const outcome: CommitOutcome =
      planned.kind === "next"
        ? { kind: "committed", table: this.#loaded() }
        : { kind: "conflict", cause: planned.reason };
    this.say(
      `catalog: ${request.writer}'s request ${planned.kind === "next" ? "applied" : "refused"}, reply ${reply}`,
    );
    request.answer?.(reply === "arrives" ? outcome : { kind: "unknown", cause: "reply lost" });
    request.answer = null;
  }

  /** The writer gives up waiting; the request is dropped on its way, or may still arrive. */
  giveUp(request: Request, fate: "dropped" | "late"): void {
    if (fate === "dropped") this.pending = this.pending.filter((each) => each !== request);
    this.say(`catalog: ${request.writer} waits no longer, its request is ${fate}`);
    request.answer?.({ kind: "unknown", cause: "timeout" });
    request.answer = null;
  }

  #loaded(): LoadedTable {
    return { name: NAME, metadata: this.metadata, metadataLocation: `v${this.version}` };
  }

  /** Somebody else's commit: any updates, at once. */
  foreign(updates: readonly TableUpdate[], what: string): void {
    this.nowMs += 10;
    const planned = planCommit(this.metadata, [], updates, { timestampMs: this.nowMs });
    if (planned.kind === "conflict")
      throw fail("internal", `bad foreign commit: ${planned.reason}`);
    this.metadata = planned.metadata;
    this.version++;
    this.say(what);
  }

  /** Another engine appends rows of its own. */
  async foreignAppend(): Promise<void> {
    const path = `/wh/db/t/data/foreign-${this.random.uuid()}.parquet`;
    await this.storage.put(path, new TextEncoder().encode("[]"));
    const staged = await stageAppend({
      storage: this.storage,
      metadata: this.metadata,
      branch: "main",
      snapshotId: this.random.id63(),
      timestampMs: this.nowMs,
      files: [foreignFile(path)],
      summary: {},
      nameSuffix: this.random.uuid(),
    });
    this.foreign(staged.updates, `foreign append as snapshot ${staged.snapshot.snapshotId}`);
  }

  /** A person sets the branch back to a visible snapshot. */
  rollback(snapshotId: SnapshotId): void {
    const value = {
      snapshotId,
      type: "branch" as const,
      minSnapshotsToKeep: null,
      maxSnapshotAgeMs: null,
      maxRefAgeMs: null,
    };
    const update: TableUpdate = { action: "set-snapshot-ref", ref: "main", value };
    this.foreign([update], `a person rolls back to snapshot ${snapshotId}`);
  }

  /** Another engine expires these snapshots; files are not touched. */
  expire(snapshotIds: readonly SnapshotId[]): void {
    const update: TableUpdate = { action: "remove-snapshots", snapshotIds };
    this.foreign([update], `foreign expiry of ${snapshotIds.join(", ")}`);
  }

  /** Ancestors of the head, head first. */
  chain(): SnapshotId[] {
    return visibleChain(this.metadata, "main").map((snapshot) => snapshot.snapshotId);
  }

  /** Every way in which the law is broken now; empty when it holds. */
  async violations(): Promise<string[]> {
    const broken: string[] = [];
    for (const snapshot of this.metadata.snapshots) {
      const rows = await this.#rowsOf(snapshot.snapshotId, broken);
      const text = snapshot.summary[SUMMARY.offsets];
      if (text === undefined) continue;
      const document = parseDocument(text);
      for (const partition of this.records.keys()) {
        const end = offsetOf(document, this.feed(partition));
        const seen = rows.get(partition) ?? [];
        this.#compare(`${snapshot.snapshotId} p${partition}`, partition, end, seen, broken);
      }
    }
    return broken;
  }

  #compare(
    where: string,
    partition: number,
    end: bigint | null,
    seen: readonly number[],
    broken: string[],
  ): void {
    const wanted = (this.records[partition] ?? []).filter((offset) => BigInt(offset) < (end ?? 0n));
    const unique = new Set(seen);
    if (unique.size !== seen.length) broken.push(`DOUBLED in snapshot ${where}`);
    if (wanted.some((offset) => !unique.has(offset))) broken.push(`LOST in snapshot ${where}`);
    if (seen.some((offset) => BigInt(offset) >= (end ?? 0n))) broken.push(`AHEAD in ${where}`);
  }

  async #rowsOf(id: SnapshotId, broken: string[]): Promise<Map<number, number[]>> {
    const rows = new Map<number, number[]>();
    try {
      for await (const { file } of listDataFiles(this.storage, this.metadata, id)) {
        const content = await this.storage.get(file.filePath);
        for (const [partition, offset] of JSON.parse(new TextDecoder().decode(content))) {
          rows.set(partition, [...(rows.get(partition) ?? []), offset]);
        }
      }
    } catch (error) {
      const what = id === headOf(this.metadata, "main") ? "DANGLING" : "BROKEN HISTORY";
      broken.push(`${what}: snapshot ${id}: ${error}`);
    }
    return rows;
  }

  /** Rows of one partition from `start` to `end` as a column batch. */
  batch(partition: number, start: bigint, end: bigint): ColumnBatch | null {
    const offsets = (this.records[partition] ?? []).filter(
      (offset) => BigInt(offset) >= start && BigInt(offset) < end,
    );
    return offsets.length === 0 ? null : columns(partition, offsets);
  }
}
