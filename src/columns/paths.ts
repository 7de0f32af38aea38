/**
 * Names of columns as Iceberg's engines compare them: the full dotted path, list elements and map
 * keys and values included, upper and lower case as one.
 *
 * PyIceberg and Java index a schema by these paths. Where two fields share one, as `http.method` in
 * struct `http` and a column that is itself called `http.method`, the table cannot be loaded again:
 * so whatever adds a column looks here first.
 */
import { childFields, type Field } from "./schema.ts";

/** The path of a field below `parent`, "" for the row; as written, not in lower case. */
export function joinPath(parent: string, name: string): string {
  return parent === "" ? name : `${parent}.${name}`;
}

/** The paths of fields: the form in which they are compared, and the form in which they are written. */
export class TakenPaths {
  private readonly byLower = new Map<string, string>();

  /** @param fields whose paths are taken, everything inside them included */
  constructor(fields: readonly Field[]) {
    this.addAll(fields, "");
  }

  /** The path that is compared equal to this one, as it was written; undefined: none. */
  find(path: string): string | undefined {
    return this.byLower.get(path.toLowerCase());
  }

  /** All paths as they were written. */
  paths(): string[] {
    return [...this.byLower.values()];
  }

  /** Takes a path; false when it was taken already. */
  add(path: string): boolean {
    const lower = path.toLowerCase();
    if (this.byLower.has(lower)) return false;
    this.byLower.set(lower, path);
    return true;
  }

  /** These paths and one more. */
  with(path: string): TakenPaths {
    const all = new TakenPaths([]);
    for (const each of [...this.paths(), path]) all.add(each);
    return all;
  }

  private addAll(fields: readonly Field[], parent: string): void {
    for (const { name, type } of fields) {
      const path = joinPath(parent, name);
      this.add(path);
      this.addAll(childFields(type), path);
    }
  }
}

/** The first path, in the fields' order, that an earlier field has already; null: none. */
export function repeatedPath(fields: readonly Field[]): string | null {
  const taken = new TakenPaths([]);
  const search = (siblings: readonly Field[], parent: string): string | null => {
    for (const { name, type } of siblings) {
      const path = joinPath(parent, name);
      if (!taken.add(path)) return path;
      const below = search(childFields(type), path);
      if (below !== null) return below;
    }
    return null;
  };
  return search(fields, "");
}

/** A path as the fields spell it, whatever its case; what leads beyond them stays as it is. */
export function spelledPath(fields: readonly Field[], path: string): string {
  const taken = new TakenPaths(fields);
  for (let end = path.length; end > 0; end = path.lastIndexOf(".", end - 1)) {
    const found = taken.find(path.slice(0, end));
    if (found !== undefined) return found + path.slice(end);
  }
  return path;
}

/** The field at a path as it is written, list elements and map values included; null: none. */
export function fieldAt(fields: readonly Field[], path: string, parent = ""): Field | null {
  for (const field of fields) {
    const own = joinPath(parent, field.name);
    if (own === path) return field;
    if (!path.startsWith(`${own}.`)) continue;
    const found = fieldAt(childFields(field.type), path, own);
    if (found !== null) return found;
  }
  return null;
}

/** A column by its name, or by dotted path through structs; a name with dots itself goes first. */
export function findColumn(fields: readonly Field[], path: string): Field | null {
  for (const field of fields) {
    if (field.name === path) return field;
    if (field.type.kind === "struct" && path.startsWith(`${field.name}.`)) {
      const found = findColumn(field.type.fields, path.slice(field.name.length + 1));
      if (found !== null) return found;
    }
  }
  return null;
}

/** `; did you mean X?` for a name that differs from a column's by upper and lower case only; else "". */
export function similarColumn(columns: readonly Field[], name: string): string {
  const wanted = name.toLowerCase();
  const found = columns.find((field) => field.name.toLowerCase() === wanted);
  return found === undefined ? "" : `; did you mean ${found.name}?`;
}
