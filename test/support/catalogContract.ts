/** What every catalog promises (port `iceberg/catalog/catalog.ts`), as tests. */
import { describe, expect, test } from "bun:test";
import type { Catalog, CommitOutcome, LoadedTable } from "#catalog/catalog.ts";
import type { TableMetadata, TableRequirement } from "#iceberg/metadata/metadata.ts";
import type { Fault } from "../fakes/memoryStorage.ts";
import { appendOf, nextSnapshot, SAMPLE_UUID, sampleTable } from "./icebergSamples.ts";
import { rejection } from "./rejection.ts";

const NAME = { namespace: ["db"], table: "events" };

/** One place where tables live; each `open` is another process on it. */
export interface Place {
  readonly open: () => Promise<Catalog>;
  /** Makes the next commit fail where it counts: before or after it is applied. */
  readonly failNextWrite: (fault: Fault) => void | Promise<void>;
  /** True: a namespace has one level. */
  readonly isFlat?: boolean;
  /** True: its server may answer the loser of a race with an error of its own database, which says nothing. */
  readonly hasVagueRaces?: boolean;
}

/** A table without its store, of which each process has its own. */
function seen(table: LoadedTable | null): object | null {
  return table === null ? null : { ...table, storage: undefined };
}

function committed(outcome: CommitOutcome): LoadedTable {
  if (outcome.kind !== "committed") throw new Error(`${outcome.kind}: ${String(outcome.cause)}`);
  return outcome.table;
}

async function created(
  catalog: Catalog,
  properties: Record<string, string> = {},
): Promise<LoadedTable> {
  const metadataAt = (location: string): TableMetadata => sampleTable(location, { properties });
  return committed(await catalog.create({ name: NAME, metadataAt }));
}

/** Appends to whatever the head is until five snapshots have landed; their ids. */
async function appendFive(catalog: Catalog, writer: number): Promise<bigint[]> {
  const won: bigint[] = [];
  for (let attempt = 0; won.length < 5 && attempt < 500; attempt++) {
    const head = await catalog.load(NAME);
    if (head === null) throw new Error("the table is gone");
    const snapshotId = head.metadata.currentSnapshotId;
    const id = BigInt(writer * 1_000 + attempt + 1);
    const outcome = await catalog.commit(
      NAME,
      [{ type: "assert-ref-snapshot-id", ref: "main", snapshotId }],
      appendOf(nextSnapshot(head.metadata, id)),
    );
    if (outcome.kind === "committed") won.push(id);
    else expect(outcome.kind).toBe("conflict");
  }
  return won;
}

