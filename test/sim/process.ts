/**
 * What a simulated process is made of: a transaction log that survives it, ports that fall silent
 * when it dies, and its settings.
 */
import { silentLogger } from "#base/log.ts";
import type { LogEntry, LoggedEntry, TransactionLog } from "#txlog/log.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { rowEncoder } from "./rows.ts";
import { NAME, type World } from "./world.ts";

/** A transaction log in memory that survives its process; what was not synced may be lost. */
export class MemoryLog {
  #synced: LogEntry[] = [];
  #unsynced: LogEntry[] = [];

  /** Opens the log anew after a crash; `keep` decides how much of the unsynced tail was written. */
  reopen(keep: (count: number) => number): TransactionLog {
    this.#synced.push(...this.#unsynced.slice(0, keep(this.#unsynced.length)));
    this.#unsynced = [];
    const recovered: LoggedEntry[] = this.#synced.map((entry, index) => ({
      sequence: BigInt(index),
      timeMs: 0,
      entry,
    }));
    return {
      recovered,
      append: (entry, sync = false) => {
        this.#unsynced.push(entry);
        if (sync) this.#synced.push(...this.#unsynced.splice(0));
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
  }
}

/** Parts of a writer in this world. */
export function partsOf(
  world: World,
  name: string,
  txlog: TransactionLog,
  alive: () => boolean,
): WriterParts {
  const gone = new Promise<never>(() => undefined);
  const guard = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, key) => {
        const member = Reflect.get(object, key);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => (alive() ? member.apply(object, args) : gone);
      },
    });
  return {
    catalog: world.catalog(name, alive),
    storage: guard(world.storage),
    encoder: rowEncoder,
    txlog: guard(txlog),
    clock: {
      nowMs: () => world.nowMs,
      monotonicMs: () => world.nowMs,
      sleep: () => (alive() ? Promise.resolve() : gone),
      turn: () => Promise.resolve(),
    },
    random: world.random,
    logger: silentLogger,
    observe: () => undefined,
  };
}

/** Options of every writer. */
export function optionsOf(group: string): WriterOptions {
  return {
    name: NAME,
    branch: "main",
    group,
    commitRetriesMax: 3,
    codec: "none",
    codecLevel: null,
    rowGroupRows: 1000,
    preserveKafkaPartitions: true,
    thinning: null,
    schemaChanges: "evolve",
    create: { allowed: true, formatVersion: 2, properties: {}, partitionForms: [] },
  };
}
