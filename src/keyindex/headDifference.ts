/**
 * What a head has otherwise than what a key index knows, by what both list (CHANGE_RULES 10c): never by the
 * snapshots between them.
 */
import { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import {
  type AppliedDeletes,
  deletesOf,
  type HeadFiles,
  type LiveData,
} from "#iceberg/io/headFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";

/** What is indexed. */
export interface IndexedHead {
  /** Files whose rows are in the index. */
  readonly paths: readonly string[];
  /** What was listed last; null: nothing was. */
  readonly head: Pick<HeadFiles, "data" | "deletes"> | null;
  /** Files of which is not known what is indexed. */
  readonly torn: ReadonlySet<string>;
}

/** Files of a head that are not as they were. */
export interface Difference {
  /** Paths of indexed files that the head does not have. */
  readonly gone: readonly string[];
  /** Files that are not indexed, or of which is not known what is indexed. */
  readonly fresh: readonly LiveData[];
  /** Indexed files with other deletes. */
  readonly changed: readonly ChangedFile[];
}

/** An indexed file with other deletes. */
export interface ChangedFile {
  readonly file: LiveData;
  /** The deletes whose rows go; they may have gone before. */
  readonly hides: AppliedDeletes;
  /** False: rows may live again. */
  readonly isGrown: boolean;
}

/** What a head has otherwise than what is indexed. */
export function headDifference(
  metadata: TableMetadata,
  indexed: IndexedHead,
  head: HeadFiles,
): Difference {
  const known = indexed.head?.data ?? new Map<string, LiveData>();
  const isTorn = (path: string): boolean => indexed.torn.has(path);
  const isKnown = ({ path, sequenceNumber }: LiveData): boolean =>
    !isTorn(path) && known.get(path)?.sequenceNumber === sequenceNumber;
  const gone = indexed.paths.filter((path) => !head.data.has(path));
  const fresh = [...head.data.values()].filter((file) => !isKnown(file));
  const before = indexed.head?.deletes ?? new Map<string, LiveFile>();
  const added = new DeleteIndex(metadata, without(head.deletes, before));
  const removed = new DeleteIndex(metadata, without(before, head.deletes));
  const changed: ChangedFile[] = [];
  if (added.size + removed.size === 0) return { gone, fresh, changed };
  for (const file of head.data.values()) {
    if (!isKnown(file)) continue;
    const lacks = removed.of(file).length > 0;
    if (!lacks && added.of(file).length === 0) continue;
    const deletes = deletesOf(head.index, file);
    // Where there is a vector, position deletes do not count, whether they were there before or came now.
    const isGrown = !lacks && deletes.vector === null;
    changed.push({ file, hides: isGrown ? deletesOf(added, file) : deletes, isGrown });
  }
  return { gone, fresh, changed };
}

/** Those that are not among the others, or with another number. */
function without(
  deletes: ReadonlyMap<string, LiveFile>,
  others: ReadonlyMap<string, LiveFile>,
): LiveFile[] {
  return [...deletes]
    .filter(([id, live]) => others.get(id)?.sequenceNumber !== live.sequenceNumber)
    .map(([, live]) => live);
}
