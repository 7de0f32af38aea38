import { expect, test } from "bun:test";
import { kindOf } from "#base/errors.ts";
import { Reader, Writer } from "#consumer/wire/wire.ts";

test("every type comes back as it was written, past the writer's first buffer", () => {
  const uuid = "0123abcd-0000-4000-8000-0123456789ab";
  const long = "é".repeat(300);
  const w = new Writer().int8(-1).int16(-2).int32(-3).int64(-4n);
  for (const value of [0, 127, 128, 16_384, 2 ** 32 - 1]) w.uvarint(value);
  w.string(long).string(null).compactString(long).bytes(Buffer.from("abc")).uuid(uuid);
  w.array([1, 2], (item) => w.int32(item))
    .compactArray([3], (item) => w.int32(item))
    .noTags();
  const r = new Reader(w.finish());
  expect([r.int8(), r.int16(), r.int32(), r.int64()]).toEqual([-1, -2, -3, -4n]);
  for (const value of [0, 127, 128, 16_384, 2 ** 32 - 1]) expect(r.uvarint()).toBe(value);
  expect([r.string(), r.string(), r.compactString()]).toEqual([long, null, long]);
  expect(Buffer.from(r.bytes()).toString()).toBe("abc");
  expect(r.uuid()).toBe(uuid);
  expect([r.array(() => r.int32()), r.compactArray(() => r.int32())]).toEqual([[1, 2], [3]]);
  r.skipTags();
});

test("nulls read as empty, and tagged fields that we do not know are skipped", () => {
  const w = new Writer().int32(-1).uvarint(0).uvarint(0).int32(-1);
  w.uvarint(2).uvarint(0).uvarint(3).raw(Buffer.from("abc")).uvarint(9).uvarint(0).int8(77);
  const r = new Reader(w.finish());
  expect([r.bytes().length, r.compactBytes().length, r.compactString()]).toEqual([0, 0, null]);
  expect(r.array(() => r.int8())).toEqual([]);
  r.skipTags();
  expect(r.int8()).toBe(77);
});

test("reading past the end is an error, never zeros", () => {
  for (const read of [
    (r: Reader) => r.int64(),
    (r: Reader) => r.string(),
    (r: Reader) => r.view(-1),
    (r: Reader) => r.array(() => r.int64()),
  ]) {
    try {
      read(new Reader(Uint8Array.of(0, 3, 0, 0)));
      throw new Error("it was read");
    } catch (error) {
      expect(kindOf(error)).toBe("batch_corrupt");
    }
  }
});
