/** A database of the shared library that npm installed, and tables as Parquet files of ours. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "#sql/database.ts";
import { locateLibrary } from "#sql/library.ts";

/** Opens an engine with 256 MB. */
export async function openDatabase(): Promise<Database> {
  return new Database({ library: await locateLibrary(null), memoryBytesMax: 256 * 1024 ** 2 });
}

/** A new folder, with `/` at its end. */
export function newFolder(): string {
  return `${mkdtempSync(join(tmpdir(), "sql-"))}/`;
}
