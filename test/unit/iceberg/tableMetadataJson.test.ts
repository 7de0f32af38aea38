import { describe, expect, test } from "bun:test";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import {
  schemaFromJson,
  schemaToJson,
  snapshotFromJson,
  sortOrderFromJson,
  specFromJson,
  specToJson,
  typeFromJson,
} from "#iceberg/metadata/json.ts";
import { readTableMetadata, writeTableMetadata } from "#iceberg/metadata/tableMetadataJson.ts";
import { applyUpdates } from "#iceberg/metadata/updates.ts";
import { appendOf, nextSnapshot, sampleTable } from "../../support/icebergSamples.ts";

const LARGE = 9_223_372_036_854_775_807n;

type Members = Record<string, unknown>;

/** A small valid file, some members replaced; undefined removes one. */
function file(members: Members = {}): string {
  let metadata = sampleTable("/wh/db/t");
  metadata = applyUpdates(metadata, appendOf(nextSnapshot(metadata, LARGE)), { timestampMs: 1 });
  return writeJson({ ...(parseJson(writeTableMetadata(metadata)) as Members), ...members });
}

describe("reading", () => {
  test("64-bit ids keep every digit, there and back", () => {
    const metadata = readTableMetadata(file());
    expect(metadata.currentSnapshotId).toBe(LARGE);
    expect(writeTableMetadata(metadata)).toContain(`"current-snapshot-id":${LARGE}`);
    expect(readTableMetadata(writeTableMetadata(metadata))).toEqual(metadata);
  });

  test("what writers leave out: refs, sort orders, logs, -1 for no snapshot, upper-case UUIDs", () => {
    const metadata = readTableMetadata(
      file({
        refs: undefined,
        "sort-orders": undefined,
        "default-sort-order-id": undefined,
        "snapshot-log": undefined,
        "metadata-log": null,
        properties: undefined,
        "last-partition-id": undefined,
        "table-uuid": "9C12D441-03FE-4693-9A96-A0705DDF69C1",
      }),
    );
    expect(metadata.refs["main"]?.snapshotId).toBe(LARGE);
    expect(metadata.sortOrders).toEqual([{ orderId: 0, fields: [] }]);
    expect([metadata.snapshotLog, metadata.metadataLog]).toEqual([[], []]);
    expect(metadata.properties).toEqual({});
    expect(metadata.lastPartitionId).toBe(999);
    expect(metadata.tableUuid).toBe("9c12d441-03fe-4693-9a96-a0705ddf69c1");
    const empty = readTableMetadata(file({ "current-snapshot-id": -1, snapshots: [], refs: {} }));
    expect(empty.currentSnapshotId).toBeNull();
  });

  test("members that we do not know are carried over unchanged", () => {
    const statistics = [{ "snapshot-id": LARGE, "statistics-path": "/s", "file-size-in-bytes": 1 }];
    const text = writeTableMetadata(
      readTableMetadata(file({ statistics, future: { a: [1, null] } })),
    );
    const written = parseJson(text) as Members;
    expect(written["statistics"]).toEqual(statistics);
    expect(written["future"]).toEqual({ a: [1, null] });
  });

  const REFUSED: readonly (readonly [title: string, text: string, reason: string, kind: string])[] =
    [
      ["text that is cut off", file().slice(0, 200), "not JSON", "storage_corrupt"],
      ["a list", "[]", "the table's metadata is not an object", "table_unsupported"],
      ["format version 1", file({ "format-version": 1 }), "format version 1", "table_unsupported"],
      [
        "format version 4",
        file({ "format-version": 4 }),
        "this release reads 2 and 3",
        "table_unsupported",
      ],
      [
        "encryption",
        file({ "encryption-keys": [{ "key-id": "k" }] }),
        "encrypted",
        "table_unsupported",
      ],
      ["a missing schema", file({ "current-schema-id": 7 }), "no schema 7", "table_unsupported"],
      [
        "a missing spec",
        file({ "default-spec-id": 7 }),
        "no partition spec 7",
        "table_unsupported",
      ],
      [
        "a missing order",
        file({ "default-sort-order-id": 7 }),
        "no sort order 7",
        "table_unsupported",
      ],
      ["a ref to nowhere", file({ snapshots: [] }), "names snapshot", "table_unsupported"],
      [
        "another head of main",
        file({ "current-snapshot-id": null }),
        "not the head of main",
        "table_unsupported",
      ],
      [
        "a number as location",
        file({ location: 7 }),
        "location is not a string",
        "table_unsupported",
      ],
      [
        "a fraction as id",
        file({ "last-column-id": 1.5 }),
        "last-column-id is not an integer",
        "table_unsupported",
      ],
      [
        "schemas that are no list",
        file({ schemas: {} }),
        "schemas is not a list",
        "table_unsupported",
      ],
    ];
  for (const [title, text, reason, kind] of REFUSED) {
    test(`${title}: refused with the reason`, () => {
      expect(() => readTableMetadata(text)).toThrow(reason);
      try {
        readTableMetadata(text);
      } catch (error) {
        expect(error).toMatchObject({ kind });
      }
    });
  }
});

