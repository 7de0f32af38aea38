/**
 * Progress of a head that does not tell by itself, or may not be believed (SPEC 2.2): what other
 * engines did while nobody looked.
 *
 * 1. Where expiry has cut the chain, it is followed through the earlier metadata files.
 * 2. When the head is foreign, the document that was found is refuted by a row of one of its feeds at
 *    or past its offset: a person has rolled back and cherry-picked, and reading on from there would
 *    write that row again. So is it by a row of a partition that it does not know. With the chain in
 *    sight, only files of foreign snapshots are looked at, and only when one of those brought rows.
 * 3. Without a document, or with a refuted one, the rows are the witness: a property is proven when,
 *    for every feed, the distinct live coordinates below its offset number exactly the rows that the
 *    table was ever given, and none lies at or past it. Live ones are a subset of those given, so equal
 *    numbers are equal sets.
 *
 * An own head needs none of this, and no I/O.
 */
import { AppError } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { loadMetadataFile } from "#iceberg/io/metadataFile.ts";
import type { Snapshot, SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import {
  type CoordinateColumns,
  type CoordinateFields,
  type CoordinateReader,
  coordinateFields,
  type LiveOffsets,
  liveOffsets,
  type RowEnds,
  rowPastEnd,
} from "./liveRows.ts";
import { OffsetSet } from "./offsetSet.ts";
import {
  headOf,
  type Progress,
  progressProperties,
  readProgress,
  visibleChain,
} from "./progress.ts";
import type { ProgressDocument, SourceProgress } from "./progressDocument.ts";
import { parseDocument } from "./progressText.ts";
import { retainedSources } from "./retained.ts";

/** Earlier metadata files that are read, newest first; a file is kept for 100 commits by default. */
const METADATA_FILES_MAX = 200;

/** Offset ranges named in a sentence, per feed. */
const RANGES_MAX = 3;

/** How rows can be asked; null: they cannot. */
export interface RowWitness {
  readonly columns: CoordinateColumns;
  readonly read: CoordinateReader;
}

/** Reads progress of one branch, remembering what it found out about the last foreign head. */
export class ProgressReader {
  readonly #branch: string;
  readonly #rows: RowWitness | null;
  readonly #showsAncestors: boolean;
  #head: {
    readonly id: SnapshotId | null;
    readonly uuid: string;
    readonly progress: Progress;
  } | null = null;

  /** @param showsAncestors as the catalog's trait of that name */
  constructor(branch: string, rows: RowWitness | null, showsAncestors: boolean) {
    this.#branch = branch;
    this.#rows = rows;
    this.#showsAncestors = showsAncestors;
  }

  /**
   * What a head says about progress. A foreign head is looked into once.
   * @throws AppError `progress` for a damaged document, `storage_*` when the store is away
   */
  async read(table: LoadedTable): Promise<Progress> {
    const { metadata } = table;
    const found = readProgress(metadata, this.#branch, [], this.#showsAncestors);
    if (found.kind === "readable" && found.headIsOurs) return found;
    const id = headOf(metadata, this.#branch);
    const last = this.#head;
    if (last?.id === id && last.uuid === metadata.tableUuid) return last.progress;
    if (
      found.kind === "readable" &&
      withKnownTopics(found.document, metadata, this.#branch).sources.size === 0
    ) {
      return found;
    }
    const progress = await searchProgress(table, this.#branch, found, this.#rows);
    this.#head = { id, uuid: metadata.tableUuid, progress };
    return progress;
  }
}

/** Goes on from what the head's metadata says. */
async function searchProgress(
  table: LoadedTable,
  branch: string,
  found: Progress,
  rows: RowWitness | null,
): Promise<Progress> {
  const searched =
    found.kind === "readable"
      ? { progress: found, earlier: [] }
      : await throughEarlierMetadata(table, branch, found);
  const fields = rows === null ? null : coordinateFields(table.metadata, rows.columns);
  if (rows === null || fields === null) return searched.progress;
  const refuted = await refutation(table, branch, searched, fields, rows.read);
  if (searched.progress.kind === "readable" && refuted === null) return searched.progress;
  const reason =
    searched.progress.kind === "unreadable" ? searched.progress.reason : (refuted ?? "");
  return await byRows(table, branch, reason, fields, rows.read);
}

/** What was found, with the snapshots that only earlier metadata files have. */
interface Searched {
  readonly progress: Progress;
  readonly earlier: readonly Snapshot[];
}

/** Reads earlier metadata files, newest first, until one shows an ancestor of ours. */
async function throughEarlierMetadata(
  { metadata, storage }: LoadedTable,
  branch: string,
  found: Progress,
): Promise<Searched> {
  const known = new Set(metadata.snapshots.map(({ snapshotId }) => snapshotId));
  const earlier: Snapshot[] = [];
  const files = metadata.metadataLog.slice(-METADATA_FILES_MAX).reverse();
  for (const { metadataFile } of files) {
    const before = await earlierMetadata(storage, metadataFile);
    if (before?.tableUuid !== metadata.tableUuid) continue;
    const more = before.snapshots.filter(({ snapshotId }) => !known.has(snapshotId));
    if (more.length === 0) continue;
    for (const snapshot of more) known.add(snapshot.snapshotId);
    earlier.push(...more);
    const progress = readProgress(metadata, branch, earlier);
    if (progress.kind === "readable") return { progress, earlier };
  }
  return { progress: found, earlier };
}

/** Null for a file that is gone or cannot be read: the next one may tell as much. */
async function earlierMetadata(
  storage: LoadedTable["storage"],
  location: string,
): Promise<TableMetadata | null> {
  try {
    return (await loadMetadataFile(storage, location)).metadata;
  } catch (error) {
    if (error instanceof AppError && error.kind !== "storage_unreachable") return null;
    throw error;
  }
}

/** Why the document that was found cannot be right; null when nothing speaks against it. */
async function refutation(
  table: LoadedTable,
  branch: string,
  { progress, earlier }: Searched,
  fields: CoordinateFields,
  read: CoordinateReader,
): Promise<string | null> {
  const head = headOf(table.metadata, branch);
  if (progress.kind === "unreadable" || head === null || progress.headIsOurs) return null;
  const ends = rowEnds(withKnownTopics(progress.document, table.metadata, branch), fields);
  if (ends === null) return null;
  const chain = visibleChain(table.metadata, branch, earlier);
  const decided = chain.findIndex((each) => each.snapshotId === progress.decidedBy?.snapshotId);
  const foreign = decided === -1 ? chain : chain.slice(0, decided);
  if (!foreign.some(addsRows)) return null;
  // What was added may have been rewritten since.
  const added = new Set(foreign.map(({ snapshotId }) => snapshotId));
  const found = await rowPastEnd(table, head, added, ends, fields, read);
  if (found === null) return null;
  const topic =
    found.topic === "" ? [...progress.document.sources.keys()].map(topicOf)[0] : found.topic;
  return (
    `the nearest ancestor with our offsets does not know the row of ${topic}/${found.partition} at ` +
    `offset ${found.offset}, which is in the table (rolled back and cherry-picked)`
  );
}

/** A rewrite or a delete brings no row that was not there. */
function addsRows({ summary }: Snapshot): boolean {
  return summary["operation"] !== "replace" && summary["operation"] !== "delete";
}

/**
 * The document, with the topics that only a property or a snapshot beside the chain knows: whatever
 * lies there is past its end. A person who cherry-picks a first flush does it from such a snapshot.
 */
function withKnownTopics(
  document: ProgressDocument,
  metadata: TableMetadata,
  branch: string,
): ProgressDocument {
  const sources = new Map(document.sources);
  for (const { key, topicId } of retainedSources(metadata, branch)) {
    if (!sources.has(key)) sources.set(key, { ...NOTHING_READ, topicId });
  }
  return { ...document, sources };
}

const NOTHING_READ = {
  offsets: new Map<number, bigint>(),
  rows: new Map<number, bigint>(),
  leaderEpochs: new Map<number, number>(),
  tails: new Map<number, bigint>(),
  owners: new Map<number, string>(),
};

/** Null when topics cannot be told apart by the coordinates. */
function rowEnds({ sources }: ProgressDocument, fields: CoordinateFields): RowEnds | null {
  const names = new Set([...sources.keys()].map(topicOf));
  if (names.size !== sources.size || (fields.topic === null && names.size > 1)) return null;
  return new Map(
    [...sources].map(([key, { offsets, tails }]) => {
      const ends = new Map(tails);
      for (const [partition, offset] of offsets) {
        if (offset > (ends.get(partition) ?? 0n)) ends.set(partition, offset);
      }
      return [fields.topic === null ? "" : topicOf(key), ends];
    }),
  );
}

function topicOf(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}

/** The first property that the rows prove, else the reason why none does. */
async function byRows(
  table: LoadedTable,
  branch: string,
  reason: string,
  fields: CoordinateFields,
  read: CoordinateReader,
): Promise<Progress> {
  const head = headOf(table.metadata, branch);
  const properties = progressProperties(table.metadata, branch);
  if (head === null || properties.length === 0) return { kind: "unreadable", reason };
  const live = await liveOffsets(table, head, fields, read);
  const doubts: string[] = [];
  for (const text of properties) {
    const document = { ...parseDocument(text), branch };
    // Rows of a topic that it does not know would be read again.
    const known = withKnownTopics(document, table.metadata, branch);
    const against = doubtsAbout(known, fields, live);
    if (against.length === 0) {
      return { kind: "readable", document, headIsOurs: false, group: "", decidedBy: null };
    }
    // What speaks against the branch's own property is what a person wants to know.
    if (doubts.length === 0) doubts.push(...against);
  }
  return {
    kind: "unreadable",
    reason: `${reason}; and the rows do not prove it: ${doubts.join("; ")}`,
  };
}

/** What the rows say against a document, feed by feed; nothing: they prove it. */
function doubtsAbout(
  document: ProgressDocument,
  fields: CoordinateFields,
  live: LiveOffsets,
): string[] {
  const ends = rowEnds(document, fields);
  if (ends === null) return ["rows of several topics cannot be told apart"];
  return [...document.sources].flatMap(([key, source]) => {
    const topic = fields.topic === null ? "" : topicOf(key);
    const sets = live.get(topic) ?? new Map<number, OffsetSet>();
    const partitions = new Set([...source.offsets.keys(), ...sets.keys()]);
    return [...partitions].flatMap((partition) => {
      const end = ends.get(topic)?.get(partition) ?? 0n;
      const doubts = partitionDoubts(
        source,
        partition,
        end,
        sets.get(partition) ?? new OffsetSet(),
      );
      return doubts.map((doubt) => `${topicOf(key)}/${partition}: ${doubt}`);
    });
  });
}

function partitionDoubts(
  source: SourceProgress,
  partition: number,
  end: bigint,
  set: OffsetSet,
): string[] {
  const past = set.ranges(end, set.end, true, RANGES_MAX);
  const doubts = past.length === 0 ? [] : [`surplus rows at offsets ${rangesText(past)}`];
  const offset = source.offsets.get(partition);
  if (offset === undefined) return doubts;
  const rows = source.rows.get(partition);
  if (rows === undefined) return [...doubts, "nobody counted its rows"];
  const below = set.countBelow(offset);
  if (below === rows) return doubts;
  const missing = rangesText(set.ranges(0n, offset, false, RANGES_MAX));
  const count = `${below} of ${rows} rows below offset ${offset} are there`;
  return [...doubts, `${count}, none at offsets ${missing}`];
}

function rangesText(ranges: readonly (readonly bigint[])[]): string {
  const texts = ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
  return `${texts.join(", ")}${ranges.length < RANGES_MAX ? "" : ", ..."}`;
}
