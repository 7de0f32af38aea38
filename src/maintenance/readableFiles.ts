/**
 * Data files, and the deletes that apply to them, where a child process can read them: local ones where they are,
 * those of an object store fetched into a scratch folder.
 */
import { dirname, join } from "node:path";
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { isVector } from "#iceberg/deletes/deleteIndex.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import { filesOf, type PathOf, type SnapshotFiles } from "#sql/snapshotFiles.ts";
import { localPath, schemeOf } from "#storage/location.ts";
import type { PlannedInput } from "./compactPlan.ts";

/** Bytes that are fetched, or uploaded, at once. */
export const CHUNK_BYTES: number = 4 * 1024 * 1024;

/** Folders of files, each with a slash at its end. */
export function foldersOf({ data, positionDeletes, equalityDeletes }: SnapshotFiles): string[] {
  const paths = [...data, ...equalityDeletes].map(({ path }) => path).concat(positionDeletes);
  return [...new Set(paths.map((path) => `${dirname(path)}/`))];
}

/**
 * The files where the engine can read them.
 * @throws AppError `table_unsupported` for files of another format, and what the store throws
 */
export async function readableFiles(
  head: LoadedTable,
  inputs: readonly PlannedInput[],
  scratch: string,
): Promise<SnapshotFiles> {
  const deletes = new Map<string, LiveFile>();
  for (const input of inputs) {
    for (const each of input.deletes) deletes.set(fileKey(each.file), each);
  }
  const all = [...deletes.values()];
  const read = all.filter(({ file }) => !isVector(file));
  const sizes = new Map([
    ...inputs.map((each) => [each.path, Number(each.sizeBytes)] as const),
    ...read.map(({ file }) => [file.filePath, Number(file.fileSizeBytes)] as const),
  ]);
  const places = new Map<string, string>();
  for (const [location, bytes] of sizes) {
    const isHere = schemeOf(location) === "file";
    const fetched = join(scratch, `${places.size}.parquet`);
    places.set(location, isHere ? localPath(location) : fetched);
    if (!isHere) await fetchFile(head, location, bytes, fetched);
  }
  const pathOf: PathOf = ({ path, fileFormat }) => {
    const place = places.get(path);
    if (place !== undefined && fileFormat.toUpperCase() === "PARQUET") return place;
    throw fail("table_unsupported", `${path} is no Parquet file: another engine has to read it`);
  };
  return filesOf(head, inputs, all, pathOf);
}

async function fetchFile(
  { storage }: LoadedTable,
  location: string,
  bytes: number,
  path: string,
): Promise<void> {
  const sink = Bun.file(path).writer();
  for (let at = 0; at < bytes; at += CHUNK_BYTES) {
    await sink.write(await storage.getRange(location, at, Math.min(CHUNK_BYTES, bytes - at)));
    await sink.flush();
  }
  await sink.end();
}
