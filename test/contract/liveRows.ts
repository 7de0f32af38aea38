/** The live rows of the table `db.t` of a folder, read by the files of its head and what hides rows of them. */
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { deletesOf, readHeadFiles } from "#iceberg/io/headFiles.ts";
import { PositionDeletes } from "#keyindex/positionDeletes.ts";
import { hiddenRows } from "#keyindex/readKeys.ts";
import { type ParquetRow, parquetBytes, readRows } from "#parquet/readColumns.ts";
import { createLocalStorage } from "#storage/local.ts";

/** These columns of all live rows. */
export async function liveRows(
  warehouse: string,
  columns: readonly string[],
): Promise<ParquetRow[]> {
  const local = createLocalStorage({ disk: systemDisk, random: systemRandom });
  const parts = { storage: local, clock: systemClock, log: silentLogger };
  const catalog = createFileCatalog({ warehouse, readOnly: true }, parts);
  const table = await catalog.load({ namespace: ["db"], table: "t" });
  if (table === null) throw new Error("the table is there");
  const { storage, metadata } = table;
  const head = await readHeadFiles(table, metadata.currentSnapshotId);
  const found: ParquetRow[] = [];
  for (const file of head.data.values()) {
    const positionDeletes = new PositionDeletes(storage);
    const hidden = await hiddenRows({ positionDeletes }, file, deletesOf(head.index, file));
    const bytes = parquetBytes(storage, file.path, file.bytes);
    const rows = (await Array.fromAsync(readRows(bytes, columns))).flat();
    for (const [position, row] of rows.entries()) if (!hidden.has(position)) found.push(row);
  }
  return found;
}
