/** A database of the shared library that npm installed, and tables as Parquet files of ours. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Admitted } from "#sql/admit.ts";
import { Database } from "#sql/database.ts";
import { locateLibrary } from "#sql/library.ts";

/** Opens an engine with 256 MB. */
export async function openDatabase(): Promise<Database> {
  return new Database({ library: await locateLibrary(null), memoryBytesMax: 256 * 1024 ** 2 });
}

/** A statement of ours, which no admission would let in. */
export function ownStatement(sql: string): Admitted {
  return { sql, explain: "", relations: [], columns: null, limits: new Map(), isTimeless: false };
}

/** What a run has beside its statement and relations: JSON values, and room for them. */
export const WHOLE_ANSWER = {
  hot: [],
  parameters: [],
  form: "json",
  rowsMax: 1e6,
  bytesMax: 1e9,
} as const;

/** A new folder, with `/` at its end. */
export function newFolder(): string {
  return `${mkdtempSync(join(tmpdir(), "sql-"))}/`;
}