describe("parts", () => {
  test("a schema keeps docs, defaults, nesting and identifiers", () => {
    const json: Json = {
      type: "struct",
      "schema-id": 3,
      "identifier-field-ids": [1],
      fields: [
        { id: 1, name: "id", required: true, type: "long", doc: "key", "write-default": LARGE },
        {
          id: 2,
          name: "m",
          required: false,
          type: {
            type: "map",
            "key-id": 3,
            key: "string",
            "value-id": 4,
            value: {
              type: "list",
              "element-id": 5,
              element: {
                type: "struct",
                fields: [
                  {
                    id: 6,
                    name: "d",
                    required: false,
                    type: "decimal(9, 2)",
                    "initial-default": "1.25",
                  },
                ],
              },
              "element-required": true,
            },
            "value-required": false,
          },
        },
        { id: 7, name: "n", required: false, type: "timestamptz_ns" },
        { id: 8, name: "f", required: false, type: "fixed[16]" },
      ],
    };
    expect(schemaToJson(schemaFromJson(json))).toEqual(json);
  });

  test("unknown types are refused with the column's path", () => {
    expect(() => typeFromJson("geometry(srid:3857)", "place")).toThrow(
      "Column place has type geometry",
    );
    const list = { type: "list", "element-id": 2, element: "variant", "element-required": false };
    expect(() => typeFromJson(list, "tags")).toThrow("Column tags.element has type variant");
    expect(() => typeFromJson({ type: "union" }, "u")).toThrow(
      "type of u is not a struct, list or map",
    );
  });

  test("partition fields without ids get them from 1000; several sources are refused", () => {
    const field = { name: "x", transform: "identity", "source-id": 1 };
    const spec = specFromJson({ "spec-id": 1, fields: [field, { ...field, name: "y" }] });
    expect(spec.fields.map((f) => f.fieldId)).toEqual([1000, 1001]);
    expect(specFromJson(specToJson(spec))).toEqual(spec);
    const one = { name: "x", transform: "identity", "source-ids": [4], "field-id": 1000 };
    expect(specFromJson({ "spec-id": 0, fields: [one] }).fields[0]?.sourceId).toBe(4);
    const two = { ...one, "source-ids": [4, 5] };
    expect(() => specFromJson({ "spec-id": 0, fields: [two] })).toThrow("several source columns");
    expect(() =>
      sortOrderFromJson({
        "order-id": 1,
        fields: [{ ...two, direction: "asc", "null-order": "nulls-first" }],
      }),
    ).toThrow("several source columns");
  });

  test("snapshots that we could not keep are refused", () => {
    const snapshot = { "snapshot-id": 5, "timestamp-ms": 1, "manifest-list": "/m" };
    expect(snapshotFromJson({ ...snapshot, "parent-snapshot-id": -1 })).toMatchObject({
      parentSnapshotId: null,
      sequenceNumber: 0n,
      summary: {},
    });
    expect(() => snapshotFromJson({ ...snapshot, "key-id": "k" })).toThrow(
      "Snapshot 5 is encrypted",
    );
    const inline = { "snapshot-id": 5, "timestamp-ms": 1, manifests: ["/m"] };
    expect(() => snapshotFromJson(inline)).toThrow("Snapshot 5 has no manifest list");
  });
});
