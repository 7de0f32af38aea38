/** What Glue is given to keep: the form of Iceberg's own GlueCatalog, and what others have put there. */
import { expect, test } from "bun:test";
import { shows, tableInput } from "#catalog/glue/tableInput.ts";
import type { Field, Type } from "#columns/schema.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { sampleTable } from "../../../support/icebergSamples.ts";

const NEXT = "s3://lake/db/events/metadata/00001-x.metadata.json";

function field(id: number, name: string, type: Type, over: Partial<Field> = {}): Field {
  return { id, name, required: false, type, ...over };
}

const STRING = { kind: "string" } as const;

function metadataOf(schemas: readonly (readonly Field[])[]): TableMetadata {
  const all = schemas.map((fields, schemaId) => ({ schemaId, fields, identifierFieldIds: [] }));
  return { ...sampleTable("s3://lake/db/events"), schemas: all, currentSchemaId: all.length - 1 };
}

function input(metadata: TableMetadata, existing: Parameters<typeof tableInput>[2] = null) {
  return tableInput("events", { metadataLocation: NEXT, metadata }, existing);
}

test("columns of the current schema come first, then those that only older ones have", () => {
  const metadata = metadataOf([
    [field(1, "id", { kind: "long" }, { required: true }), field(2, "old", STRING)],
    [field(1, "id", { kind: "long" }, { required: true }), field(3, "new", STRING, { doc: "why" })],
  ]);
  const parameters = (id: number, optional: boolean, current: boolean) => ({
    "iceberg.field.id": String(id),
    "iceberg.field.optional": String(optional),
    "iceberg.field.current": String(current),
  });
  expect(input(metadata)).toMatchObject({
    Name: "events",
    TableType: "EXTERNAL_TABLE",
    Parameters: { table_type: "ICEBERG", metadata_location: NEXT },
    StorageDescriptor: {
      Location: "s3://lake/db/events",
      Columns: [
        { Name: "id", Type: "bigint", Parameters: parameters(1, false, true) },
        { Name: "new", Type: "string", Comment: "why", Parameters: parameters(3, true, true) },
        { Name: "old", Type: "string", Parameters: parameters(2, true, false) },
      ],
    },
  });
});

test("every type has the name that Athena knows", () => {
  const element = field(9, "element", { kind: "decimal", precision: 9, scale: 2 });
  const key = field(10, "key", STRING, { required: true });
  const inner = [field(11, "Who", { kind: "uuid" }), field(12, "at", { kind: "time" })];
  const types: readonly (readonly [Type, string])[] = [
    [{ kind: "boolean" }, "boolean"],
    [{ kind: "int" }, "int"],
    [{ kind: "long" }, "bigint"],
    [{ kind: "float" }, "float"],
    [{ kind: "double" }, "double"],
    [{ kind: "date" }, "date"],
    [{ kind: "timestamp", zone: true }, "timestamp"],
    [{ kind: "timestamp_ns", zone: false }, "timestamp"],
    [{ kind: "fixed", length: 4 }, "binary"],
    [{ kind: "list", element }, "array<decimal(9,2)>"],
    [{ kind: "map", key, value: field(13, "value", { kind: "int" }) }, "map<string,int>"],
    [{ kind: "struct", fields: inner }, "struct<Who:string,at:string>"],
  ];
  const fields = types.map(([type], index) => field(index + 1, `c${index}`, type));
  const columns = input(metadataOf([fields])).StorageDescriptor?.Columns ?? [];
  expect(columns.map(({ Type }) => Type)).toEqual(types.map(([, name]) => name));
});

test("of names that differ in case one is listed; what Glue cannot keep is left out or cut", () => {
  const huge = Array.from({ length: 9000 }, (_, index) => field(index, `member_${index}`, STRING));
  const metadata = metadataOf([
    [
      field(1, "Name", STRING, { doc: `two\nlines ${"x".repeat(400)}` }),
      field(2, "name", STRING),
      field(3, "n".repeat(256), STRING),
      field(4, "line\nbreak", STRING),
      field(5, "huge", { kind: "struct", fields: huge }),
    ],
  ]);
  const columns = input(metadata).StorageDescriptor?.Columns ?? [];
  expect(columns.map(({ Name }) => Name)).toEqual(["Name"]);
  expect(columns[0]?.Comment).toStartWith("two lines xxx");
  expect(columns[0]?.Comment).toHaveLength(255);
});

test("what others have put there stays; copies of our properties go, and none is made", () => {
  const metadata = {
    ...metadataOf([[field(1, "id", { kind: "long" })]]),
    properties: { "kafka-iceberg.progress.main": "{}", owner: "team", "write.data.path": "s3://d" },
  };
  const kept = input(metadata, {
    Name: "events",
    Description: "for people",
    Owner: "crawler",
    Retention: 7,
    VersionId: "3",
    Parameters: {
      table_type: "iceberg",
      metadata_location: "s3://lake/before",
      classification: "parquet",
      "kafka-iceberg.progress.main": "stale",
    },
    StorageDescriptor: {
      SerdeInfo: { Name: "own" },
      Columns: [{ Name: "id", Type: "int", Comment: "by hand", Parameters: { pii: "no" } }],
    },
  });
  expect(kept.Parameters).toEqual({
    table_type: "ICEBERG",
    metadata_location: NEXT,
    previous_metadata_location: "s3://lake/before",
    classification: "parquet",
  });
  expect(kept).toMatchObject({
    Description: "for people",
    Owner: "crawler",
    Retention: 7,
    StorageDescriptor: {
      SerdeInfo: { Name: "own" },
      AdditionalLocations: ["s3://d"],
      Columns: [{ Type: "bigint", Comment: "by hand", Parameters: { pii: "no" } }],
    },
  });
  expect("VersionId" in kept).toBe(false);
});

test("a table shows a commit as its head, or as what its head was built on", () => {
  const table = (metadata_location: string, previous_metadata_location: string) => ({
    Name: "t",
    Parameters: { table_type: "ICEBERG", metadata_location, previous_metadata_location },
  });
  expect(shows(table("c", "b"), "c")).toBe(true);
  expect(shows(table("c", "b"), "b")).toBe(true);
  expect(shows(table("c", "b"), "a")).toBe(false);
});
