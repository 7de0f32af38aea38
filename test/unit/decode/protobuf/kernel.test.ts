import { expect, spyOn, test } from "bun:test";
import { ProtobufReader } from "#decode/protobuf/reader.ts";
import { decode } from "../support.ts";
import { hex, make } from "./support.ts";

const FILE = `syntax = "proto3"; package t;
  import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
  enum E { ZERO = 0; ONE = 1; } message In { sint64 a = 1; repeated string l = 2; }
  message M {
    int32 a = 1; uint64 b = 2; double c = 3; bool d = 4; string e = 5; bytes f = 6; E g = 7; In h = 8;
    repeated In i = 9; repeated int32 j = 10; map<string, In> k = 11; optional float l = 12;
    oneof o { string m = 13; In n = 14; }
    google.protobuf.Timestamp p = 15; google.protobuf.StringValue q = 200;
  }`;

/** Records that the host has read of those given. */
async function hostReads(records: readonly Uint8Array[]): Promise<number> {
  const { decoder } = await make(FILE, { kernel: "always" }, "t.M");
  const read = spyOn(ProtobufReader.prototype, "read");
  try {
    expect(decode(decoder, records).reasons).toEqual([]);
    return read.mock.calls.length;
  } finally {
    read.mockRestore();
  }
}

test("the kernel takes every usual kind of field by itself, in any order", async () => {
  const { bytes } = await make(FILE, {}, "t.M");
  const full = bytes({
    ...{ a: -1, b: 5, c: 0.5, d: true, e: "é € plain text", f: Buffer.of(1), g: 1 },
    ...{ h: { a: -7, l: ["x", "y"] }, i: [{ a: 1 }, {}], j: [1, 2, 3] },
    ...{ k: { one: { a: 1 }, two: { a: 2 } }, l: 1.5, n: { a: 9 } },
    ...{ p: { seconds: 5, nanos: 1000 }, q: { value: "text" } },
  });
  const unpacked = hex("5001 5002 0805 a23f0568656c6c6f");
  expect(await hostReads([full, bytes({}), unpacked])).toBe(0);
});

test("what comes twice, and what is rare, is left to the host", async () => {
  const rare = ["0801 0802", "6a0161 7200", "3807", "c20c00"];
  expect(await hostReads(rare.map(hex))).toBe(rare.length);
});

test("a tag that is written with more than five bytes makes a record none, of a field that is known or not", async () => {
  const long = ["888080808000 05", "a8868080800001", "08018880808080000a"].map(hex);
  for (const kernel of [false, "always"] as const) {
    const { decoder } = await make(FILE, { kernel }, "t.M");
    expect(decode(decoder, long).reasons).toEqual(long.map((_, at) => `${at} bad_protobuf`));
  }
});
