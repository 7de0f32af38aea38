/**
 * Data files of which no row is deleted or left out, and none is to be sorted, as one, by copying their pages (`parquet/copy/`): no row is decoded, and the
 * engine is not asked. Files that cannot be copied so are left to it.
 */
import { closeSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import { LINEAGE_FIELDS } from "#iceberg/metadata/lineage.ts";
import type { CopyOutput } from "#parquet/copy/chunkOutput.ts";
import type { CopySource } from "#parquet/copy/columns.ts";
import { copyFiles } from "#parquet/copy/copyFiles.ts";
import { readSource, type SourceBytes, unfit } from "#parquet/copy/source.ts";
import type { ParquetCodec } from "#parquet/encoder.ts";
import { pageCompression } from "#parquet/kernel/compress.ts";
import { mergedKeys } from "./footerKeys.ts";
import { firstPositionsOf } from "./movedRows.ts";
import type { RewriteTask, Rewritten } from "./protocol.ts";

/**
 * Writes the output of a task.
 * @returns null: the rows have to be decoded; what was written of the output is void
 */
export function copyPages(task: RewriteTask): Rewritten | null {
  const { data, positionDeletes, equalityDeletes, vectors } = task.files;
  const hasDeletes = positionDeletes.length + equalityDeletes.length + vectors.length > 0;
  const isSorted = task.sort.length > 0;
  const isJudged = task.latest !== null;
  if (hasDeletes || isSorted || isJudged || data.length === 0 || !KERNELS_ON) return null;
  let output: OutputFile | null = null;
  try {
    output = new OutputFile(task.output);
    return copied(task, output);
  } catch {
    // Whatever it is, also a file that is gone or damaged, or a disk that is full: the engine judges, and says so.
    return null;
  } finally {
    output?.close();
  }
}

function copied(task: RewriteTask, output: OutputFile): Rewritten | null {
  const { rows, codec, level, fields, bloomFilters } = task;
  const compression = pageCompression({ codec: codec as ParquetCodec, level });
  const sources = sourcesOf(task);
  // The engine judges files that are not what the table says of them.
  const isTold = sources.every(({ file }, at) => file.rows === rows[at]);
  if (compression === null || !isTold) return null;
  const keys = mergedKeys(
    sources.flatMap(({ file }) => file.keys),
    task.commitId,
  );
  const [rowId, lastUpdated] = LINEAGE_FIELDS;
  const lineage = task.lineage ? { rowId, lastUpdated } : null;
  const { footer, floats } = copyFiles(
    { fields, lineage, sources, compression, bloomFilters, keys },
    output,
  );
  output.flush();
  const bytes = output.position;
  return {
    kept: [{ start: 0, end: bytes - footer.length }],
    ...{ footer, bytes, isCopied: true, isSorted: false },
    floats: [...floats].map(([fieldId, values]) => ({ fieldId, ...values })),
    // Every row of every file, one behind the other.
    moved: firstPositionsOf(rows).map((first, at) => ({
      places: first,
      hidden: new RowSet(rows[at] ?? 0).words,
    })),
  };
}

/** What a column chunk costs, one of a dropped column too: 1.4 KB live, resident about twice that (decision 0481). */
const CHUNK_BYTES = 3072;

/** What the footers say; of their keys our own. They are in memory until the output is written. */
function sourcesOf({ files, memoryBytesMax }: RewriteTask): CopySource[] {
  let bytes = 0;
  return files.data.map(({ path, sequence, firstRowId = null, partitionColumns = [] }) => {
    const file = readSource(openSource(path));
    bytes += CHUNK_BYTES * file.groups.reduce((sum, { chunks }) => sum + chunks.length, 0);
    if (bytes > memoryBytesMax) throw unfit("there are too many column chunks for its memory");
    const keys = file.keys.filter(({ key }) => key.startsWith("kafka-iceberg."));
    return { file: { ...file, keys }, firstRowId, sequence, partitionColumns };
  });
}

/** A file that is open only while it is read: a group has more of them than a process may keep open. */
function openSource(path: string): SourceBytes {
  return {
    bytes: statSync(path).size,
    read: (start, end) => {
      const bytes = new Uint8Array(end - start);
      const file = openSync(path, "r");
      try {
        for (let at = 0; at < bytes.length; ) {
          const read = readSync(file, bytes, at, bytes.length - at, start + at);
          if (read === 0) break;
          at += read;
        }
      } finally {
        closeSync(file);
      }
      return bytes;
    },
  };
}

/** Bytes that are written at once. */
const BUFFER_BYTES = 1024 * 1024;

/** A file that grows by pages. */
class OutputFile implements CopyOutput {
  readonly #file: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #held = 0;
  position = 0;

  constructor(path: string) {
    this.#file = openSync(path, "w");
  }

  write(bytes: Uint8Array): void {
    this.position += bytes.length;
    if (this.#held + bytes.length > BUFFER_BYTES) this.flush();
    if (bytes.length > BUFFER_BYTES) {
      this.#put(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#held);
    this.#held += bytes.length;
  }

  flush(): void {
    this.#put(this.#buffer.subarray(0, this.#held));
    this.#held = 0;
  }

  close(): void {
    closeSync(this.#file);
  }

  #put(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
  }
}
