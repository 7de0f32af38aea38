/** Keys as 128 bits: official vectors, no two keys alike, and the same key from wherever it comes. */
import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import type { PrimitiveType } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { growMemory, loadKernel } from "#kernel/load.ts";
import { keyColumnsOf, storedKeyColumn } from "#keyindex/keyColumns.ts";
import { type KeyField, KeyHasher, keyFieldsOf, keyKindOf } from "#keyindex/keyHasher.ts";
import { readStored } from "#parquet/readColumns.ts";
import { batchOf, columnOf } from "../../support/columnOf.ts";
import { bytesOf, encodeWhole, everyType, field, batchOf as rowsOf } from "../parquet/rows.ts";

const SECRET = { k0: 0x0706050403020100n, k1: 0x0f0e0d0c0b0a0908n };

/** `vectors_sip128` of the reference implementation (github.com/veorq/SipHash): SipHash-2-4, key 00 01 .. 0f, input 00 01 .. of each length up to 63. */
const SIPHASH_2_4_128 =
  "a3817f04ba25a8e66df67214c7550293da87c1d86b99af44347659119b22fc458177228da4a45dc7fca38bdef60affe4" +
  "9c70b60c5267a94e5f33b6b02985ed51f88164c12d9c8faf7d0f6e7c7bcd55791368875980776f8854527a07690e9627" +
  "14eeca338b208613485ea0308fd7a15ea1f1ebbed8dbc153c0b84aa61ff082393b62a9ba6258f5610f83e264f31497b4" +
  "264499060ad9baabc47f8b02bb6d71ed00110dc378146956c95447d3f3d0fbba0151c568386b6677a2b4dc6f81e5dc18" +
  "d626b266905ef35882634df68532c1259869e247e9c08b10d029934fc4b952f731fcefac66d7de9c7ec7485fe4494902" +
  "5493e99933b0a8117e08ec0f97cfc3d96ee2a4ca67b054bbfd3315bf85230577473d06e8738db89854c066c47ae47740" +
  "a426e5e423bf4885294da481feaef72378017731cf65fab074d5208952512eb19e25fc833f2290733e9344a5e83839eb" +
  "568e495abe525a218a2214cd3e071d124a29b54552d16b9a469c10528eff0aaec9d184ddd5a9f5e0cf8ce29a9abf691c" +
  "2db479ae78bd50d8882a8a178a6132ad8ece5f042d5e447b5051b9eacb8d8f6f9c0b53b4b3c307e87eaee08678141f66" +
  "abf248af69a6eae4bfd3eb2f129eeb940664da1668574b88b935f3027358aef4aa4b9dc4bf337de90cd4fd3c467c6ab7" +
  "ea5c7f471faf6bde2b1ad7d4686d22872939b0183223fafc1723de4f52c43d357c3956ca5eeafc3e363e9d556546eb68" +
  "77c6077146f01c32b6b69d5f4ea9ffcf37a6986cb8847edf0925f0f1309b54dea705f0e69da9a8f907241a2e923c8cc8" +
  "3dc47d1f29c448461e9e76ed904f67110d62bf01e6fc0e1a0d3c4751c5d3692b8c03468bca7c669ee4fd5e084bbee7b5" +
  "528a5bb93baf2c9c4473cce5d0d22bd9df6a301e95c95dad97ae0cc8c6913bd8801189902c857f39e73591285e70b6db" +
  "e617346ac9c231bb3650ae34ccca0c5b27d93437efb721aa401821dcec5adf8989237d9ded9c5e78d8b1c9b166cc7342" +
  "4a6d8091bf5e7d651189fa94a250b14c0e33f96055e7ae893ffc0e3dcf492902e61c432b720b19d18ec8d84bdc63151b" +
  "f7e5aef549f782cf379055a608269b16438d030fd0b7a54fa837f2ad201a6403a590d3ee4fbf04e3247e0d27f286423f" +
  "5fe2c1a172fe93c4b15cd37caef9f5382c97325cbd06b36eb2133dd08b3a017c92c814227a6bca949ff0659f002ad39e" +
  "dce850110bd8328cfbd50841d6911d8767f14984c7da791248e32bb5922583da1938f2cf72d54ee97e94166fa91d2a36" +
  "74481e9646ed49fe0f6224301604698e57fca5de98a9d6d8006438d0583d8a1d9fecde1cefdc1cbed4763674d9575359" +
  "e3040c00eb28f15366ca73cbd872e7407697009a6a831dfecca91c5993670f7a5853542321f567a005d547a4f04759bd" +
  "5150d1772f50834a503e069a973fbd7c";
