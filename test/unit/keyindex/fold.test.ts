/** What is left of a flush: the last change of each key. */
import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { CHANGE } from "#columns/changes.ts";
import { fold } from "#keyindex/fold.ts";
import { KeyHasher } from "#keyindex/keyHasher.ts";
import type { KeySet } from "#keyindex/port.ts";
import { batchOf, columnOf } from "../../support/columnOf.ts";
import { rejection } from "../../support/rejection.ts";

const HASHER = new KeyHasher([{ id: 1, name: "c1", type: { kind: "string" } }], { k0: 5n, k1: 6n });

interface Change {
  readonly key: string;
  readonly operation: number;
}

function changesOf(batches: readonly (readonly Change[])[]) {
  return batches.map((changes) => ({
    rows: batchOf(
      columnOf(
        1,
        { kind: "string" },
        changes.map(({ key }) => key),
      ),
    ),
    changes: Int32Array.from(changes, ({ operation }) => operation),
  }));
}

function texts({ count, words }: KeySet): string[] {
  return Array.from({ length: count }, (_, n) => `${words[2 * n]} ${words[2 * n + 1]}`);
}

function hashOf(key: string): string {
  const offsets = Int32Array.of(0, Buffer.byteLength(key));
  const values = { kind: "bytes", offsets, data: new Uint8Array(Buffer.from(key)) } as const;
  return texts(HASHER.hashAll([{ values, nulls: null }], 1))[0] ?? "";
}

/** By key: the place of the row that is left; null: it was deleted. */
function lastOf(batches: readonly (readonly Change[])[]): Map<string, string | null> {
  const last = new Map<string, string | null>();
  for (const [n, changes] of batches.entries()) {
    for (const [row, { key, operation }] of changes.entries()) {
      if (operation === CHANGE.truncate) last.clear();
      else last.set(key, operation === CHANGE.put ? `${n}:${row}` : null);
    }
  }
  return last;
}

test("of each key the last change is left, a delete leaves nothing, a truncate nothing of what was before it, and every key that was touched is named once", async () => {
  const random = seededRandom(3);
  const int = (below: number): number => Math.floor(random.unit() * below);
  for (let round = 0; round < 300; round++) {
    const [batchesMax, rowsMax, keysMax] = [1 + int(4), 1 + int(60), 1 + int(40)];
    const batches = Array.from({ length: batchesMax }, () =>
      Array.from({ length: int(rowsMax) }, () => ({
        key: `key ${int(keysMax)}`,
        operation: operationOf(int(60)),
      })),
    );
    const last = lastOf(batches);
    const changes = changesOf(batches);
    const { keys, kept, empties } = await fold(changes, HASHER, () => Promise.resolve());
    expect(empties).toBe(batches.flat().some(({ operation }) => operation === CHANGE.truncate));
    expect(texts(keys).sort()).toEqual([...last.keys()].map(hashOf).sort());
    const places = kept.flatMap(({ batch, rows }) =>
      Array.from(rows, (row) => `${changes.findIndex((each) => each.rows === batch)}:${row}`),
    );
    expect(places).toEqual([...last.values()].filter((place) => place !== null).sort(byPlace));
    for (const { batch, rows, keys: own } of kept) {
      const of = batches[changes.findIndex((each) => each.rows === batch)] ?? [];
      expect(texts(own)).toEqual(Array.from(rows, (row) => hashOf(of[row]?.key ?? "")));
    }
  }
});

/** One change in three deletes, one in sixty empties the table. */
function operationOf(dice: number): number {
  if (dice === 0) return CHANGE.truncate;
  return dice % 3 === 0 ? CHANGE.delete : CHANGE.put;
}

function byPlace(a: string, b: string): number {
  const [x = 0, y = 0] = a.split(":").map(Number);
  const [u = 0, v = 0] = b.split(":").map(Number);
  return x - u || y - v;
}

test("the keys of a flush lie in memory that the Worker of the indexes reads where it is", async () => {
  const change = (key: string): Change => ({ key, operation: CHANGE.put });
  const flush = changesOf([[change("a"), change("b")], [change("b")]]);
  const { keys, kept } = await fold(flush, HASHER, () => Promise.resolve());
  const sets = [keys, ...kept.map((rows) => rows.keys)];
  const copied = structuredClone(sets);
  for (const [n, { words }] of sets.entries()) {
    expect(words.buffer).toBeInstanceOf(SharedArrayBuffer);
    words[0] = 7n;
    expect(copied[n]?.words[0]).toBe(7n);
  }
});

test("a flush of many keys gives way to others", async () => {
  const count = 100_000;
  const batch = batchOf(
    columnOf(
      1,
      { kind: "string" },
      Array.from({ length: count }, (_, n) => `${n}`),
    ),
  );
  let turns = 0;
  const folded = await fold([{ rows: batch, changes: null }], HASHER, async () => {
    turns++;
  });
  expect(folded.keys.count).toBe(count);
  expect(turns).toBeGreaterThan(5);
});

