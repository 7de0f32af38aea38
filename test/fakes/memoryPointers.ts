/**
 * A pointer store in memory, with what Glue and Hive have and SQLite lacks: namespaces with locations
 * of their own, a version of each row that a swap must name, answers that get lost.
 */
import { fullName, namespaceText } from "#catalog/names.ts";
import type { Pointer, PointerStore, PointerWrite } from "#catalog/pointer.ts";
import type { Fault } from "./memoryStorage.ts";

/** The rows, shared by every process that opens the store. */
export interface MemoryRows {
  readonly pointers: Map<string, Pointer<{ readonly version: number }>>;
  /** Where the next write fails: before or after it is applied. */
  fault: Fault;
  /** How many rows were read, per table. */
  readonly reads: Map<string, number>;
}

/** Rows of an empty store. */
export function memoryRows(): MemoryRows {
  return { pointers: new Map(), fault: null, reads: new Map() };
}

/** Opens the store as one process. */
export function memoryPointers(rows: MemoryRows): PointerStore<{ readonly version: number }> {
  const write = async (apply: () => boolean): Promise<PointerWrite> => {
    const { fault } = rows;
    rows.fault = null;
    await Promise.resolve();
    const applied = fault === "before" ? null : apply();
    if (fault !== null) return { kind: "unclear", cause: new Error("the answer was lost") };
    return { kind: applied === true ? "done" : "taken" };
  };
  return {
    type: "memory",
    endsLateRequests: "all",
    open: () => Promise.resolve(),
    close: () => Promise.resolve(),
    get: async (name) => {
      const key = fullName(name);
      rows.reads.set(key, (rows.reads.get(key) ?? 0) + 1);
      return rows.pointers.get(key) ?? null;
    },
    insert: (name, { metadataLocation }) =>
      write(() => {
        if (rows.pointers.has(fullName(name))) return false;
        rows.pointers.set(fullName(name), { metadataLocation, row: { version: 1 } });
        return true;
      }),
    swap: (name, { row }, { metadataLocation }) =>
      write(() => {
        const { version } = rows.pointers.get(fullName(name))?.row ?? { version: 0 };
        if (version !== row.version) return false;
        rows.pointers.set(fullName(name), { metadataLocation, row: { version: version + 1 } });
        return true;
      }),
    list: async (namespace) => {
      const prefix = `${namespaceText(namespace)}.`;
      const names = [...rows.pointers.keys()].filter((key) => key.startsWith(prefix));
      return names.map((key) => key.slice(prefix.length)).filter((table) => !table.includes("."));
    },
    locationOf: async (name) => `/lake/${name.namespace.join("/")}.db/${name.table}`,
  };
}
