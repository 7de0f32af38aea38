/** What every catalog promises (port `iceberg/catalog/catalog.ts`), run against each. */

import type { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { type Clock, systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, CommitOutcome, LoadedTable } from "#iceberg/catalog/catalog.ts";
import { createFileCatalog } from "#iceberg/catalog/file.ts";
import { createSqlCatalog } from "#iceberg/catalog/sql.ts";
import { openSqlite } from "#iceberg/catalog/sqlite.ts";
import type { TableRequirement } from "#iceberg/metadata.ts";
import { createLocalStorage } from "#storage/local.ts";
import type { Storage } from "#storage/storage.ts";
import { createMemoryStorage, type Fault } from "../fakes/memoryStorage.ts";
import { appendOf, nextSnapshot, SAMPLE_UUID, sampleTable } from "../support/icebergSamples.ts";

const NAME = { database: "db", table: "events" };
const ROOT = `/tmp/kafka-iceberg-test-${process.pid}-${Bun.nanoseconds()}`;
const fixedClock: Clock = { ...systemClock, nowMs: () => 5_000 };

/** One place where tables live; each `open` is another process on it. */
interface Place {
  readonly open: () => Promise<Catalog>;
  /** Makes the next commit fail where it counts: before or after it is applied. */
  readonly failNextWrite: (fault: Fault) => void;
}

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

function filePlace(storage: Storage, warehouse: string): Place {
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

let places = 0;

function sqlPlace(storage: Storage, warehouse: string): Place {
  const next: { fault: Fault } = { fault: null };
  const uri = `sqlite://${ROOT}/sql-${places++}/catalog.db`;
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

const PLACES: Record<string, () => Place> = {
  "file catalog in memory": () => filePlace(createMemoryStorage(), "/warehouse"),
  "file catalog on the local disk": () =>
    filePlace(
      createLocalStorage({ disk: systemDisk, random: systemRandom }),
      `${ROOT}/file-${places++}`,
    ),
  "SQL catalog with storage in memory": () => sqlPlace(createMemoryStorage(), "/warehouse"),
  "SQL catalog on the local disk": () =>
    sqlPlace(
      createLocalStorage({ disk: systemDisk, random: systemRandom }),
      `${ROOT}/warehouse-${places++}`,
    ),
};

afterAll(() => rm(ROOT, { recursive: true, force: true }));

function committed(outcome: CommitOutcome): LoadedTable {
  if (outcome.kind !== "committed") throw new Error(`${outcome.kind}: ${String(outcome.cause)}`);
  return outcome.table;
}

async function created(
  catalog: Catalog,
  properties: Record<string, string> = {},
): Promise<LoadedTable> {
  const metadata = sampleTable(catalog.defaultLocation(NAME), { properties });
  return committed(await catalog.create({ name: NAME, metadata }));
}

for (const [title, place] of Object.entries(PLACES)) {
  describe(title, () => {
    test("a table that was never created is null, and its database lists nothing", async () => {
      const catalog = await place().open();
      expect(await catalog.load(NAME)).toBeNull();
      expect(await catalog.list("db")).toEqual([]);
    });

    test("a created table is there for a fresh instance at once, and listed", async () => {
      const { open } = place();
      const table = await created(await open());
      const other = await open();
      expect(await other.load(NAME)).toEqual(table);
      expect(await other.list("db")).toEqual([NAME]);
      expect(await other.list("another")).toEqual([]);
    });

    test("creating a name that is taken is a conflict and leaves the table alone", async () => {
      const { open } = place();
      const catalog = await open();
      const table = await created(catalog);
      const outcome = await (await open()).create({
        name: NAME,
        metadata: sampleTable(catalog.defaultLocation(NAME), { uuid: crypto.randomUUID() }),
      });
      expect(outcome.kind).toBe("conflict");
      expect(await catalog.load(NAME)).toEqual(table);
    });

    test("of five concurrent creators exactly one wins", async () => {
      const { open } = place();
      const catalogs = await Promise.all(Array.from({ length: 5 }, open));
      const outcomes = await Promise.all(
        catalogs.map((catalog) =>
          catalog.create({
            name: NAME,
            metadata: sampleTable(catalog.defaultLocation(NAME), { uuid: crypto.randomUUID() }),
          }),
        ),
      );
      const kinds = outcomes.map((outcome) => outcome.kind).sort();
      expect(kinds).toEqual(["committed", "conflict", "conflict", "conflict", "conflict"]);
    });

    test("a commit is seen by a fresh instance at once, and names the file it replaced", async () => {
      const { open } = place();
      const catalog = await open();
      const before = await created(catalog);
      const snapshot = nextSnapshot(before.metadata, 7n);
      const after = committed(await catalog.commit(NAME, [], appendOf(snapshot)));
      const seen = await (await open()).load(NAME);
      expect(seen).toEqual(after);
      expect(seen?.metadata.currentSnapshotId).toBe(7n);
      expect(seen?.metadata.metadataLog.map((entry) => entry.metadataFile)).toEqual([
        before.metadataLocation,
      ]);
      expect(seen?.metadataLocation).not.toBe(before.metadataLocation);
    });

    test("each violated requirement is a conflict and changes nothing", async () => {
      const catalog = await place().open();
      const table = await created(catalog);
      const violated: TableRequirement[] = [
        { type: "assert-create" },
        { type: "assert-table-uuid", uuid: crypto.randomUUID() },
        { type: "assert-ref-snapshot-id", ref: "main", snapshotId: 1n },
        { type: "assert-last-assigned-field-id", id: 99 },
        { type: "assert-current-schema-id", id: 99 },
        { type: "assert-last-assigned-partition-id", id: 99 },
        { type: "assert-default-spec-id", id: 99 },
        { type: "assert-default-sort-order-id", id: 99 },
      ];
      for (const requirement of violated) {
        const outcome = await catalog.commit(
          NAME,
          [requirement],
          [{ action: "set-properties", properties: { touched: "yes" } }],
        );
        expect([requirement.type, outcome.kind]).toEqual([requirement.type, "conflict"]);
      }
      expect(await catalog.load(NAME)).toEqual(table);
    });

    test("a commit whose requirements hold lands", async () => {
      const catalog = await place().open();
      await created(catalog);
      const outcome = await catalog.commit(
        NAME,
        [
          { type: "assert-table-uuid", uuid: SAMPLE_UUID },
          { type: "assert-ref-snapshot-id", ref: "main", snapshotId: null },
          { type: "assert-current-schema-id", id: 0 },
          { type: "assert-last-assigned-field-id", id: 3 },
        ],
        [{ action: "set-properties", properties: { k: "v" } }],
      );
      expect(committed(outcome).metadata.properties["k"]).toBe("v");
    });

    test("a commit to a table that is not there is a conflict", async () => {
      const catalog = await place().open();
      expect((await catalog.commit(NAME, [], [])).kind).toBe("conflict");
    });

    test("a snapshot with a stale sequence number is a conflict", async () => {
      const catalog = await place().open();
      const { metadata } = await created(catalog);
      committed(await catalog.commit(NAME, [], appendOf(nextSnapshot(metadata, 7n))));
      const outcome = await catalog.commit(NAME, [], appendOf(nextSnapshot(metadata, 8n)));
      expect(outcome.kind).toBe("conflict");
    });

    test("concurrent committers: one winner for each head, and no update is lost", async () => {
      const { open } = place();
      await created(await open());
      const wins = await Promise.all(
        Array.from({ length: 4 }, async (_, writer) => {
          const catalog = await open();
          const won: bigint[] = [];
          for (let attempt = 0; won.length < 5 && attempt < 500; attempt++) {
            const head = await catalog.load(NAME);
            if (head === null) throw new Error("the table is gone");
            const id = BigInt(writer * 1_000 + attempt + 1);
            const outcome = await catalog.commit(
              NAME,
              [
                {
                  type: "assert-ref-snapshot-id",
                  ref: "main",
                  snapshotId: head.metadata.currentSnapshotId,
                },
              ],
              appendOf(nextSnapshot(head.metadata, id)),
            );
            if (outcome.kind === "committed") won.push(id);
            else expect(outcome.kind).toBe("conflict");
          }
          return won;
        }),
      );
      const head = await (await open()).load(NAME);
      const snapshots = head?.metadata.snapshots ?? [];
      expect(wins.map((won) => won.length)).toEqual([5, 5, 5, 5]);
      expect(new Set(snapshots.map((s) => s.snapshotId))).toEqual(new Set(wins.flat()));
      snapshots.forEach((snapshot, index) => {
        expect(snapshot.parentSnapshotId).toBe(snapshots[index - 1]?.snapshotId ?? null);
      });
    });

    test("a commit that was applied but whose answer was lost is unknown, and is there", async () => {
      const { open, failNextWrite } = place();
      const catalog = await open();
      const { metadata } = await created(catalog);
      failNextWrite("after");
      const outcome = await catalog.commit(NAME, [], appendOf(nextSnapshot(metadata, 7n)));
      expect(outcome.kind).toBe("unknown");
      expect((await (await open()).load(NAME))?.metadata.currentSnapshotId).toBe(7n);
    });

    test("a commit that never arrived is unknown, and can be sent again", async () => {
      const { open, failNextWrite } = place();
      const catalog = await open();
      const { metadata } = await created(catalog);
      failNextWrite("before");
      const updates = appendOf(nextSnapshot(metadata, 7n));
      expect((await catalog.commit(NAME, [], updates)).kind).toBe("unknown");
      expect((await catalog.load(NAME))?.metadata.currentSnapshotId).toBeNull();
      expect(committed(await catalog.commit(NAME, [], updates)).metadata.currentSnapshotId).toBe(
        7n,
      );
    });

    test("names that would leave their folder are refused", async () => {
      const catalog = await place().open();
      for (const table of ["", "..", "a/b", "a\\b", "a\u0000b", " a", "x".repeat(300)]) {
        await expect(catalog.load({ database: "db", table })).rejects.toThrow("cannot be the name");
      }
      await expect(catalog.list("../..")).rejects.toThrow("cannot be the name");
    });
  });
}
