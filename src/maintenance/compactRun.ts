/** Counts what a compaction does, over all its plans. */
import { fail } from "#base/errors.ts";
import type { CommitResult } from "#commit/change.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import type { Rewrite } from "#commit/rewrite.ts";
import { isNumbered } from "./compactBatches.ts";
import type { PlannedGroup } from "./compactPlan.ts";
import type { RunCounts } from "./record.ts";
import type { RunOptions } from "./run.ts";
import { VainGroups } from "./vainGroups.ts";

/** What a run replaced, or would replace. */
export interface CompactReport {
  readonly groups: number;
  readonly filesBefore: number;
  /** Null: a dry run does not tell. */
  readonly filesAfter: number | null;
  readonly bytesBefore: number;
  readonly bytesAfter: number | null;
  /** Groups of which pages were copied, and no row was decoded. */
  readonly copied: number;
  /** Files that are sorted as the table says. */
  readonly sorted: number;
  /** Groups that others changed meanwhile, or that waited in vain for a commit of this process: the next run's. */
  readonly left: number;
  /** Groups that the engine cannot write. */
  readonly refused: number;
  /** Why the first of them was refused; null: none was. */
  readonly refusal: string | null;
}

/** A report as the record of runs takes it. */
export function compactCounts(report: CompactReport): RunCounts {
  const { filesBefore, filesAfter, bytesBefore, bytesAfter, groups, left, refused } = report;
  return {
    counts: { groups, files_before: filesBefore, files_after: filesAfter ?? 0, left, refused },
    bytesReclaimed: Math.max(0, bytesBefore - (bytesAfter ?? bytesBefore)),
  };
}

/**
 * How some groups ended. `overtaken`: others changed all of them; `undecided`: they could not be committed, and no others can.
 */
export type End = "done" | "overtaken" | "undecided";

/** A group, by its oldest file. */
function nameOf({ inputs: [first] }: PlannedGroup): string {
  return first?.path ?? "";
}

/** One run. */
export class CompactRun {
  #groups: readonly PlannedGroup[] = [];
  readonly #ended = new Set<PlannedGroup>();
  #begun = 0;
  readonly #refused = new Map<string, string>();
  readonly #vain: VainGroups;
  readonly #inVain = new Set<string>();
  readonly #copies = new Set<string>();
  #report = {
    ...{
      groups: 0,
      filesBefore: 0,
      filesAfter: 0,
      bytesBefore: 0,
      bytesAfter: 0,
      left: 0,
      copied: 0,
      sorted: 0,
    },
  };

  /** @param vain what earlier runs wrote in vain; takes note of what this one does */
  constructor(vain: VainGroups = new VainGroups()) {
    this.#vain = vain;
  }

  /** Takes a plan in the place of what is left of an earlier one. */
  plans(groups: readonly PlannedGroup[]): void {
    this.#groups = groups;
    this.#begun = 0;
  }

  get planned(): CompactReport {
    const groups = this.#groups;
    const filesBefore = groups.reduce((sum, { inputs }) => sum + inputs.length, 0);
    const bytesBefore = groups.reduce((sum, { bytes }) => sum + bytes, 0);
    const counts = {
      groups: groups.length,
      filesBefore,
      bytesBefore,
      left: 0,
      copied: 0,
      sorted: 0,
    };
    return { ...counts, filesAfter: null, bytesAfter: null, refused: 0, refusal: null };
  }

  get report(): CompactReport {
    const [refusal = null] = this.#refused.values();
    return { ...this.#report, refused: this.#refused.size, refusal };
  }

  /** Takes note of a file whose pages were copied. */
  copies(location: string): void {
    this.#copies.add(location);
  }

  refuses(group: PlannedGroup, reason: string): void {
    this.#refused.set(nameOf(group), reason);
  }

  isRefused(group: PlannedGroup): boolean {
    return this.#refused.has(nameOf(group));
  }

  /** Leaves groups alone that changes overtook in earlier runs, for some runs. */
  skips(groups: readonly PlannedGroup[]): void {
    for (const name of groups.map(nameOf)) if (this.#vain.skips(name)) this.#inVain.add(name);
  }

  /** True for a group that changes overtook in this run, or that an earlier one leaves alone for it. */
  isInVain(group: PlannedGroup): boolean {
    return this.#inVain.has(nameOf(group));
  }

  /** What has not ended is for the next run. */
  leavesRest(): void {
    const isLeft = (group: PlannedGroup): boolean =>
      !(this.#ended.has(group) || this.isRefused(group));
    this.#report.left += this.#groups.filter(isLeft).length;
  }

  begins({ onProgress }: RunOptions): void {
    onProgress({
      step: "rewriting groups of files",
      done: this.#begun,
      total: this.#groups.length,
    });
    this.#begun++;
  }

  /** @throws AppError `catalog_unreachable` when a batch was not decided, `usage` when the table was paused */
  ended(
    { name }: CommitTable,
    result: CommitResult,
    { groups }: Rewrite,
    batch: readonly PlannedGroup[],
  ): End {
    switch (result.kind) {
      case "committed":
        this.#count(groups, batch);
        return "done";
      case "dropped":
        this.#overtaken(batch);
        return "overtaken";
      case "paused":
        throw fail("usage", `Table ${name} is paused`, { table: name });
      case "held": {
        const sentence = `Other commits of ${name} came first, or the catalog did not answer; nothing is lost by it`;
        throw fail("catalog_unreachable", sentence, { table: name }, result.cause);
      }
    }
  }

  /** Of groups that changes would overtake again; of others the next plan may take care. */
  #overtaken(groups: readonly PlannedGroup[]): void {
    for (const group of groups) {
      if (isNumbered(group) || this.isRefused(group)) continue;
      this.#inVain.add(nameOf(group));
      this.#vain.overtaken(nameOf(group));
    }
  }

  #count(groups: Rewrite["groups"], batch: readonly PlannedGroup[]): void {
    const report = this.#report;
    const replaced = new Set(groups.flatMap(({ inputs }) => inputs.map(({ path }) => path)));
    const outputs = groups.flatMap(({ output }) => output ?? []);
    const inputs = batch.flatMap((group) => group.inputs).filter(({ path }) => replaced.has(path));
    for (const group of batch) this.#ended.add(group);
    this.#overtaken(batch.filter((group) => !group.inputs.some(({ path }) => replaced.has(path))));
    report.groups += groups.length;
    report.filesBefore += inputs.length;
    report.filesAfter += outputs.length;
    report.copied += outputs.filter(({ filePath }) => this.#copies.has(filePath)).length;
    report.sorted += outputs.filter(({ sortOrderId }) => (sortOrderId ?? 0) > 0).length;
    report.bytesBefore += inputs.reduce((sum, file) => sum + Number(file.sizeBytes), 0);
    report.bytesAfter += outputs.reduce((sum, file) => sum + Number(file.fileSizeBytes), 0);
    report.left += batch.filter((group) => !this.isRefused(group)).length - groups.length;
  }
}
