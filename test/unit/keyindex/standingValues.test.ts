/** Values of the rows that keys have in a head, wherever these stand. */
import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import type { Field, Type } from "#columns/schema.ts";
import { KeyHasher } from "#keyindex/keyHasher.ts";
import type { KeySet, StandingValues } from "#keyindex/port.ts";
import { volatileKeyStore } from "#keyindex/store.ts";
import { createTableIndex } from "#keyindex/tableIndex.ts";
import { createWasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { rowsOf } from "../../support/columnValues.ts";
import { type Key, KeyedTable, type Listed } from "../../support/keyedTable.ts";
import { rejection } from "../../support/rejection.ts";
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

/** A column below which a file does not have member `b`, and with it. */
const MEMBER: Field = { id: 20, name: "b", required: false, type: { kind: "string" } };
const WITH_DEFAULT: Field = { ...MEMBER, initialDefault: "x" };
const structOf = (...fields: readonly Field[]): Type => ({ kind: "struct", fields });
const A: Field = { id: 21, name: "a", required: false, type: { kind: "string" } };
const NESTED = { id: 22, name: "nested", required: false };
const KEY_TEXT: Field = { id: 23, name: "key", required: true, type: { kind: "string" } };
const [ID, DAY] = SCHEMA.fields as [Field, Field];

/** By what the file lacks: the column as the file has it, and as the table does. */
const LACKING: Readonly<Record<string, readonly [inFile: Field | null, inTable: Field]>> = {
  "a column with a default": [null, WITH_DEFAULT],
  "a required column": [null, { ...MEMBER, required: true }],
  "the column of a partition": [null, DAY],
  "a member with a default": [
    { ...NESTED, type: structOf(A) },
    { ...NESTED, type: structOf(A, WITH_DEFAULT) },
  ],
  "a member of a list's elements": [
    { ...NESTED, type: { kind: "list", element: { ...NESTED, id: 24, type: structOf(A) } } },
    {
      ...NESTED,
      type: { kind: "list", element: { ...NESTED, id: 24, type: structOf(A, WITH_DEFAULT) } },
    },
  ],
  "a member of a map's values": [
    { ...NESTED, type: mapOf(structOf(A)) },
    { ...NESTED, type: mapOf(structOf(A, WITH_DEFAULT)) },
  ],
};

function mapOf(value: Type): Type {
  return { kind: "map", key: KEY_TEXT, value: { ...NESTED, id: 25, name: "value", type: value } };
}

/** Values of a table of one file with one row. */
async function valueIn(inFile: Field | null, inTable: Field): Promise<StandingValues> {
  const table = new KeyedTable();
  const fields = [ID, ...(inFile === null ? [] : [inFile])];
  const file = await table.parquetFile(fields, [[1n, ...(inFile === null ? [] : [null])]], 20_000);
  const head = await table.head([{ file, sequenceNumber: 1n }]);
  const others = [ID, DAY].filter(({ id }) => id !== inTable.id);
  const schemas = [{ ...SCHEMA, fields: [...others, inTable] }];
  const store = volatileKeyStore(createWasmKeyTable({ slotsFirst: 8 }));
  const index = createTableIndex({ store, secret: SECRET, keyColumns: ["id"] });
  await index.bringTo({ ...head, metadata: { ...head.metadata, schemas } }, "main");
  return await index.values(table.storage, keySet([1n]), [inTable]);
}

for (const [lacking, [inFile, inTable]] of Object.entries(LACKING)) {
  test(`${lacking} that a file lacks is refused: it is not null there, only the metadata says what it is`, async () => {
    const refusal = await rejection(valueIn(inFile, inTable));
    const column = inTable === DAY ? "day" : "b";
    expect(refusal).toMatchObject({ kind: "table_unsupported", context: { column } });
  });
}

test("a column without a default that a file lacks is null, at any depth", async () => {
  expect(rowsOf((await valueIn(null, MEMBER)).batch)).toEqual([{ b: null }]);
  const nested = { ...NESTED, type: structOf(A, MEMBER) };
  const { batch } = await valueIn({ ...NESTED, type: structOf(A) }, nested);
  expect(rowsOf(batch)).toEqual([{ nested: null }]);
});
