/**
 * The law of thinning (SPEC section 4, `[maintenance]`), judged from what each commit removed: own
 * appends only, none that another engine may still need, none whose data files nobody names then.
 */
import type { Snapshot, SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import type { World } from "./world.ts";

/** A commit of a writer that was applied. */
export interface Applied {
  readonly before: TableMetadata;
  readonly after: TableMetadata;
  readonly nowMs: number;
  /** False when somebody changed the table after the writer had loaded it. */
  readonly isCurrent: boolean;
}

/** Judges what commits remove. */
export class ThinningLaw {
  readonly world: World;
  /** Snapshots that others have expired: what they show is gone with them. */
  readonly #expired = new Set<SnapshotId>();
  #applied: Applied[] = [];

  constructor(world: World) {
    this.world = world;
  }

  /** A writer's commit. */
  note(applied: Applied): void {
    this.#applied.push(applied);
  }

  /** Somebody else's commit. */
  noteForeign(before: TableMetadata, after: TableMetadata): void {
    for (const { snapshotId } of removedBy(before, after)) this.#expired.add(snapshotId);
  }

  /** What is wrong with the commits since the last call. */
  async violations(): Promise<string[]> {
    const applied = this.#applied;
    this.#applied = [];
    const broken: string[] = [];
    for (const each of applied) broken.push(...(await this.#judge(each)));
    return broken;
  }

  async #judge({ before, after, nowMs, isCurrent }: Applied): Promise<string[]> {
    const removed = removedBy(before, after);
    if (removed.length === 0) return [];
    const broken: string[] = [];
    if (hangs(after) && !hangs({ ...after, snapshots: before.snapshots.concat(after.snapshots) })) {
      broken.push("THINNING: the head's offsets add to a snapshot that was thinned");
    }
    if (isCurrent && before.properties["gc.enabled"] === "false") {
      broken.push("THINNING: snapshots are removed although gc.enabled is false");
    }
    const named = new Set<string>();
    for (const { snapshotId } of after.snapshots) {
      for (const path of (await this.world.law.content(snapshotId)).files) named.add(path);
    }
    for (const snapshot of removed) {
      broken.push(...this.#needless(snapshot, nowMs));
      const { files } = await this.world.law.content(snapshot.snapshotId);
      const lost = files.find((path) => !named.has(path));
      if (lost === undefined || (await this.#wasNamedByExpired(lost))) continue;
      if (this.#canBeKnown(snapshot, before)) {
        broken.push(`UNDELETABLE: ${lost} after snapshot ${snapshot.snapshotId} was thinned`);
      }
    }
    return broken;
  }

  #needless({ snapshotId, summary, timestampMs }: Snapshot, nowMs: number): string[] {
    const isOurs = summary["kafka-iceberg.commit-id"] !== undefined;
    const keepAllMs = this.world.thinning?.keepAllMs ?? Number.POSITIVE_INFINITY;
    if (!isOurs || summary["operation"] !== "append") {
      return [`THINNING: ${snapshotId} is no append of ours`];
    }
    return nowMs - timestampMs > keepAllMs
      ? []
      : [`THINNING: ${snapshotId} was needed by whoever began before it`];
  }

  /** True when others have expired a snapshot that named the file, and could have deleted it. */
  async #wasNamedByExpired(path: string): Promise<boolean> {
    for (const id of this.#expired) {
      if ((await this.world.law.content(id)).files.includes(path)) return true;
    }
    return false;
  }

  /** False when others have expired the snapshots that show what this one is for. */
  #canBeKnown(snapshot: Snapshot, before: TableMetadata): boolean {
    const { history } = this.world;
    const chain = new Set<SnapshotId>();
    const parentOf = (id: SnapshotId): SnapshotId | null =>
      history.get(id)?.parentSnapshotId ?? null;
    for (let id = before.currentSnapshotId; id !== null; id = parentOf(id)) chain.add(id);
    const line: SnapshotId[] = [];
    for (let id: SnapshotId | null = snapshot.snapshotId; id !== null; id = parentOf(id)) {
      line.push(id);
      if (chain.has(id)) break;
    }
    const relatives = [...history.values()].filter(
      ({ parentSnapshotId }) => parentSnapshotId !== null && line.includes(parentSnapshotId),
    );
    return ![...line, ...relatives.map((each) => each.snapshotId)].some((id) =>
      this.#expired.has(id),
    );
  }
}

/** Snapshots that a commit took out of the metadata. */
export function removedBy(before: TableMetadata, after: TableMetadata): Snapshot[] {
  const left = new Set(after.snapshots.map(({ snapshotId }) => snapshotId));
  return before.snapshots.filter(({ snapshotId }) => !left.has(snapshotId));
}

/** True when no full document can be reached from the head. */
export function hangs({ snapshots, currentSnapshotId }: TableMetadata): boolean {
  const byId = new Map(snapshots.map((each) => [each.snapshotId, each]));
  let at = byId.get(currentSnapshotId ?? 0n);
  while (at !== undefined) {
    if (at.summary["kafka-iceberg.offsets"]?.startsWith('{"v":1') === true) return false;
    at = byId.get(at.parentSnapshotId ?? 0n);
  }
  return true;
}