/** Runs the promises against one kind of place. */
export function catalogContract(title: string, place: () => Place): void {
  describe(title, () => {
    test("a table that was never created is null, and its database lists nothing", async () => {
      const catalog = await place().open();
      expect(await catalog.load(NAME)).toBeNull();
      expect(await catalog.list(["db"])).toEqual([]);
    });

    test("a created table is there for a fresh instance at once, and listed", async () => {
      const { open } = place();
      const table = await created(await open());
      const other = await open();
      expect(seen(await other.load(NAME))).toEqual(seen(table));
      expect(await other.list(["db"])).toEqual([NAME]);
      expect(await other.list(["another"])).toEqual([]);
    });

    test("tables of nested namespaces are told apart, and listed with their own namespace, or refused", async () => {
      const { open, isFlat = false } = place();
      const catalog = await open();
      if (isFlat) {
        const name = { namespace: ["a", "b"], table: "t" };
        expect(await rejection(catalog.load(name))).toMatchObject({ kind: "usage" });
        expect(await rejection(catalog.list(name.namespace))).toMatchObject({ kind: "usage" });
        return;
      }
      const names = [
        { namespace: ["a"], table: "t" },
        { namespace: ["a", "b"], table: "t" },
        { namespace: ["a", "b", "c"], table: "t" },
        { namespace: ["b"], table: "t" },
      ];
      for (const name of names) {
        const uuid = crypto.randomUUID();
        const metadataAt = (location: string): TableMetadata => sampleTable(location, { uuid });
        const table = committed(await catalog.create({ name, metadataAt }));
        expect(seen(await (await open()).load(name))).toEqual(seen(table));
      }
      const tables = await Promise.all(names.map((name) => catalog.load(name)));
      expect(new Set(tables.map((table) => table?.metadata.location)).size).toBe(4);
      for (const name of names) expect(await catalog.list(name.namespace)).toEqual([name]);
    });

    test("a table's own store reads its metadata", async () => {
      const { storage, metadataLocation } = await created(await place().open());
      const text = new TextDecoder().decode(await storage.get(metadataLocation));
      expect(text).toContain(SAMPLE_UUID);
    });

    test("creating a name that is taken is a conflict and leaves the table alone", async () => {
      const { open } = place();
      const catalog = await open();
      const table = await created(catalog);
      const outcome = await (await open()).create({
        name: NAME,
        metadataAt: (location) => sampleTable(location, { uuid: crypto.randomUUID() }),
      });
      expect(outcome.kind).toBe("conflict");
      expect(seen(await catalog.load(NAME))).toEqual(seen(table));
    });

    test("of five concurrent creators exactly one wins", async () => {
      const { open, hasVagueRaces = false } = place();
      const catalogs = await Promise.all(Array.from({ length: 5 }, open));
      const outcomes = await Promise.all(
        catalogs.map((catalog) =>
          catalog.create({
            name: NAME,
            metadataAt: (location) => sampleTable(location, { uuid: crypto.randomUUID() }),
          }),
        ),
      );
      const kinds = outcomes.map(({ kind }) =>
        hasVagueRaces && kind === "unknown" ? "conflict" : kind,
      );
      expect(kinds.sort()).toEqual(["committed", "conflict", "conflict", "conflict", "conflict"]);
    });

    test("a commit is seen by a fresh instance at once, and names the file it replaced", async () => {
      const { open } = place();
      const catalog = await open();
      const before = await created(catalog);
      const snapshot = nextSnapshot(before.metadata, 7n);
      const after = committed(await catalog.commit(NAME, [], appendOf(snapshot)));
      const found = await (await open()).load(NAME);
      expect(seen(found)).toEqual(seen(after));
      expect(found?.metadata.currentSnapshotId).toBe(7n);
      expect(found?.metadata.metadataLog.map((entry) => entry.metadataFile)).toEqual([
        before.metadataLocation,
      ]);
      expect(found?.metadataLocation).not.toBe(before.metadataLocation);
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
      expect(seen(await catalog.load(NAME))).toEqual(seen(table));
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
      const writers = [0, 1, 2, 3].map(async (writer) => appendFive(await open(), writer));
      const wins = await Promise.all(writers);
      const head = await (await open()).load(NAME);
      const snapshots = head?.metadata.snapshots ?? [];
      expect(wins.map((won) => won.length)).toEqual([5, 5, 5, 5]);
      expect(new Set(snapshots.map((s) => s.snapshotId))).toEqual(new Set(wins.flat()));
      snapshots.forEach((snapshot, index) => {
        expect(snapshot.parentSnapshotId).toBe(snapshots[index - 1]?.snapshotId ?? null);
      });
    }, 60_000);

    test("a commit that was applied but whose answer was lost is unknown, and is there", async () => {
      const { open, failNextWrite } = place();
      const catalog = await open();
      const { metadata } = await created(catalog);
      await failNextWrite("after");
      const outcome = await catalog.commit(NAME, [], appendOf(nextSnapshot(metadata, 7n)));
      expect(outcome.kind).toBe("unknown");
      expect((await (await open()).load(NAME))?.metadata.currentSnapshotId).toBe(7n);
    });

    test("a commit that never arrived is unknown, and can be sent again", async () => {
      const { open, failNextWrite } = place();
      const catalog = await open();
      const { metadata } = await created(catalog);
      await failNextWrite("before");
      const updates = appendOf(nextSnapshot(metadata, 7n));
      expect((await catalog.commit(NAME, [], updates)).kind).toBe("unknown");
      expect((await catalog.load(NAME))?.metadata.currentSnapshotId).toBeNull();
      expect(committed(await catalog.commit(NAME, [], updates)).metadata.currentSnapshotId).toBe(
        7n,
      );
    });

    test("a column that the table's format cannot hold is thrown, and changes nothing", async () => {
      const catalog = await place().open();
      const table = await created(catalog);
      const type = { kind: "timestamp_ns", zone: true } as const;
      const field = { id: 4, name: "nanos", required: false, type };
      const schema = { schemaId: 1, fields: [field], identifierFieldIds: [] };
      const commit = catalog.commit(NAME, [], [{ action: "add-schema", schema, lastColumnId: 4 }]);
      expect(await rejection(commit)).toMatchObject({ kind: "table_schema" });
      expect(seen(await catalog.load(NAME))).toEqual(seen(table));
    });

    test("names that would leave their folder are refused", async () => {
      const catalog = await place().open();
      for (const table of ["", "..", "a/b", "a\\b", "a\u0000b", " a", "x".repeat(300)]) {
        expect((await rejection(catalog.load({ namespace: ["db"], table }))).message).toContain(
          "cannot be the name",
        );
      }
      expect((await rejection(catalog.list(["../.."]))).message).toContain("cannot be the name");
    });
  });
}