/** The vector of SipHash-1-3 with 128 bits in the Rust crate `siphasher`: the same key, no input. */
const SIPHASH_1_3_128 = "e77ebcb22788a5befd62db6add303001";

interface Functions {
  readonly hashBytes: (...args: (number | bigint)[]) => void;
}

function sipHash(input: Uint8Array, compress: number, finish: number): string {
  const { functions, memory, heapBase } = loadKernel<Functions>("keys");
  const at = Math.ceil(heapBase / 16) * 16;
  growMemory(memory, at + 1024);
  new Uint32Array(memory.buffer, at, 2).set([0, input.length]);
  new Uint8Array(memory.buffer, at + 16, 64).set(input);
  functions.hashBytes(at, at + 16, 1, at + 128, SECRET.k0, SECRET.k1, compress, finish);
  return Buffer.from(memory.buffer, at + 128, 16).toString("hex");
}

test("SipHash gives what its authors' vectors say, at every length of its last word", () => {
  for (let length = 0; length < 64; length++) {
    const input = Uint8Array.from({ length }, (_, n) => n);
    const vector = SIPHASH_2_4_128.slice(32 * length, 32 * length + 32);
    expect(sipHash(input, 2, 4)).toBe(vector);
  }
  expect(sipHash(new Uint8Array(0), 1, 3)).toBe(SIPHASH_1_3_128);
});

function keyField(type: PrimitiveType, id = 1): KeyField {
  return { id, name: `c${id}`, type };
}

function hashesOf(
  fields: readonly KeyField[],
  columns: readonly (readonly PartitionValue[])[],
): string[] {
  const batch = batchOf(...columns.map((values, n) => columnOf(n + 1, typeAt(fields, n), values)));
  const { words, count } = new KeyHasher(fields, SECRET).hashAll(
    keyColumnsOf(batch, fields),
    batch.rowCount,
  );
  return Array.from({ length: count }, (_, n) => `${words[2 * n]} ${words[2 * n + 1]}`);
}

function typeAt(fields: readonly KeyField[], n: number): PrimitiveType {
  return fields[n]?.type ?? { kind: "long" };
}

test("keys that differ never hash alike: neighbours, nulls, texts of zeros, parts that are cut elsewhere", () => {
  const longs = Array.from({ length: 20_000 }, (_, n) => BigInt(n) - 10_000n);
  const one = hashesOf([keyField({ kind: "long" })], [[...longs, null]]);
  expect(new Set(one).size).toBe(20_001);

  const two = [keyField({ kind: "long" }), keyField({ kind: "long" }, 2)];
  const pairs = hashesOf(two, [
    [1n, 2n, 1n, null, 0n, 0n],
    [2n, 1n, null, 1n, 0n, null],
  ]);
  expect(new Set(pairs).size).toBe(6);

  const text = keyField({ kind: "string" });
  const zeros = Array.from({ length: 12 }, (_, n) => "\0".repeat(n));
  expect(new Set(hashesOf([text], [[...zeros, null, "\u0001\0\0\0\0"]])).size).toBe(14);

  const texts = [text, keyField({ kind: "string" }, 2)];
  const cut = hashesOf(texts, [
    ["a", "ab", "", null, "", "abc"],
    ["bc", "c", "abc", "", null, ""],
  ]);
  expect(new Set(cut).size).toBe(6);
});

test("equal keys hash alike across the promotions of the Iceberg specification", () => {
  const promotions: [PrimitiveType, PrimitiveType, PartitionValue[], PartitionValue[]][] = [
    [
      { kind: "int" },
      { kind: "long" },
      [0, -1, 2 ** 31 - 1, -(2 ** 31)],
      [0n, -1n, 2n ** 31n - 1n, -(2n ** 31n)],
    ],
    [
      { kind: "decimal", precision: 4, scale: 2 },
      { kind: "decimal", precision: 38, scale: 2 },
      [0n, -1n, 9999n, -9999n],
      [0n, -1n, 9999n, -9999n],
    ],
  ];
  for (const [before, after, old, now] of promotions) {
    expect(hashesOf([keyField(before)], [old])).toEqual(hashesOf([keyField(after)], [now]));
    const wide = [keyField({ kind: "string" }), keyField(before, 2)];
    const wider = [keyField({ kind: "string" }), keyField(after, 2)];
    const texts = old.map(() => "x");
    expect(hashesOf(wide, [texts, old])).toEqual(hashesOf(wider, [texts, now]));
  }
});

