/**
 * The rules of exactly once as pure functions of a freshly loaded head (SPEC 2.3, 2.4). The
 * simulator (`test/sim/`) shows that each line is needed: it finds every mutation of this file.
 */
import type { Feed } from "#base/offsets.ts";
import type { CatalogTraits } from "#catalog/catalog.ts";
import type { Snapshot, SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { refOf, visibleChain } from "./progress.ts";
import {
  offsetOf,
  ownerOf,
  type ProgressDocument,
  SUMMARY,
  sourceKey,
} from "./progressDocument.ts";

/** A wish to move one feed's committed offset. */
export interface Advance {
  readonly feed: Feed;
  /** What the head must say now; null for a first position: the head must have no entry. */
  readonly expect: bigint | null;
  readonly next: bigint;
  /** Rows of the feed that the commit gives the table. */
  readonly rows: bigint;
  /** Leader epoch of the last batch below `next`, where it is known. */
  readonly leaderEpoch?: number | undefined;
  /**
   * Who owned the feed when its records were read, which the head must still say (SPEC 2.8). Default:
   * nobody did.
   */
  readonly owner?: string | undefined;
  /** Names a new owner, whoever the old one is. */
  readonly claims?: string | undefined;
}

/** What was sent to the catalog and not answered. */
export interface SentAttempt {
  readonly commitId: string;
  readonly snapshot: Snapshot;
  readonly baseSnapshotId: SnapshotId | null;
  /** last-sequence-number of the metadata that the attempt was built on. */
  readonly baseSequenceNumber: bigint;
  /** The table property that goes with the snapshot (SPEC 2.1). */
  readonly property: string;
}

/**
 * Rules 3 and 8: which advances the head admits. The others are fenced: somebody else has committed the
 * feed or owns it, rolled the table back, or re-created the topic.
 */
export function admit(
  document: ProgressDocument,
  advances: readonly Advance[],
): { admitted: Advance[]; fenced: Advance[] } {
  const admitted: Advance[] = [];
  const fenced: Advance[] = [];
  for (const advance of advances) {
    const sameOffset = offsetOf(document, advance.feed) === advance.expect;
    const source = document.sources.get(sourceKey(advance.feed));
    const sameTopic = source === undefined || source.topicId === advance.feed.topicId;
    const sameOwner =
      advance.claims !== undefined || ownerOf(document, advance.feed) === advance.owner;
    (sameOffset && sameTopic && sameOwner ? admitted : fenced).push(advance);
  }
  return { admitted, fenced };
}

/** Where a commit id was found. */
export type Sighting =
  | { readonly kind: "on-chain"; readonly snapshotId: SnapshotId }
  /** Visible, but not an ancestor of the head: a person rolled it back. */
  | { readonly kind: "off-chain"; readonly snapshotId: SnapshotId }
  | { readonly kind: "absent" };

/** Looks for a commit id in every visible snapshot, on the branch's chain or not. */
export function findCommit(metadata: TableMetadata, branch: string, commitId: string): Sighting {
  const has = (snapshot: Snapshot): boolean => snapshot.summary[SUMMARY.commitId] === commitId;
  const onChain = visibleChain(metadata, branch).find(has);
  if (onChain !== undefined) return { kind: "on-chain", snapshotId: onChain.snapshotId };
  const anywhere = metadata.snapshots.find(has);
  return anywhere === undefined
    ? { kind: "absent" }
    : { kind: "off-chain", snapshotId: anywhere.snapshotId };
}

/** What became of an attempt whose answer was lost. */
export type Verdict =
  | { readonly kind: "landed"; readonly snapshotId: SnapshotId }
  /** Not applied yet and still applicable: send the same snapshot again. */
  | { readonly kind: "undecided" }
  /** Rolled back, passed or not landed: its rows are dropped and their feeds sought anew. */
  | { readonly kind: "lost"; readonly reason: string };

/** Rule 4: resolves an unknown outcome from the newest metadata. */
export function resolveUnknown(
  metadata: TableMetadata,
  branch: string,
  attempt: SentAttempt,
): Verdict {
  const sighting = findCommit(metadata, branch, attempt.commitId);
  if (sighting.kind === "on-chain") return { kind: "landed", snapshotId: sighting.snapshotId };
  if (sighting.kind === "off-chain") return { kind: "lost", reason: "rolled back by a person" };
  if (refOf(metadata, branch) !== attempt.baseSnapshotId) {
    return { kind: "lost", reason: "the head moved without it" };
  }
  return metadata.lastSequenceNumber === attempt.baseSequenceNumber
    ? { kind: "undecided" }
    : { kind: "lost", reason: "the table's sequence number passed it" };
}

/** Whether an attempt's files may be removed by their writer. */
export type Removal =
  | { readonly kind: "now"; readonly inspect: readonly Snapshot[] }
  /** The request may still be applied: ask again later. */
  | { readonly kind: "later" }
  /** It cannot be known that nobody lists them: the orphan cleaner's work. */
  | { readonly kind: "never"; readonly reason: string };

/** Requests of one commit that left the process, by the sequence numbers they build on. */
export interface SentBases {
  /** Of the first request: what came after it may list the files. */
  readonly first: bigint;
  /**
   * Of the last request without an answer: until it is passed, it may still be applied. Null when
   * the catalog has refused every request for certain.
   */
  readonly last: bigint | null;
  /** True when the snapshot of a request without an answer has no parent. */
  readonly parentless: boolean;
}

/**
 * Rule 4, last part: files may go only when no visible snapshot after the first base is ours or
 * lists a file (`inspect`: the caller reads those). While a request has no answer, every sequence
 * number after the first base must be held by a visible snapshot, too, and the last request must be
 * passed.
 * @param sent null when no request with these files ever left the process
 */
export function mayRemove(
  metadata: TableMetadata,
  commitId: string,
  sent: SentBases | null,
  traits: Pick<CatalogTraits, "showsAncestors" | "endsLateRequests">,
): Removal {
  if (metadata.snapshots.some((s) => s.summary[SUMMARY.commitId] === commitId)) {
    return { kind: "never", reason: "a visible snapshot has the commit id" };
  }
  if (sent === null) return { kind: "now", inspect: [] };
  if (!traits.showsAncestors) return { kind: "never", reason: "the catalog hides snapshots" };
  const after = metadata.snapshots.filter((s) => s.sequenceNumber > sent.first);
  if (sent.last === null) return { kind: "now", inspect: after };
  if (mayComeLate(sent, traits)) return { kind: "never", reason: "the request may come late" };
  if (metadata.lastSequenceNumber <= sent.last) return { kind: "later" };
  const held = new Set(after.map((snapshot) => snapshot.sequenceNumber));
  if (BigInt(held.size) !== metadata.lastSequenceNumber - sent.first) {
    return { kind: "never", reason: "a snapshot after its base has expired" };
  }
  return { kind: "now", inspect: after };
}

/** Whether nothing in the catalog ever ends a request without an answer. */
function mayComeLate(
  { parentless }: SentBases,
  { endsLateRequests }: Pick<CatalogTraits, "endsLateRequests">,
): boolean {
  switch (endsLateRequests) {
    case "all":
      return false;
    case "with-parent":
      return parentless;
    case "none":
      return true;
  }
}
