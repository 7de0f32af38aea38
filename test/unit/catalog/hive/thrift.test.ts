/** Thrift's binary protocol: what goes out comes back, also fields that nobody knows, whole or in pieces. */
import { describe, expect, test } from "bun:test";
import { CALLS, STRUCTS, type Table } from "#catalog/hive/metastoreApi.ts";
import { decodeHead, decodeStruct, encodeCall, type ThriftFields } from "#catalog/hive/thrift.ts";
import { MessageLength } from "#catalog/hive/thriftWalk.ts";

const TABLE: Table = {
  tableName: "größe",
  dbName: "db",
  createTime: 7,
  sd: {
    cols: [{ name: "a", type: "struct<b:int>" }],
    compressed: false,
    serdeInfo: { serializationLib: "x", parameters: { k: "v" } },
  },
  partitionKeys: [],
  parameters: { one: "1", empty: "", __proto: "p" },
};

const FIELDS: ThriftFields = CALLS.create_table.arguments;

function encoded(table: object): Buffer {
  return encodeCall(STRUCTS, { name: "create_table", sequence: 3 }, FIELDS, { tbl: table });
}

describe("Thrift", () => {
  test("a call is read back as it was written", () => {
    const bytes = encoded(TABLE);
    const { message, at } = decodeHead(bytes);
    expect(message).toEqual({ name: "create_table", kind: "call", sequence: 3 });
    expect(decodeStruct(STRUCTS, FIELDS, bytes, at)).toEqual({ tbl: TABLE });
  });

  test("fields that the tables do not name go back as they came", () => {
    const bytes = encoded(TABLE);
    const narrow: ThriftFields = { tbl: [1, ["struct", "Narrow"]] };
    const structs = { ...STRUCTS, Narrow: { dbName: [2, "string"] } } as const;
    const { at } = decodeHead(bytes);
    const seen = decodeStruct(structs, narrow, bytes, at) as { tbl: object };
    expect(Object.keys(seen.tbl).sort()).toEqual(["#1", "#4", "#7", "#8", "#9", "dbName"]);
    const again = encodeCall(structs, { name: "create_table", sequence: 3 }, narrow, seen);
    expect(decodeStruct(STRUCTS, FIELDS, again, at)).toEqual({ tbl: TABLE });
  });

  test("a message's length is known with its last byte, however it comes in", () => {
    const bytes = encoded(TABLE);
    for (const step of [1, 2, 7, bytes.length]) {
      const length = new MessageLength();
      for (let end = step; end < bytes.length; end += step) {
        expect(length.of(bytes.subarray(0, end))).toBeNull();
      }
      expect(length.of(Buffer.concat([bytes, Buffer.from("next")]))).toBe(bytes.length);
    }
  });

  test("what is no Thrift, or is cut off, is an error and no hang", () => {
    const bytes = encoded(TABLE);
    expect(() => new MessageLength().of(Buffer.from("HTTP/1.1 400 Bad Request"))).toThrow("Thrift");
    expect(() => decodeHead(Buffer.from("HTTP/1.1 400"))).toThrow("Thrift");
    const { at } = decodeHead(bytes);
    for (let end = at; end < bytes.length; end++) {
      expect(() => decodeStruct(STRUCTS, FIELDS, bytes.subarray(0, end), at)).toThrow("Thrift");
    }
    const deep = Buffer.concat([
      bytes.subarray(0, at),
      Buffer.alloc(3 * 100, Buffer.from([12, 0, 9])),
    ]);
    expect(() => new MessageLength().of(deep)).toThrow("Thrift");
  });
});
