/**
 * A compaction that follows the rules of SPEC 2.3 and 2.4, for as long as the product has none: it
 * replaces all live files by one, requires on every attempt that its inputs are live, and carries
 * the offsets of the head. It stands for rewrites in schedules and in the model's traces.
 */
import type { CommitOutcome, LoadedTable } from "#catalog/catalog.ts";
import { Ledger } from "#commit/ledger.ts";
import { type Progress, progressProperty } from "#commit/progress.ts";
import { type ProgressDocument, SUMMARY } from "#commit/progressDocument.ts";
import { ProgressReader } from "#commit/progressSearch.ts";
import { writeDocument, writeProperty } from "#commit/progressText.ts";
import { removeLeftover } from "#commit/removal.ts";
import { resolveUnknown, type SentAttempt } from "#commit/rules.ts";
import type { Snapshot, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { stageRewrite } from "./rewriteStage.ts";
import { COORDINATES, readCoordinates } from "./rows.ts";
import { NAME, type World } from "./world.ts";

interface Rewrite {
  readonly beganMs: number;
  readonly commitId: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly rows: bigint;
  readonly written: string[];
  sent: SentAttempt | null;
  state: "waits" | "conflict" | "unknown";
}

/** Committed offsets as the writer reads them. */
export function progressOf(world: World): Promise<Progress> {
  const rows = { columns: COORDINATES, read: readCoordinates };
  return new ProgressReader("main", rows, world.showsAncestors).read(world.loaded());
}

/** Rewrites one table; at most one rewrite is under way. */
export class Rewriter {
  readonly world: World;
  readonly name: string;
  /** Files of dropped rewrites, which it may remove when the rules allow it. */
  #duties: Rewrite[] = [];
  #rewrite: Rewrite | null = null;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
  }

  /** Whatever is next: begin, go on after a conflict or without an answer, or tidy up. */
  async act(): Promise<void> {
    const rewrite = this.#rewrite;
    if (rewrite === null) {
      await this.discharge();
      await this.begin();
    } else if (rewrite.state === "conflict") await this.#attempt(rewrite);
    else if (rewrite.state === "unknown") await this.resolve();
    else if (this.world.random.unit() < 0.1) this.crash();
  }

  /** Reads the head's files, writes one that holds their rows, sends the first attempt. */
  async begin(): Promise<boolean> {
    const { world } = this;
    const head = world.metadata.currentSnapshotId;
    if (head === null || (await progressOf(world)).kind === "unreadable") return false;
    const { files, rows } = await world.law.content(head);
    if (files.length < 2) return false;
    const pairs = [...rows].flatMap(([partition, all]) => all.map((number) => [partition, number]));
    const output = `/wh/db/t/data/rewrite-${world.random.uuid()}.parquet`;
    await world.storage.put(output, new TextEncoder().encode(JSON.stringify(pairs)));
    const commitId = world.random.uuid();
    this.#rewrite = {
      beganMs: world.nowMs,
      commitId,
      inputs: files,
      output,
      rows: BigInt(pairs.length),
      written: [output],
      sent: null,
      state: "conflict",
    };
    await this.#attempt(this.#rewrite);
    return true;
  }

  async #attempt(rewrite: Rewrite): Promise<void> {
    const { world } = this;
    const head = world.metadata.currentSnapshotId;
    const progress = await progressOf(world);
    const live = head === null ? [] : (await world.law.content(head)).files;
    const inputsLive =
      rewrite.inputs.every((path) => live.includes(path)) && live.length === rewrite.inputs.length;
    if (head === null || progress.kind === "unreadable" || !inputsLive) return this.#drop(rewrite);
    if (this.#isTooOld(rewrite)) return this.#drop(rewrite);
    const snapshot = await this.#stage(rewrite, progress.document);
    const attempt: SentAttempt = {
      commitId: rewrite.commitId,
      snapshot,
      baseSnapshotId: head,
      baseSequenceNumber: world.metadata.lastSequenceNumber,
      property: writeProperty(progress.document, snapshot),
    };
    this.#send(rewrite, attempt);
  }

  #send(rewrite: Rewrite, attempt: SentAttempt): void {
    const { world } = this;
    const { snapshot } = attempt;
    world.say(`${this.name} sends a rewrite of ${rewrite.inputs.length} files`);
    rewrite.sent = attempt;
    rewrite.state = "waits";
    const settle = (outcome: CommitOutcome): void => {
      if (this.#rewrite !== rewrite) return;
      if (outcome.kind === "committed") this.#rewrite = null;
      else rewrite.state = outcome.kind;
    };
    const value = {
      snapshotId: snapshot.snapshotId,
      type: "branch" as const,
      minSnapshotsToKeep: null,
      maxSnapshotAgeMs: null,
      maxRefAgeMs: null,
    };
    const properties = { [progressProperty("main")]: attempt.property };
    const updates: TableUpdate[] = [
      { action: "add-snapshot", snapshot },
      { action: "set-snapshot-ref", ref: "main", value },
      { action: "set-properties", properties },
    ];
    world.pending.push({
      writer: this.name,
      requirements: [
        { type: "assert-ref-snapshot-id", ref: "main", snapshotId: attempt.baseSnapshotId },
      ],
      updates,
      version: world.version,
      sentMs: world.nowMs,
      answer: settle,
    });
  }

  async #stage(rewrite: Rewrite, document: ProgressDocument): Promise<Snapshot> {
    const staged = await stageRewrite(this.world, {
      output: rewrite.output,
      rows: rewrite.rows,
      name: `${rewrite.commitId}-${rewrite.written.length}`,
      summary: {
        [SUMMARY.commitId]: rewrite.commitId,
        [SUMMARY.offsets]: writeDocument(document),
        [SUMMARY.group]: "g",
      },
    });
    rewrite.written.push(...staged.written);
    return staged.snapshot;
  }

  /** Rule 4 for the rewrite whose answer is missing. */
  async resolve(): Promise<void> {
    const rewrite = this.#rewrite;
    if (rewrite?.sent == null || rewrite.state !== "unknown") return;
    const verdict = resolveUnknown(this.world.metadata, "main", rewrite.sent);
    this.world.say(`${this.name} resolves its rewrite: ${verdict.kind}`);
    if (verdict.kind === "landed") this.#rewrite = null;
    else if (verdict.kind === "lost" || this.#isTooOld(rewrite)) this.#drop(rewrite);
    else this.#send(rewrite, rewrite.sent);
  }

  /** Rule 10l. */
  #isTooOld({ beganMs }: Rewrite): boolean {
    return this.world.nowMs - beganMs > this.world.filesAgeMsMax;
  }

  #drop(rewrite: Rewrite): void {
    this.world.say(`${this.name} drops its rewrite`);
    this.#rewrite = null;
    this.#duties.push(rewrite);
  }

  /** Memory is lost, the log is kept. */
  crash(): void {
    this.world.say(`${this.name} crashes`);
    for (const request of this.world.pending) {
      if (request.writer === this.name) request.answer = null;
    }
    if (this.#rewrite !== null) this.#duties.push(this.#rewrite);
    this.#rewrite = null;
  }

  /** Removes files of dropped rewrites where rule 4 allows it. */
  async discharge(): Promise<void> {
    const head: LoadedTable = { ...this.world.loaded(), name: NAME };
    const still: Rewrite[] = [];
    for (const duty of this.#duties) {
      const ledger = new Ledger(duty.commitId);
      ledger.plan(duty.written);
      ledger.store(duty.written);
      if (duty.sent !== null) {
        const { snapshot, baseSequenceNumber } = duty.sent;
        ledger.send(snapshot, duty.written, baseSequenceNumber);
      }
      const result = await removeLeftover(head, this.world.traits, ledger);
      if (result.kind === "later") still.push(duty);
    }
    this.#duties = still;
  }
}