test("a key has the same hash in our columns and in a Parquet file, whatever its type", async () => {
  const types = everyType().filter(([, type]) => "kind" in type && isKey(type));
  expect(types.length).toBeGreaterThan(45);
  for (const [name, type, values] of types) {
    const own = { ...field(name, type), id: 1 };
    const batch = rowsOf([own], [...values.map((value) => [value]), [null]]);
    const key: KeyField = { id: 1, name, type: type as PrimitiveType };
    const hasher = new KeyHasher([key], SECRET);
    const expected = hasher.hashAll(keyColumnsOf(batch, [key]), batch.rowCount).words;
    const options = { codec: "zstd", level: null, rowGroupRows: 1000, metadata: {} } as const;
    for (const kernel of [true, false]) {
      const bytes = bytesOf(await encodeWhole([own], [batch], { ...options, kernel }));
      const file = { byteLength: bytes.length, slice: sliceOf(bytes) };
      for await (const { rows, columns } of readStored(file, [{ id: 1, names: [] }])) {
        const column = storedKeyColumn(columns[0] ?? null, key, rows, "f");
        expect({ name, words: hasher.hashAll([column], rows).words }).toEqual({
          name,
          words: expected,
        });
      }
    }
  }
});

function isKey(type: { readonly kind: string }): boolean {
  const other = ["struct", "list", "map"];
  return !other.includes(type.kind) && keyKindOf(type as PrimitiveType) !== null;
}

function sliceOf(bytes: Uint8Array): (start: number, end?: number) => Promise<ArrayBuffer> {
  return async (start, end) => bytes.slice(start, end).buffer as ArrayBuffer;
}

test("milliseconds of a foreign file are the microseconds of our rows; what cannot be compared is refused", () => {
  const key = keyField({ kind: "timestamp", zone: false });
  const hasher = new KeyHasher([key], SECRET);
  const hashOf = (unit: "MILLIS" | "MICROS", value: bigint): BigUint64Array => {
    const values = BigInt64Array.of(value);
    return hasher.hashAll([storedKeyColumn({ values, unit, isInt96: false }, key, 1, "f")], 1)
      .words;
  };
  expect(hashOf("MILLIS", 5n)).toEqual(hashOf("MICROS", 5000n));
  const stored = { values: [new Uint8Array(12)], unit: null, isInt96: true };
  expect(() => storedKeyColumn(stored, key, 1, "f")).toThrow("cannot be compared");
  const texts = { values: BigInt64Array.of(1n), unit: null, isInt96: false };
  expect(() => storedKeyColumn(texts, keyField({ kind: "string" }), 1, "f")).toThrow(
    "cannot be compared",
  );
});

test("floating-point numbers, structs and columns that are not there are refused as keys, by name", () => {
  const fields = [field("d", { kind: "double" }), field("s", { kind: "struct", fields: [] })];
  for (const { id, name } of fields) {
    expect(() => keyFieldsOf(fields, [id])).toThrow(`Column ${name} cannot be part of a key`);
  }
  expect(() => keyFieldsOf(fields, [999_999])).toThrow("999999");
});

test("another secret gives other hashes of every kind of key", () => {
  const random = seededRandom(7);
  const words = BigInt64Array.from({ length: 100 }, () => random.id63());
  const columns = [{ values: { kind: "word", words }, nulls: null } as const];
  const fields = [keyField({ kind: "long" })];
  const ours = new KeyHasher(fields, SECRET).hashAll(columns, 100).words;
  const others = new KeyHasher(fields, { ...SECRET, k1: 1n }).hashAll(columns, 100).words;
  const shared = ours.filter((word, n) => n % 2 === 0 && word === others[n]);
  expect(shared.length).toBe(0);
});