test("a key column that was dropped and made again is found by its name; rows without it are no rows with null keys", async () => {
  const again = new KeyHasher([{ id: 12, name: "c1", type: { kind: "string" } }], {
    k0: 5n,
    k1: 6n,
  });
  const changes = changesOf([["a", "b", "c"].map((key) => ({ key, operation: CHANGE.put }))]);
  const { keys, kept } = await fold(changes, again, () => Promise.resolve());
  expect([keys.count, kept[0]?.rows.length]).toEqual([3, 3]);
  const other = new KeyHasher([{ id: 12, name: "c2", type: { kind: "string" } }], {
    k0: 5n,
    k1: 6n,
  });
  const lost = await rejection(fold(changes, other, () => Promise.resolve()));
  expect(lost).toMatchObject({ kind: "table_schema" });
});

interface PlacedChange {
  readonly place: string;
  readonly operation: number;
}

/** What is told of the changes of a key, the newest first: their places, and what stands before them. */
function partialOf(all: readonly PlacedChange[]): string[] {
  if (all[0]?.operation !== CHANGE.partial) return [];
  const end = all.findIndex(({ operation }) => operation !== CHANGE.partial);
  const places = all.map(({ place }) => place);
  if (end < 0) return [`${places.join(" ")} table`];
  const isWhole = all[end]?.operation === CHANGE.put;
  return [`${places.slice(0, isWhole ? end + 1 : end).join(" ")} ${isWhole ? "flush" : "nothing"}`];
}

test("a change that lacks values names the changes of its key before it, back to the first whole one, or to a delete", async () => {
  const random = seededRandom(8);
  const int = (below: number): number => Math.floor(random.unit() * below);
  const kinds = [CHANGE.put, CHANGE.partial, CHANGE.partial, CHANGE.delete];
  for (let round = 0; round < 200; round++) {
    const batches = Array.from({ length: 1 + int(4) }, () =>
      Array.from({ length: int(30) }, () => ({
        key: `key ${int(6)}`,
        operation: kinds[int(4)] ?? CHANGE.put,
      })),
    );
    const history = new Map<string, PlacedChange[]>();
    for (const [n, changes] of batches.entries()) {
      for (const [row, { key, operation }] of changes.entries()) {
        history.set(key, [{ place: `${n}:${row}`, operation }, ...(history.get(key) ?? [])]);
      }
    }
    const wanted = [...history.values()].flatMap(partialOf);
    const changes = changesOf(batches);
    const { partial, kept } = await fold(changes, HASHER, () => Promise.resolve());
    const numberOf = new Map(changes.map(({ rows }, n) => [rows, n]));
    const found = [...partial.values()].flatMap(({ rows }) =>
      rows.map(({ versions, base }) => {
        const places = versions.map(({ batch, row }) => `${numberOf.get(batch)}:${row}`);
        return `${places.join(" ")} ${base}`;
      }),
    );
    expect(found.sort()).toEqual(wanted.sort());
    const whole = [...history.values()].filter((all) => all[0]?.operation === CHANGE.put);
    expect(kept.reduce((sum, { rows }) => sum + rows.length, 0)).toBe(whole.length);
  }
});

test("a row whose key was deleted before it in its flush is another row than the table's, and no other one is", async () => {
  const random = seededRandom(4);
  const int = (below: number): number => Math.floor(random.unit() * below);
  for (let round = 0; round < 100; round++) {
    const keysMax = 1 + int(20);
    const batches = Array.from({ length: 1 + int(3) }, () =>
      Array.from({ length: int(40) }, () => ({
        key: `key ${int(keysMax)}`,
        operation: int(3) === 0 ? CHANGE.delete : CHANGE.put,
      })),
    );
    const deletes = batches.flat().filter(({ operation }) => operation === CHANGE.delete);
    const deleted = new Set(deletes.map(({ key }) => key));
    const flush = changesOf(batches);
    const { kept } = await fold(flush, HASHER, () => Promise.resolve());
    for (const { batch, rows, isNew } of kept) {
      const changes = batches[flush.findIndex((split) => split.rows === batch)] ?? [];
      const expected = [...rows].map((row) => (deleted.has(changes[row]?.key ?? "") ? 1 : 0));
      expect(isNew === null ? expected.map(() => 0) : [...isNew]).toEqual(expected);
    }
  }
});

test("a flush of deletes gives way about as often as one of rows that stay, whichever of them are the last of their keys", async () => {
  const rows = 100_000;
  const turnsOf = async (keys: number, operationOf: (row: number) => number): Promise<number> => {
    const texts = Array.from({ length: rows }, (_, n) => `${n % keys}`);
    const batch = batchOf(columnOf(1, { kind: "string" }, texts));
    let turns = 0;
    const changes = Int32Array.from({ length: rows }, (_, row) => operationOf(row));
    await fold([{ rows: batch, changes }], HASHER, async () => {
      turns++;
    });
    return turns;
  };
  const puts = await turnsOf(rows, () => CHANGE.put);
  const deletes = () => CHANGE.delete;
  // All of them last; many of one key; as many keys as rows go between two turns, each deleted again and again.
  for (const keys of [rows, 1, 16_384]) {
    const turns = (await turnsOf(keys, deletes)) - puts;
    expect(turns).toBeGreaterThan(5);
    expect(turns).toBeLessThan(20);
  }
});
