/**
 * The reader's schema, `schema.file = "x.avsc"`: what its aliases and defaults say about values that
 * were written with another one (Avro 1.12, "Schema Resolution").
 */
import { joinPath } from "#columns/paths.ts";
import { encodeDefault } from "./encode.ts";
import { memberName, valueBranches } from "./fields.ts";
import type { AvroRecord, AvroType } from "./schema.ts";

/** The default of a field: a value of its type. */
export interface Fallback {
  readonly type: AvroType;
  readonly bytes: Uint8Array;
}

/** A reader's schema by the full paths of its columns. */
export class ReaderSchema {
  private readonly names = new Map<string, string>();
  private readonly fallbacks = new Map<string, Fallback>();
  private readonly inside = new Set<AvroType>();
  private readonly separator: string | null;

  constructor(schema: AvroRecord, flattenSeparator: string | null) {
    this.separator = flattenSeparator;
    this.record(schema, "", "");
  }

  /** What a field is called here that has `path` in the writer's schema; null: nothing else. */
  nameOf(path: string): string | null {
    return this.names.get(path) ?? null;
  }

  /** The default of a column; null: it has none, or null. */
  fallbackOf(path: string): Fallback | null {
    return this.fallbacks.get(path) ?? null;
  }

  private record(record: AvroRecord, path: string, prefix: string): void {
    if (this.inside.has(record)) return;
    this.inside.add(record);
    for (const { name, aliases, type, fallback } of record.fields) {
      const at = joinPath(path, prefix + name);
      for (const alias of aliases) this.names.set(joinPath(path, prefix + alias), prefix + name);
      const bytes =
        fallback === undefined || fallback === null ? null : encodeDefault(type, fallback);
      if (bytes !== null) this.fallbacks.set(at, { type, bytes });
      const isFlat = this.separator !== null && path === "";
      if (isFlat) this.below(type, "", `${prefix}${name}${this.separator}`);
      else this.below(type, at, "");
    }
    this.inside.delete(record);
  }

  /** @param path of the column, or with `prefix` of what its members are flattened into */
  private below(type: AvroType, path: string, prefix: string): void {
    const values = valueBranches(type);
    for (const branch of values) {
      const member = memberName(branch, values);
      const isFlat = prefix !== "";
      if (values.length > 1 && isFlat) this.type(branch, "", prefix + member + this.separator);
      else this.type(branch, values.length > 1 ? joinPath(path, member) : path, prefix);
    }
  }

  private type(type: AvroType, path: string, prefix: string): void {
    // A list that is flattened is still one column, called as its field.
    const column = prefix === "" ? path : prefix.slice(0, -(this.separator ?? "").length);
    if (type.kind === "record") this.record(type, path, prefix);
    else if (type.kind === "array") this.below(type.items, joinPath(column, "element"), "");
    else if (type.kind === "map") this.below(type.values, joinPath(column, "value"), "");
  }
}
