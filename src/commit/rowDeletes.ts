/**
 * Rows of a head -> delete files that hide them, made for one attempt and never kept (rules 10e, 10g): in
 * format v3 deletion vectors, one a data file, which hold what hid rows of that file before and take its
 * place; in v2 files of position deletes, one a partition, beside those that are there.
 *
 * Delete files lie beside the manifests, and their names hold commit id and attempt as theirs do: what an
 * attempt left behind is found by them after a crash (decision 0391).
 */
import { assert } from "#base/assert.ts";
import { deletedFrom, placeKey } from "#iceberg/deletes/deleteIndex.ts";
import { PuffinWriter } from "#iceberg/deletes/puffin.ts";
import { readAhead } from "#iceberg/io/readAhead.ts";
import { metadataFolder } from "#iceberg/io/stageAppend.ts";
import { type DataFile, UNDESCRIBED } from "#iceberg/manifest/manifest.ts";
import type { LocatedRows } from "#keyindex/port.ts";
import { PositionDeletes } from "#keyindex/positionDeletes.ts";
import { hiddenRows } from "#keyindex/readKeys.ts";
import type { Storage } from "#storage/storage.ts";
import type { Attempt } from "./change.ts";

/** What an attempt adds to its head, and takes away, so that rows are gone: delete files, or data files. */
export interface RowDeletes {
  /** Durable, and in the ledger. */
  readonly added: readonly DataFile[];
  readonly removed: readonly DataFile[];
}

/** A way to delete located rows, all of which are live in the attempt's head. */
export type DeleteRows = (attempt: Attempt, located: readonly LocatedRows[]) => Promise<RowDeletes>;

/** Deleted rows of one data file. */
export interface DeletedRows {
  /** Location of the data file, as its manifest names it. */
  readonly path: string;
  /** Ascending. */
  readonly rows: Uint32Array;
}

/**
 * Stores a file of position deletes of data files of one partition, in the order of their paths, and
 * says what a manifest says of it. `commit/` knows no Parquet (`writer/positionDeletes.ts` does).
 */
export type WritePositionDeletes = (
  storage: Storage,
  location: string,
  deletes: readonly DeletedRows[],
) => Promise<WrittenDeletes>;

/** What a manifest says of a file of position deletes. */
export type WrittenDeletes = Pick<
  DataFile,
  "recordCount" | "fileSizeBytes" | "lowerBounds" | "upperBounds" | "splitOffsets"
>;

/** Data files whose vectors are made before the event loop gets a turn: some milliseconds. */
const TURN_FILES = 16;

/** Files of position deletes that are written at the same time. */
const WRITES_MAX = 8;

/** Writes the deletes of located rows, all of which are live in the attempt's head. */
export async function writeDeletes(
  attempt: Attempt,
  located: readonly LocatedRows[],
  writePositionDeletes: WritePositionDeletes,
): Promise<RowDeletes> {
  if (located.length === 0) return { added: [], removed: [] };
  return attempt.head.metadata.formatVersion === 3
    ? await writeVectors(attempt, located)
    : await writePositions(attempt, located, writePositionDeletes);
}

async function writeVectors(
  attempt: Attempt,
  located: readonly LocatedRows[],
): Promise<RowDeletes> {
  const { storage } = attempt.head;
  const positionDeletes = new PositionDeletes(storage);
  const writer = new PuffinWriter();
  const read = readAhead(located, async (each) => ({
    each,
    hidden: await hiddenRows({ positionDeletes }, each.file, each.deletes),
  }));
  let count = 0;
  for await (const { each, hidden } of read) {
    each.rows.forEach((row) => {
      hidden.add(row);
    });
    writer.add(each.file.path, hidden);
    if (++count % TURN_FILES === 0) await attempt.parts.clock.turn();
  }
  const { bytes, vectors } = writer.finish();
  const location = deleteLocation(attempt, "deletes.puffin");
  await stored(attempt, location, () => storage.put(location, bytes));
  const files = new Map(located.map(({ file }) => [file.path, file]));
  const added = vectors.map(({ dataFile, offset, length, deleted }): DataFile => {
    const file = files.get(dataFile);
    assert(file !== undefined, "a vector is of a data file");
    return {
      ...deleteFile(location, file),
      fileFormat: "PUFFIN",
      recordCount: BigInt(deleted),
      fileSizeBytes: BigInt(bytes.length),
      referencedDataFile: file.path,
      contentOffset: BigInt(offset),
      contentSizeBytes: BigInt(length),
    };
  });
  return { added, removed: located.flatMap(replacedDeletes) };
}

/** What goes with the rows that it hides of one file. Position deletes of other data files, too, stay for those. */
export function replacedDeletes({ file, deletes }: LocatedRows): DataFile[] {
  const own = deletes.positions.filter((live) => deletedFrom(live.file) === file.path);
  return [...(deletes.vector === null ? [] : [deletes.vector]), ...own].map((live) => live.file);
}

async function writePositions(
  attempt: Attempt,
  located: readonly LocatedRows[],
  writePositionDeletes: WritePositionDeletes,
): Promise<RowDeletes> {
  const groups = [...Map.groupBy(located, ({ file }) => placeKey(file)).values()];
  const write = async (group: readonly LocatedRows[], index: number): Promise<DataFile> => {
    const [first] = group;
    assert(first !== undefined, "a group has a member");
    const location = deleteLocation(attempt, `deletes-${index}.parquet`);
    const deletes = group
      .map(({ file: { path }, rows }) => ({ path, rows }))
      .toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
    const written = await stored(attempt, location, () =>
      writePositionDeletes(attempt.head.storage, location, deletes),
    );
    return { ...deleteFile(location, first.file), ...written };
  };
  const added: DataFile[] = [];
  for (let at = 0; at < groups.length; at += WRITES_MAX) {
    const some = groups.slice(at, at + WRITES_MAX);
    const results = await Promise.allSettled(some.map((group, n) => write(group, at + n)));
    // Nothing is written any more when a failure is told.
    for (const result of results) {
      if (result.status === "rejected") throw result.reason;
      added.push(result.value);
    }
  }
  return { added, removed: [] };
}

function deleteLocation({ head, commitId, number }: Attempt, name: string): string {
  return `${metadataFolder(head.metadata)}/${[commitId, number, name].join("-")}`;
}

/** Takes the name into the ledger before the file is written, and the file when it is durable. */
async function stored<T>(
  { ledger }: Attempt,
  location: string,
  write: () => Promise<T>,
): Promise<T> {
  ledger.plan([location]);
  const result = await write();
  ledger.store([location]);
  return result;
}

/** A delete file under the spec and partition of the data files that it is about. */
function deleteFile(
  filePath: string,
  { specId, partition }: Pick<DataFile, "specId" | "partition">,
): DataFile {
  return {
    ...UNDESCRIBED,
    content: "position-deletes",
    filePath,
    fileFormat: "PARQUET",
    specId,
    partition,
    recordCount: 0n,
    fileSizeBytes: 0n,
  };
}
