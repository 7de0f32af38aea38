/**
 * The law of expiry (SPEC section 4, `[maintenance]`), judged from what each of its commits removed
 * and from what is in the store when a run has ended: nothing that somebody may need goes, and nothing
 * stays that nobody can reach. That no remaining snapshot lists a file that is gone, `law.ts` sees.
 */
import { isPaused } from "#commit/properties.ts";
import type { ExpiryPolicy } from "#iceberg/metadata/expiry.ts";
import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import { type Applied, hangs, removedBy } from "./thinningLaw.ts";
import type { World } from "./world.ts";

/** Judges what a maintainer removes. */
export class ExpiryLaw {
  readonly world: World;
  #policy: ExpiryPolicy | null = null;
  #applied: Applied[] = [];
  /** Of the run under way. */
  #last: Applied | null = null;

  constructor(world: World) {
    this.world = world;
  }

  /** A run begins; all runs of a world have one policy. */
  begin(policy: ExpiryPolicy): void {
    this.#policy = policy;
    this.#last = null;
  }

  /** A commit of the maintainer. */
  note(applied: Applied): void {
    this.#applied.push(applied);
    if (removedBy(applied.before, applied.after).length > 0) this.#last = applied;
  }

  /** What is wrong with the commits since the last call. */
  violations(): string[] {
    const applied = this.#applied;
    this.#applied = [];
    return applied.flatMap((each) => this.#judge(each));
  }

  #judge({ before, after, nowMs, isCurrent }: Applied): string[] {
    const removed = removedBy(before, after);
    if (removed.length === 0) return [];
    const broken: string[] = [];
    if (isCurrent && before.properties["gc.enabled"] === "false") {
      broken.push("EXPIRY: snapshots are removed although gc.enabled is false");
    }
    if (isCurrent && isPaused({ ...this.world.loaded(), metadata: before })) {
      broken.push("EXPIRY: snapshots are removed although the table is paused");
    }
    if (hangs(after) && !hangs(before)) {
      broken.push("EXPIRY: the head is left without a snapshot that has all offsets");
    }
    const keepAllMs = this.#policy?.keepAllMs ?? 0;
    for (const { snapshotId, timestampMs } of removed) {
      if (keepAllMs > 0 && nowMs - timestampMs <= keepAllMs) {
        broken.push(`EXPIRY: ${snapshotId} was needed by whoever began before it`);
      }
    }
    return broken;
  }

  /** What is left in the store of the snapshots that the run which has just ended removed. */
  async ended(): Promise<string[]> {
    const applied = this.#last;
    this.#last = null;
    if (applied === null) return [];
    const { storage, metadata } = this.world;
    const reached = new Set<string>();
    // Who expires meanwhile leaves files, too: those are not this run's.
    for (const snapshot of [...applied.after.snapshots, ...metadata.snapshots]) {
      for (const path of await this.#pathsOf(snapshot)) reached.add(path);
    }
    for (const snapshot of removedBy(applied.before, applied.after)) {
      for (const path of await this.#pathsOf(snapshot)) {
        if (!reached.has(path) && storage.objects.has(path)) {
          return [`LEFT BEHIND: ${path} of snapshot ${snapshot.snapshotId}`];
        }
      }
    }
    return [];
  }

  /** Files that nobody can reach and that a run which has just ended should have removed. */
  async orphansLeft(olderThanMs: number): Promise<string[]> {
    const { storage, metadata } = this.world;
    const reached = new Set<string>();
    for (const snapshot of metadata.snapshots) {
      for (const path of await this.#pathsOf(snapshot)) reached.add(path);
    }
    const left = [...storage.objects].find(
      ([path, { modifiedMs }]) => modifiedMs < olderThanMs && !reached.has(path),
    );
    return left === undefined ? [] : [`ORPHAN LEFT: ${left[0]}`];
  }

  async #pathsOf({ snapshotId }: Snapshot): Promise<Iterable<string>> {
    return (await this.world.law.content(snapshotId)).paths;
  }
}
