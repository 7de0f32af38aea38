import { describe, expect, test } from "bun:test";
import type { Field } from "#columns/schema.ts";
import {
  freshSchema,
  lastFieldId,
  newTableMetadata,
  UNPARTITIONED,
} from "#iceberg/metadata/newTable.ts";
import { partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";

const column = (name: string, type: Field["type"], id = 0): Field => ({
  id,
  name,
  required: false,
  type,
});

const NESTED: readonly Field[] = [
  column("a", { kind: "long" }, 77),
  column("s", {
    kind: "struct",
    fields: [
      column("x", { kind: "struct", fields: [column("deep", { kind: "int" })] }),
      column("y", { kind: "int" }),
    ],
  }),
  column("l", {
    kind: "list",
    element: column("element", { kind: "struct", fields: [column("e", { kind: "int" })] }),
  }),
  column("m", {
    kind: "map",
    key: { ...column("key", { kind: "string" }), required: true },
    value: column("value", { kind: "list", element: column("element", { kind: "int" }) }),
  }),
];

function table(
  options: Partial<Parameters<typeof newTableMetadata>[0]> = {},
): ReturnType<typeof newTableMetadata> {
  return newTableMetadata({
    uuid: "9c12d441-03fe-4693-9a96-a0705ddf69c1",
    location: "/wh/db/t",
    fields: NESTED,
    spec: () => UNPARTITIONED,
    formatVersion: 2,
    properties: {},
    timestampMs: 7,
    ...options,
  });
}

describe("freshSchema", () => {
  test("numbers a struct's fields before what is inside them, as Java does", () => {
    const ids: string[] = [];
    const visit = (fields: readonly Field[], path: string): void => {
      for (const field of fields) {
        ids.push(`${field.id} ${path}${field.name}`);
        if (field.type.kind === "struct") visit(field.type.fields, `${path}${field.name}.`);
        if (field.type.kind === "list") visit([field.type.element], `${path}${field.name}.`);
        if (field.type.kind === "map")
          visit([field.type.key, field.type.value], `${path}${field.name}.`);
      }
    };
    const { fields } = freshSchema(NESTED);
    visit(fields, "");
    expect(ids.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))).toEqual([
      "1 a",
      "2 s",
      "3 l",
      "4 m",
      "5 s.x",
      "6 s.y",
      "7 s.x.deep",
      "8 l.element",
      "9 l.element.e",
      "10 m.key",
      "11 m.value",
      "12 m.value.element",
    ]);
    expect(lastFieldId(fields)).toBe(12);
  });

  test("refuses a name that appears twice in one struct", () => {
    const twice = [column("a", { kind: "int" }), column("a", { kind: "long" })];
    expect(() => freshSchema(twice)).toThrow("Column a appears twice");
    const inside = [column("s", { kind: "struct", fields: twice })];
    expect(() => freshSchema(inside)).toThrow("Column s.a appears twice");
  });
});

describe("newTableMetadata", () => {
  test("is an empty v2 table that deletes old metadata files", () => {
    const metadata = table();
    expect(metadata).toMatchObject({
      formatVersion: 2,
      lastSequenceNumber: 0n,
      lastUpdatedMs: 7,
      lastColumnId: 12,
      currentSchemaId: 0,
      lastPartitionId: 999,
      currentSnapshotId: null,
      defaultSortOrderId: 0,
      nextRowId: null,
      properties: { "write.metadata.delete-after-commit.enabled": "true" },
    });
  });

  test("v3 begins with row id 0, and properties override our defaults", () => {
    const metadata = table({
      formatVersion: 3,
      properties: { "write.metadata.delete-after-commit.enabled": "false", k: "v" },
    });
    expect(metadata.nextRowId).toBe(0n);
    expect(metadata.properties).toEqual({
      "write.metadata.delete-after-commit.enabled": "false",
      k: "v",
    });
  });

  test("partition spec and sort order are made over the columns as numbered", () => {
    const metadata = table({
      spec: (fields) => partitionSpecOf(fields, ["bucket(4, a)", "s.y"]),
      sortOrder: (fields) => ({
        orderId: 0,
        fields: [
          {
            sourceId: fields[0]?.id ?? 0,
            transform: "identity",
            direction: "desc",
            nullOrder: "nulls-last",
          },
        ],
      }),
    });
    expect(metadata.partitionSpecs[0]?.fields.map((field) => field.sourceId)).toEqual([1, 6]);
    expect(metadata.lastPartitionId).toBe(1001);
    expect(metadata.sortOrders).toMatchObject([{ orderId: 1, fields: [{ sourceId: 1 }] }]);
    expect(metadata.defaultSortOrderId).toBe(1);
  });

  test("columns that v2 cannot hold are refused by name", () => {
    const nanos = [
      column("s", { kind: "struct", fields: [column("t", { kind: "timestamp_ns", zone: true })] }),
    ];
    expect(() => table({ fields: nanos })).toThrow(
      "Column s.t: nanosecond timestamps need format version 3",
    );
    const initial = [{ ...column("d", { kind: "int" }), initialDefault: 1 }];
    expect(() => table({ fields: initial })).toThrow(
      "Column d: default values need format version 3",
    );
    expect(table({ fields: nanos, formatVersion: 3 }).lastColumnId).toBe(2);
  });
});

describe("identifier fields", () => {
  const fields = [
    { ...column("id", { kind: "long" }), required: true },
    { ...column("price", { kind: "double" }), required: true },
    column("name", { kind: "string" }),
  ];
  const identifiersOf = (...identifiers: string[]): readonly number[] =>
    table({ fields, identifiers }).schemas[0]?.identifierFieldIds ?? [-1];

  test("the columns that identify a row become them", () => {
    expect(identifiersOf("id")).toEqual([1]);
    expect(identifiersOf()).toEqual([]);
  });

  test("the format allows no optional or floating one, and part of a key identifies nothing", () => {
    for (const other of ["price", "name", "missing"]) {
      expect([other, identifiersOf("id", other)]).toEqual([other, []]);
    }
  });
});
