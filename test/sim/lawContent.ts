/** What the snapshots of a simulation list: files, rows, and what is wrong with them (`law.ts` judges the rows). */
import { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import { type LiveFile, listDataFiles, manifestsOf } from "#iceberg/io/scan.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import { FOREIGN, visibleRows } from "./foreignRows.ts";
import { rowIdProblems } from "./lawRows.ts";
import type { World } from "./world.ts";

/** What a snapshot lists. */
export interface Content {
  readonly paths: ReadonlySet<string>;
  /** Live data files. */
  readonly files: readonly string[];
  readonly rows: ReadonlyMap<number, readonly number[]>;
  /** Rows of another engine that are not deleted. */
  readonly foreignPlaces: readonly ForeignPlace[];
  readonly problems: readonly string[];
}

interface ForeignPlace {
  readonly path: string;
  readonly position: number;
  readonly number: number;
}

/** Reads what a snapshot lists, from the store itself. */
export async function readContent(world: World, id: SnapshotId): Promise<Content> {
  // A view of its own: the manifest lists that writers remember are not the store's.
  const storage = {
    ...world.storage,
    get: async (location: string) =>
      world.storage.removed.get(location) ?? world.storage.get(location),
  };
  const snapshot = world.history.get(id);
  const metadata = { ...world.metadata, snapshots: snapshot === undefined ? [] : [snapshot] };
  const paths = new Set<string>();
  const files: string[] = [];
  const rows = new Map<number, number[]>();
  const foreignPlaces: ForeignPlace[] = [];
  const live: LiveFile[] = [];
  if (snapshot !== undefined) {
    paths.add(snapshot.manifestList);
    for (const manifest of await manifestsOf(storage, snapshot)) paths.add(manifest.manifestPath);
  }
  for await (const each of listDataFiles(storage, metadata, id)) {
    paths.add(each.file.filePath);
    live.push(each);
  }
  const data = live.filter(({ file }) => file.content === "data");
  const index = new DeleteIndex(
    metadata,
    live.filter((each) => !data.includes(each)),
  );
  for (const { file, sequenceNumber } of data) {
    const { filePath: path } = file;
    files.push(path);
    const deletes = index.of({ ...file, path, sequenceNumber });
    for (const { row, position } of await visibleRows((at) => storage.get(at), path, deletes)) {
      const [partition, number] = row;
      if (partition === FOREIGN) foreignPlaces.push({ path, position, number });
      else rows.set(partition, [...(rows.get(partition) ?? []), number]);
    }
  }
  const problems =
    metadata.formatVersion === 3
      ? rowIdProblems(
          id,
          data.map(({ file }) => file),
        )
      : [];
  return { paths, files, rows, foreignPlaces, problems };
}
