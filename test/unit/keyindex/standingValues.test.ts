/** Values of the rows that keys have in a head, wherever these stand. */
import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { KeyHasher } from "#keyindex/keyHasher.ts";
import type { KeySet, StandingValues } from "#keyindex/port.ts";
import { volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { rowsOf } from "../../support/columnValues.ts";
import { type Key, KeyedTable, type Listed } from "../../support/keyedTable.ts";
import { SCHEMA } from "../../support/tableOf.ts";

const SECRET = { k0: 1n, k1: 2n };
const HASHER = new KeyHasher([{ id: 1, name: "id", type: { kind: "long" } }], SECRET);

function keySet(keys: readonly bigint[]): KeySet {
  const words = BigInt64Array.from(keys);
  return HASHER.hashAll([{ values: { kind: "word", words }, nulls: null }], keys.length);
}

test("of each key the values of its live row are read, whatever file that is in, and keys without one are named", async () => {
  const random = seededRandom(3);
  const below = (bound: number): number => Math.floor(random.unit() * bound);
  for (let round = 0; round < 20; round++) {
    const table = new KeyedTable();
    const listed: Listed[] = [];
    let next = 0;
    for (let file = 0; file < 4; file++) {
      const keys: Key[] = Array.from({ length: 1 + below(14) }, () => BigInt(next++));
      const added = await table.dataFile(keys, 20_000 + (file % 2));
      listed.push({ file: added, sequenceNumber: BigInt(file + 1) });
      if (below(2) === 0) continue;
      const rows = [below(keys.length), below(keys.length)];
      listed.push({ file: await table.vector(added, rows), sequenceNumber: BigInt(file + 1) });
    }
    const store = volatileKeyStore(createWasmKeyTable({ slotsFirst: 8 }));
    const index = createTableIndex({ store, secret: SECRET, keyColumns: ["id"] });
    await index.bringTo(await table.head(listed), "main");
    const asked = Array.from({ length: next + 5 }, (_, n) => BigInt(n)).filter(() => below(3) > 0);
    asked.reverse();
    const columns = SCHEMA.fields.slice(0, 3);
    const values: StandingValues = await index.values(table.storage, keySet(asked), columns);
    const live = table.scan(listed);
    const isLive = (key: bigint): boolean => (live.get(key) ?? []).length > 0;
    const found = [...values.keys].map((n) => asked[n] ?? null);
    expect(new Set(found)).toEqual(new Set(asked.filter(isLive)));
    expect(found.length).toBe(asked.filter(isLive).length);
    expect([...values.missing].map((n) => asked[n] ?? null)).toEqual(
      asked.filter((key) => !isLive(key)),
    );
    const rows = rowsOf(values.batch).map((row) => [row["id"], row["name"]]);
    expect(rows).toEqual(found.map((key) => [key, `name of ${key}`]));
  }
});
