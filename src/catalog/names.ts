/**
 * Names of namespaces and tables: as text (configuration, command line, logs, metrics), and as
 * folders.
 *
 * As text, levels and table are joined by dots; a dot or backslash inside a name has a backslash
 * before it, so that `["a.b"], "c"` and `["a", "b"], "c"` are told apart: `a\.b.c` and `a.b.c`.
 *
 * A name that could leave its folder, or that Hadoop's paths and URLs read differently, is refused
 * rather than escaped: other engines must find the table under the same name.
 */
import { fail } from "#base/errors.ts";
import type { TableName } from "./catalog.ts";

/** Longest name of a folder on common file systems, bytes of UTF-8. */
const NAME_BYTES_MAX = 255;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
const FORBIDDEN = /[\u0000-\u001f\u007f/\\:?#%*]/;

/** `level.level.table`, dots inside a name escaped; for keys, logs and sentences. */
export function fullName(name: TableName): string {
  return joinNames([...name.namespace, name.table]);
}

/** A namespace as text: its levels joined by dots, dots inside a level escaped. */
export function namespaceText(namespace: TableName["namespace"]): string {
  return joinNames(namespace);
}

/** The levels in the text of a namespace (`iceberg.database_name`); null when one is empty. */
export function parseNamespace(text: string): string[] | null {
  const levels = splitNames(text);
  return levels.includes("") ? null : levels;
}

/** The name in the text of {@link fullName}; null when it names no namespace, or a part is empty. */
export function parseTableName(text: string): TableName | null {
  const parts = splitNames(text);
  const table = parts.pop() ?? "";
  if (parts.length === 0 || table === "" || parts.includes("")) return null;
  return { namespace: parts, table };
}

/** Throws `usage` when a level of the namespace or the table cannot be a folder's name. */
export function checkTableName(name: TableName): void {
  checkNamespace(name.namespace);
  checkName("table", name.table);
}

/** Throws `usage` when a level cannot be a folder's name. */
export function checkNamespace(namespace: TableName["namespace"]): void {
  if (namespace.length === 0) throw fail("usage", "A table's name needs a namespace");
  for (const level of namespace) checkName("namespace", level);
}

/** A table's name in Glue and in the Hive Metastore: one level, and no case. */
export interface MetastoreName {
  readonly database: string;
  readonly table: string;
}

/**
 * A name as Glue and the Hive Metastore keep it. Both fold names to lower case, and Iceberg's own catalogs
 * on them take nothing but `a-z`, `0-9` and `_`, so that anything else would not be found by others.
 * Throws `usage` for other names, and for namespaces of several levels.
 * @param service for the sentence
 */
export function metastoreName(service: string, name: TableName): MetastoreName {
  const database = metastoreDatabase(service, name.namespace);
  return { database, table: metastoreWord(service, "table", name.table) };
}

/** The database of a namespace, as {@link metastoreName}. */
export function metastoreDatabase(service: string, namespace: TableName["namespace"]): string {
  const [database = "", ...further] = namespace;
  if (further.length === 0) return metastoreWord(service, "namespace", database);
  const text = JSON.stringify(namespaceText(namespace));
  throw fail("usage", `${text} cannot be the name of a namespace: ${service} has one level`);
}

/** What becomes of a topic's name in {@link metastoreName}: the nearest name that is kept as it is. */
export function metastoreForm(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9_]/g, "_");
}

function metastoreWord(service: string, what: "namespace" | "table", name: string): string {
  checkName(what, name);
  if (metastoreForm(name) === name) return name;
  const sentence = `${JSON.stringify(name)} cannot be the name of a ${what} in ${service}`;
  const nearest = JSON.stringify(metastoreForm(name));
  throw fail(
    "usage",
    `${sentence}: a-z, 0-9 and _ are kept as they are; the nearest is ${nearest}`,
  );
}

/** Where a table lives below a warehouse: a folder for each level, then one for the table. */
export function tableLocation(warehouse: string, name: TableName): string {
  checkTableName(name);
  return [warehouse.replace(/\/+$/, ""), ...name.namespace, name.table].join("/");
}

function joinNames(names: readonly string[]): string {
  return names.map((name) => name.replaceAll(/[\\.]/g, "\\$&")).join(".");
}

/** Cuts at dots without a backslash before them; a backslash stands for the character behind it. */
function splitNames(text: string): string[] {
  const names: string[] = [];
  let name = "";
  for (const [token] of text.matchAll(/\\?./gsu)) {
    if (token === ".") {
      names.push(name);
      name = "";
    } else {
      name += token.length > 1 && token.startsWith("\\") ? token.slice(1) : token;
    }
  }
  return [...names, name];
}

function checkName(what: "namespace" | "table", name: string): void {
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
