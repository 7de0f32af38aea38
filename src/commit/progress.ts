/**
 * Progress in the table (SPEC 2.1, 2.2): how committed offsets are read back from a head. Pure; no
 * I/O. Where a head alone does not tell, `progressSearch.ts` goes on.
 *
 * Every snapshot of ours holds offsets in its summary, and the same commit sets a table property with
 * the snapshot's id and all offsets. The nearest visible ancestor decides, whatever its branch was
 * called when it was written. When its summary holds only what it moved, the rest comes from the
 * property, if that is its own, else from the snapshots that it adds to.
 */
import type { Snapshot, SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { emptyDocument, type ProgressDocument, SUMMARY, withDelta } from "./progressDocument.ts";
import {
  parseDocument,
  propertySequenceNumber,
  propertySnapshotId,
  summaryDocument,
} from "./progressText.ts";

/** What a head says about progress. */
export type Progress =
  | {
      readonly kind: "readable";
      readonly document: ProgressDocument;
      /** True when the head itself is a snapshot of ours. */
      readonly headIsOurs: boolean;
      /** Consumer group of the snapshot that decided; empty when none. */
      readonly group: string;
      /** The snapshot that decided; null: none, or one that is known by the property only. */
      readonly decidedBy: Snapshot | null;
    }
  /** The head does not tell; only a person can say, unless others can (`progressSearch.ts`). */
  | { readonly kind: "unreadable"; readonly reason: string };

/** What the names of progress properties begin with; the branch follows. */
const PROPERTY = "kafka-iceberg.progress.";

/** Name of the table property of a branch. */
export function progressProperty(branch: string): string {
  return `${PROPERTY}${branch}`;
}

/** The snapshots of the branch from the head to the oldest that is visible, or among `earlier`. */
export function visibleChain(
  metadata: TableMetadata,
  branch: string,
  earlier: readonly Snapshot[] = [],
): Snapshot[] {
  const all = earlier.length === 0 ? metadata.snapshots : [...earlier, ...metadata.snapshots];
  const byId = new Map(all.map((snapshot) => [snapshot.snapshotId, snapshot]));
  const chain: Snapshot[] = [];
  let id: SnapshotId | null = headOf(metadata, branch);
  while (id !== null) {
    const snapshot = byId.get(id);
    if (snapshot === undefined) break;
    chain.push(snapshot);
    id = snapshot.parentSnapshotId;
  }
  return chain;
}

/** The snapshot that a branch's next commit follows; a missing branch begins at main's head. */
export function headOf(metadata: TableMetadata, branch: string): SnapshotId | null {
  return metadata.refs[branch]?.snapshotId ?? metadata.currentSnapshotId;
}

/** The snapshot that a commit demands of the branch; null while the branch does not exist. */
export function refOf(metadata: TableMetadata, branch: string): SnapshotId | null {
  return branch === "main" ? headOf(metadata, branch) : (metadata.refs[branch]?.snapshotId ?? null);
}

/**
 * Reads progress from a head (SPEC 2.2).
 * @param earlier snapshots that were removed from the metadata, as earlier metadata files have them
 * @param showsAncestors as the catalog's trait of that name
 * @throws AppError `progress` when a document is damaged or of a newer release
 */
export function readProgress(
  metadata: TableMetadata,
  branch: string,
  earlier: readonly Snapshot[] = [],
  showsAncestors = true,
): Progress {
  const chain = visibleChain(metadata, branch, earlier);
  const index = chain.findIndex(({ summary }) => summary[SUMMARY.offsets] !== undefined);
  const nearest = chain[index];
  if (nearest === undefined) {
    return showsAncestors
      ? fromProperty(metadata, branch, chain.at(-1))
      : fromHiddenAncestor(metadata, branch, chain[0]);
  }
  const document = documentOf(metadata, chain.slice(index));
  if (document === null) {
    const reason = `snapshot ${nearest.snapshotId} holds only the offsets that it moved, and the snapshots that it adds to are not visible`;
    return { kind: "unreadable", reason };
  }
  return {
    kind: "readable",
    document: { ...document, branch },
    headIsOurs: index === 0,
    group: nearest.summary[SUMMARY.group] ?? "",
    decidedBy: nearest,
  };
}

/** All offsets as of the first snapshot of a chain, one of ours; null when they are not to be had. */
function documentOf(metadata: TableMetadata, chain: readonly Snapshot[]): ProgressDocument | null {
  const deltas = [];
  let wanted: SnapshotId | null = null;
  for (const snapshot of chain) {
    const found = summaryDocument(snapshot);
    if (found === null) continue;
    // Another one between: what the delta adds to is not this snapshot's.
    if (wanted !== null && snapshot.snapshotId !== wanted) return null;
    const full = found.kind === "full" ? found.document : propertyOf(metadata, snapshot);
    if (full !== null) {
      const document = deltas.reduceRight(withDelta, full);
      const depth = (full.base?.depth ?? 0) + deltas.length;
      return {
        ...document,
        base: { snapshotId: chain[0]?.snapshotId ?? snapshot.snapshotId, depth },
      };
    }
    if (found.kind === "full") return null;
    deltas.push(found.delta);
    wanted = found.base;
  }
  return null;
}

/** The full document that the commit of a snapshot has put into a property; null when it is another's. */
function propertyOf(metadata: TableMetadata, snapshot: Snapshot): ProgressDocument | null {
  const found = summaryDocument(snapshot);
  const depth = found?.kind === "delta" ? found.delta.depth : 0;
  for (const text of propertiesOf(metadata).values()) {
    if (propertySnapshotId(text) !== snapshot.snapshotId) continue;
    return { ...parseDocument(text), base: { snapshotId: snapshot.snapshotId, depth } };
  }
  return null;
}

/** Texts of the progress properties; that of the branch itself comes first. */
export function progressProperties(metadata: TableMetadata, branch: string): string[] {
  const own = progressProperty(branch);
  const all = propertiesOf(metadata);
  const text = all.get(own);
  all.delete(own);
  return text === undefined ? [...all.values()] : [text, ...all.values()];
}

/** Progress properties by name, those of all branches. */
function propertiesOf({ properties }: TableMetadata): Map<string, string> {
  return new Map(Object.entries(properties).filter(([name]) => name.startsWith(PROPERTY)));
}

/**
 * A property counts only when expiry has cut the chain right behind its snapshot, whichever branch
 * that snapshot was written to.
 */
function fromProperty(
  metadata: TableMetadata,
  branch: string,
  oldest: Snapshot | undefined,
): Progress {
  const properties = propertiesOf(metadata);
  for (const text of properties.values()) {
    const written = propertySnapshotId(text);
    if (oldest === undefined || written === null || oldest.parentSnapshotId !== written) continue;
    return readable({ ...parseDocument(text), branch });
  }
  const own = progressProperty(branch);
  // The branch was never ours, when its whole history is there to show it.
  const isWhole = oldest === undefined || oldest.parentSnapshotId === null;
  if (properties.size === 0 || (isWhole && !properties.has(own))) {
    return readable(emptyDocument(branch));
  }
  const [name, text] = properties.has(own)
    ? [own, properties.get(own) ?? ""]
    : ([...properties][0] ?? [own, ""]);
  return {
    kind: "unreadable",
    reason:
      "no visible snapshot of the branch holds our offsets, and the table property " +
      `${name} was written by snapshot ${propertySnapshotId(text) ?? "?"}, which is not the ` +
      "parent of the oldest visible one (rolled back, or expired by another engine)",
  };
}

/**
 * Where a catalog shows the head only: the property was written by an ancestor of a foreign head when
 * the head is newer. A head that is older was set back behind it.
 */
function fromHiddenAncestor(
  metadata: TableMetadata,
  branch: string,
  head: Snapshot | undefined,
): Progress {
  const text = metadata.properties[progressProperty(branch)];
  if (text === undefined) return readable(emptyDocument(branch));
  const written = propertySequenceNumber(text);
  if (head !== undefined && written !== null && written < head.sequenceNumber) {
    return readable({ ...parseDocument(text), branch });
  }
  const reason = `the head is older than the table property ${progressProperty(branch)}`;
  return { kind: "unreadable", reason };
}

function readable(document: ProgressDocument): Progress & { kind: "readable" } {
  return { kind: "readable", document, headIsOurs: false, group: "", decidedBy: null };
}
