/** Changes that rows which stand have overtaken: found by orders, and without reading where bounds decide. */
import { expect, test } from "bun:test";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import { LastRows } from "#keyindex/lastRows.ts";
import { newerKeys, type Standing } from "#keyindex/newerKeys.ts";
import { orderFieldOf, ordersOf } from "#keyindex/orders.ts";
import type { KeySet } from "#keyindex/port.ts";

/** Keys with orders; a key is its number. */
function keySet(entries: readonly (readonly [key: number, order: number])[]): KeySet {
  const words = new BigUint64Array(2 * entries.length);
  for (const [n, [key]] of entries.entries()) words[2 * n] = BigInt(key) << 32n;
  const orders = BigInt64Array.from(entries, ([, order]) => BigInt(order));
  return { count: entries.length, words, orders };
}

/** Files of rows; `knowsBound` false: their manifests say nothing of orders. */
class Files {
  readonly read: string[] = [];
  readonly live: LiveData[] = [];
  readonly #rows = new Map<string, KeySet>();

  add(path: string, rows: readonly (readonly [number, number])[], knowsBound = true): void {
    const most = rows.reduce((max, [, order]) => Math.max(max, order), -1);
    const bound = new Uint8Array(BigInt64Array.of(BigInt(most)).buffer);
    const upperBound = knowsBound ? bound : null;
    const known = { format: "PARQUET", specId: 0, partition: [], bytes: 1, sequenceNumber: 1n };
    this.live.push({ ...known, path, rows: rows.length, firstRowId: null, upperBound });
    this.#rows.set(path, keySet(rows));
  }

  get standing(): Standing {
    return {
      locate: () => {
        const none = { vector: null, positions: [], equality: [] };
        const rows = new Uint32Array(1);
        return Promise.resolve(this.live.map((file) => ({ file, deletes: none, rows })));
      },
      read: (file) => this.#rowsOf(file.path),
    };
  }

  async *#rowsOf(path: string) {
    this.read.push(path);
    const keys = this.#rows.get(path) ?? keySet([]);
    yield await Promise.resolve({ keys, rows: new Uint32Array(keys.count) });
  }
}

test("changes that are not below any file's largest order are overtaken by none, and nothing is read", async () => {
  const files = new Files();
  files.add("a", [[1, 5]]);
  files.add("b", [[2, 9]]);
  const keys = keySet([
    [1, 9],
    [2, 9],
    [3, 12],
  ]);
  expect([...(await newerKeys(keys, files.live, files.standing))]).toEqual([]);
  expect(files.read).toEqual([]);
});

test("a change is overtaken by a row of its own key with a larger order, and by no other; an equal one is not", async () => {
  const files = new Files();
  files.add("old", [[1, 2]]);
  files.add("new", [
    [1, 9],
    [2, 7],
    [3, 4],
  ]);
  const keys = keySet([
    [4, 1],
    [1, 8],
    [2, 7],
    [3, 3],
  ]);
  expect([...(await newerKeys(keys, files.live, files.standing))]).toEqual([1, 3]);
  expect(files.read).toEqual(["old", "new"]);
});

test("a file that says nothing of its orders is read", async () => {
  const files = new Files();
  files.add("foreign", [[1, 50]], false);
  expect([...(await newerKeys(keySet([[1, 40]]), files.live, files.standing))]).toEqual([0]);
});

test("of the rows of a key the one with the largest order is the last, of equal ones that which comes later", () => {
  const keys = keySet([
    [1, 5],
    [1, 9],
    [2, 1],
    [1, 9],
    [2, 0],
    [1, 7],
  ]);
  const last = new LastRows(keys.words, keys.count, keys.orders ?? null);
  last.add(0, keys.count);
  const rows = Array.from({ length: keys.count }, (_, row) => row);
  expect(rows.filter((row) => last.has(row))).toEqual([2, 3]);
  expect([...(last.keys().orders ?? [])].sort()).toEqual([1n, 9n]);
});

test("a row without an order is older than any; a column that orders nothing is refused by name", () => {
  const words = BigInt64Array.of(3n, 0n);
  const orders = ordersOf({ values: { kind: "word", words }, nulls: Uint8Array.of(0, 1) });
  expect([...orders]).toEqual([3n, -(2n ** 63n)]);
  const text = { id: 1, name: "v", required: false, type: { kind: "string" } } as const;
  expect(() => orderFieldOf([text], "v")).toThrow("Column v of source.order_field is string");
  expect(() => orderFieldOf([text], "w")).toThrow("is not there");
});
