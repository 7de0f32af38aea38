/**
 * Progress in the table (SPEC 2.1, 2.2): the document of committed offsets, where it is written,
 * and how it is read back from a head. Pure; no I/O.
 *
 * Every snapshot of ours holds the offsets of *all* feeds of its table in its summary, and the same
 * commit sets a table property with the snapshot's id and the same offsets. The nearest visible
 * ancestor that has a feed decides, whatever its branch was called when it was written; the property
 * only helps when expiry has cut the chain right behind the property's snapshot.
 */
import { fail } from "#base/errors.ts";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import type { Feed } from "#base/offsets.ts";
import type { Snapshot, SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";

/** Summary keys of our snapshots. */
export const SUMMARY = {
  commitId: "kafka-iceberg.commit-id",
  offsets: "kafka-iceberg.offsets",
  group: "kafka-iceberg.group",
} as const;

/** Version of the document that this release writes; it reads this one and the one before. */
const VERSION = 1;

/** Committed offsets of one topic of one cluster. */
export interface SourceProgress {
  /** Kafka topic id. */
  readonly topicId: string;
  /** Partition -> next offset to read. */
  readonly offsets: ReadonlyMap<number, bigint>;
}

/** Committed offsets of a table's branch: `<cluster-id>/<topic>` -> source. */
export interface ProgressDocument {
  readonly branch: string;
  readonly sources: ReadonlyMap<string, SourceProgress>;
}

/** What a head says about progress. */
export type Progress =
  | {
      readonly kind: "readable";
      readonly document: ProgressDocument;
      /** True when the head itself is a snapshot of ours. */
      readonly headIsOurs: boolean;
      /** Consumer group of the snapshot that decided; empty when none. */
      readonly group: string;
    }
  /** Only a person can say what the table holds. */
  | { readonly kind: "unreadable"; readonly reason: string };

/** What the names of progress properties begin with; the branch follows. */
const PROPERTY = "kafka-iceberg.progress.";

/** Name of the table property of a branch. */
export function progressProperty(branch: string): string {
  return `${PROPERTY}${branch}`;
}

/** The key of a feed's topic in the document. */
export function sourceKey(feed: Pick<Feed, "clusterId" | "topic">): string {
  return `${feed.clusterId}/${feed.topic}`;
}

/** The committed offset of a feed, null when the document has none. */
export function offsetOf(document: ProgressDocument, feed: Feed): bigint | null {
  return document.sources.get(sourceKey(feed))?.offsets.get(feed.partition) ?? null;
}

/** The branch's snapshots from the head to the oldest visible ancestor. */
export function visibleChain(metadata: TableMetadata, branch: string): Snapshot[] {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
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
 * @throws AppError `progress` when a document is of a newer release
 */
export function readProgress(metadata: TableMetadata, branch: string): Progress {
  const chain = visibleChain(metadata, branch);
  for (const [index, snapshot] of chain.entries()) {
    const text = snapshot.summary[SUMMARY.offsets];
    if (text === undefined) continue;
    // The branch may have had another name when the ancestor was written.
    const document = { ...parseDocument(text), branch };
    const group = snapshot.summary[SUMMARY.group] ?? "";
    return { kind: "readable", document, headIsOurs: index === 0, group };
  }
  return fromProperty(metadata, branch, chain.at(-1));
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
  const own = progressProperty(branch);
  const names = Object.keys(metadata.properties).filter((name) => name.startsWith(PROPERTY));
  for (const name of names) {
    const text = metadata.properties[name] ?? "";
    const written = propertySnapshotId(text);
    if (oldest === undefined || written === null || oldest.parentSnapshotId !== written) continue;
    const document = { ...parseDocument(text), branch };
    return { kind: "readable", document, headIsOurs: false, group: "" };
  }
  // The branch was never ours, when its whole history is there to show it.
  const isWhole = oldest === undefined || oldest.parentSnapshotId === null;
  if (names.length === 0 || (isWhole && !names.includes(own))) {
    const document = { branch, sources: new Map() };
    return { kind: "readable", document, headIsOurs: false, group: "" };
  }
  const name = names.includes(own) ? own : names[0];
  const written = propertySnapshotId(metadata.properties[name ?? own] ?? "");
  return {
    kind: "unreadable",
    reason:
      "no visible snapshot of the branch holds our offsets, and the table property " +
      `${name} was written by snapshot ${written ?? "?"}, which is not the ` +
      "parent of the oldest visible one (rolled back, or expired by another engine)",
  };
}

function propertySnapshotId(text: string): bigint | null {
  const root = parseJson(text);
  const id = isObject(root) ? root["snapshot-id"] : undefined;
  return typeof id === "bigint" || typeof id === "number" ? BigInt(id) : null;
}

/** Parses the text form of a document. Unknown members are ignored; a higher version is refused. */
export function parseDocument(text: string): ProgressDocument {
  const root = parseJson(text);
  if (!isObject(root)) throw badDocument("is not an object");
  const version = root["v"];
  if (typeof version !== "number") throw badDocument("has no version");
  if (version > VERSION) {
    throw badDocument(`has version ${version}; this release reads up to ${VERSION}: upgrade it`);
  }
  const sources = new Map<string, SourceProgress>();
  for (const [key, value] of Object.entries(isObject(root["sources"]) ? root["sources"] : {})) {
    sources.set(key, parseSource(key, value));
  }
  return { branch: String(root["branch"] ?? "main"), sources };
}

function parseSource(key: string, value: Json): SourceProgress {
  if (!isObject(value) || !isObject(value["p"])) throw badDocument(`has a bad source ${key}`);
  const offsets = new Map<number, bigint>();
  for (const [partition, offset] of Object.entries(value["p"])) {
    if (typeof offset !== "number" && typeof offset !== "bigint") {
      throw badDocument(`has a bad offset for ${key}/${partition}`);
    }
    offsets.set(Number(partition), BigInt(offset));
  }
  return { topicId: String(value["id"] ?? ""), offsets };
}

function badDocument(what: string): Error {
  return fail("progress", `The document ${SUMMARY.offsets} in the table ${what}`);
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The text form of a document (SPEC 2.1). */
export function writeDocument(document: ProgressDocument): string {
  return writeJson({ v: VERSION, branch: document.branch, sources: sourcesJson(document) });
}

/** The text form of the table property: the document with the snapshot that it was written by. */
export function writeProperty(document: ProgressDocument, snapshot: Snapshot): string {
  return writeJson({
    v: VERSION,
    branch: document.branch,
    "snapshot-id": snapshot.snapshotId,
    "sequence-number": snapshot.sequenceNumber,
    sources: sourcesJson(document),
  });
}

function sourcesJson(document: ProgressDocument): Record<string, unknown> {
  const sources: Record<string, unknown> = {};
  for (const key of [...document.sources.keys()].sort()) {
    const source = document.sources.get(key);
    const p: Record<string, bigint> = {};
    for (const [partition, offset] of [...(source?.offsets ?? [])].sort((a, b) => a[0] - b[0])) {
      p[partition] = offset;
    }
    sources[key] = { id: source?.topicId ?? "", p };
  }
  return sources;
}

/** A document with some offsets set anew; other feeds' entries are copied unchanged. */
export function withOffsets(
  document: ProgressDocument,
  offsets: readonly { readonly feed: Feed; readonly offset: bigint }[],
): ProgressDocument {
  const sources = new Map(document.sources);
  for (const { feed, offset } of offsets) {
    const key = sourceKey(feed);
    const merged = new Map(sources.get(key)?.offsets ?? []);
    merged.set(feed.partition, offset);
    sources.set(key, { topicId: feed.topicId, offsets: merged });
  }
  return { branch: document.branch, sources };
}
