/** Catalogs for `catalogContract.ts`, with faults at the write that decides a commit. */
import type { Database } from "bun:sqlite";
import { type Clock, systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { createPointerCatalog } from "#catalog/pointer.ts";
import { createSqlCatalog } from "#catalog/sql.ts";
import { openSqlite } from "#catalog/sqlite.ts";
import type { Storage } from "#storage/storage.ts";
import { memoryPointers, memoryRows } from "../fakes/memoryPointers.ts";
import type { Fault } from "../fakes/memoryStorage.ts";
import type { Place } from "./catalogContract.ts";

const fixedClock: Clock = { ...systemClock, nowMs: () => 5_000 };

function faulty(storage: Storage, next: { fault: Fault }): Storage {
  const inject = async <T>(location: string, run: () => Promise<T>): Promise<T> => {
    const fault = location.endsWith(".metadata.json") ? next.fault : null;
    if (fault === null) return run();
    next.fault = null;
    if (fault === "after") await run();
    throw new Error("the connection was lost");
  };
  return {
    ...storage,
    put: (location, content) => inject(location, () => storage.put(location, content)),
    putIfAbsent: (location, content) =>
      inject(location, () => storage.putIfAbsent(location, content)),
  };
}

/** A file catalog on any storage. */
export function filePlace(storage: Storage, warehouse: string): Place {
  const next: { fault: Fault } = { fault: null };
  return {
    open: async () => {
      const catalog = createFileCatalog(
        { warehouse, readOnly: false },
        { storage: faulty(storage, next), clock: fixedClock, log: silentLogger },
      );
      await catalog.open();
      return catalog;
    },
    failNextWrite: (fault) => {
      next.fault = fault;
    },
  };
}

let databases = 0;

/** A SQL catalog in a new database below `root`. */
export function sqlPlace(root: string, storage: Storage, warehouse: string): Place {
  const next: { fault: Fault } = { fault: null };
  const uri = `sqlite://${root}/sql-${databases++}/catalog.db`;
  return {
    open: async () => {
      const catalog = createSqlCatalog(
        { uri, name: "default", warehouse, readOnly: false },
        {
          storage,
          clock: fixedClock,
          random: systemRandom,
          log: silentLogger,
          openDatabase: async (path, readOnly) =>
            faultyDatabase(await openSqlite(path, readOnly), next),
        },
      );
      await catalog.open();
      return catalog;
    },
    failNextWrite: (fault) => {
      next.fault = fault;
    },
  };
}

/** A pointer catalog on a store in memory. */
export function pointerPlace(storage: Storage): Place {
  const rows = memoryRows();
  return {
    open: async () => {
      const parts = { storage, clock: fixedClock, random: systemRandom, log: silentLogger };
      return createPointerCatalog(memoryPointers(rows), parts);
    },
    failNextWrite: (fault) => {
      rows.fault = fault;
    },
  };
}

/** Fails the next COMMIT. */
function faultyDatabase(database: Database, next: { fault: Fault }): Database {
  const run = database.run.bind(database);
  return Object.assign(database, {
    run: (sql: string) => {
      const fault = sql === "COMMIT" ? next.fault : null;
      if (fault === null) return run(sql);
      next.fault = null;
      if (fault === "after") run(sql);
      throw new Error("disk I/O error");
    },
  });
}
