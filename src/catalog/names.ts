/**
 * Names of databases and tables as folders. A name that could leave its folder, or that Hadoop's
 * paths and URLs read differently, is refused rather than escaped: other engines must find the
 * table under the same name.
 */
import { fail } from "#base/errors.ts";
import type { TableName } from "./catalog.ts";

/** Longest name of a folder on common file systems, bytes of UTF-8. */
const NAME_BYTES_MAX = 255;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
const FORBIDDEN = /[\u0000-\u001f\u007f/\\:?#%*]/;

/** Throws `usage` when database or table cannot be a folder's name. */
export function checkTableName(name: TableName): void {
  checkName("database", name.database);
  checkName("table", name.table);
}

/** Throws `usage` when `name` cannot be a folder's name; `what` says whose name it is. */
export function checkName(what: "database" | "table", name: string): void {
  const problem = nameProblem(name);
  if (problem === null) return;
  throw fail("usage", `${JSON.stringify(name)} cannot be the name of a ${what}: ${problem}`);
}

function nameProblem(name: string): string | null {
  if (name === "") return "it is empty";
  if (name === "." || name === "..") return "it is a path";
  if (name.trim() !== name) return "it begins or ends with white space";
  const found = FORBIDDEN.exec(name);
  if (found !== null) return `it holds ${JSON.stringify(found[0])}`;
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) return `it is over ${NAME_BYTES_MAX} bytes`;
  return null;
}

/** Where a table lives below a warehouse: `<warehouse>/<database>/<table>`, without a last slash. */
export function tableLocation(warehouse: string, name: TableName): string {
  checkTableName(name);
  return `${warehouse.replace(/\/+$/, "")}/${name.database}/${name.table}`;
}

/** `database.table`, for keys and sentences. */
export function fullName(name: TableName): string {
  return `${name.database}.${name.table}`;
}
