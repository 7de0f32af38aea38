/** Avro container files: what is written is read, by field id, whoever wrote it. */
import { describe, expect, test } from "bun:test";
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import type { Json } from "#base/json.ts";
import { type AvroRecord, createAvroWriter, fieldOf, readAvro } from "#iceberg/manifest/avro.ts";
import { rejection } from "../../support/rejection.ts";

const SCHEMA: Json = {
  type: "record",
  name: "row",
  fields: [
    { name: "id", type: "long", "field-id": 1 },
    { name: "text", type: ["null", "string"], default: null, "field-id": 2 },
  ],
};

async function write(records: readonly AvroRecord[]): Promise<Uint8Array> {
  const writer = createAvroWriter(SCHEMA, { key: "value" });
  for (const record of records) await writer.add(record);
  return writer.finish();
}

function zigzag(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value * 2;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** A container file of one block, put together by hand. */
function container(schema: Json, codec: string, count: number, block: Uint8Array): Buffer {
  const text = (value: string): Buffer =>
    Buffer.concat([zigzag(Buffer.byteLength(value)), Buffer.from(value)]);
  const sync = Buffer.alloc(16, 7);
  return Buffer.concat([
    Buffer.from("Obj\u0001", "latin1"),
    zigzag(2),
    text("avro.schema"),
    text(JSON.stringify(schema)),
    text("avro.codec"),
    text(codec),
    zigzag(0),
    sync,
    zigzag(count),
    zigzag(block.length),
    block,
    sync,
  ]);
}

describe("Avro files", () => {
  test("give back every 64-bit number and any text", async () => {
    const records = fc.array(
      fc.record({
        f1: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        f2: fc.option(fc.string({ unit: "binary" }), { nil: null }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(records, async (rows) => {
        const read = await readAvro(await write(rows));
        expect(read.map((row) => ({ f1: fieldOf(row, 1), f2: fieldOf(row, 2) }))).toEqual(rows);
      }),
    );
  });

  test("of many records are many blocks, and of none no block", async () => {
    const rows = Array.from({ length: 5000 }, (_, id) => ({ f1: BigInt(id), f2: "x".repeat(50) }));
    const read = await readAvro(await write(rows));
    expect(read.length).toBe(5000);
    expect(fieldOf(read[4999] ?? {}, 1)).toBe(4999n);
    expect(await readAvro(await write([]))).toEqual([]);
  });

  test("of equal content are equal bytes", async () => {
    const rows = [{ f1: 1n, f2: null }];
    expect(await write(rows)).toEqual(await write(rows));
  });

  test("are read by field id, whatever the writer named, ordered and nested", async () => {
    const schema: Json = {
      type: "record",
      name: "foreign",
      fields: [
        { name: "anders", type: ["string", "null"], "field-id": 2 },
        { name: "first", type: { type: "fixed", name: "two", size: 2 }, "field-id": 8 },
        { name: "second", type: "two", "field-id": 9 },
        { name: "number", type: "int", "field-id": 1 },
      ],
    };
    const block = Buffer.from([0, 2, 65, 1, 2, 3, 4, 6]);
    const [row = {}] = await readAvro(container(schema, "null", 1, block));
    expect([fieldOf(row, 1), fieldOf(row, 2)]).toEqual([3, "A"]);
    expect([fieldOf(row, 8), fieldOf(row, 9)]).toEqual([Buffer.of(1, 2), Buffer.of(3, 4)]);
    expect(fieldOf(row, 77)).toBe(null);
  });

  test("compressed with zstandard are read", async () => {
    const schema: Json = {
      type: "record",
      name: "r",
      fields: [{ name: "n", type: "long", "field-id": 1 }],
    };
    const block = zstdCompressSync(Buffer.from([4]));
    const [row = {}] = await readAvro(container(schema, "zstandard", 1, block));
    expect(fieldOf(row, 1)).toBe(2n);
  });

  test("with an unknown codec are refused by its name", async () => {
    const file = container(SCHEMA, "bzip2", 0, Buffer.of());
    expect((await rejection(readAvro(file))).message).toContain("bzip2");
  });

  test("that are damaged anywhere are refused or read the same, and never hang", async () => {
    const rows = [
      { f1: 12_345_678_901n, f2: "some text" },
      { f1: 2n, f2: null },
    ];
    const good = await write(rows);
    for (let cut = 0; cut < good.length; cut++) {
      const read = await readAvro(good.subarray(0, cut)).catch((error: unknown) => error);
      if (Array.isArray(read)) expect(read).toEqual([]);
      else expect(read).toHaveProperty("kind", "storage_corrupt");
    }
    for (let at = 0; at < good.length; at++) {
      const bad = Uint8Array.from(good, (byte, index) => (index === at ? byte ^ 0x55 : byte));
      const read = await readAvro(bad).catch((error: unknown) => error);
      if (!Array.isArray(read)) expect(read).toHaveProperty("kind");
    }
  });
});
