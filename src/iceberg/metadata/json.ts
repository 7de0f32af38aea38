/**
 * The parts of table metadata as JSON: schemas, partition specs, sort orders, snapshots, refs
 * (Iceberg spec, "Appendix C: JSON Serialization"). The whole is in `tableMetadataJson.ts`.
 *
 * Reading takes what Java, PyIceberg and Spark write and refuses what we could not keep
 * (`table_unsupported`): a type that we do not know would be lost with the next commit.
 */
import { fail } from "#base/errors.ts";
import type { Json } from "#base/json.ts";
import {
  type Field,
  isPrimitive,
  parsePrimitive,
  primitiveName,
  type Schema,
  type Type,
} from "#columns/schema.ts";
import type {
  PartitionField,
  PartitionSpec,
  Snapshot,
  SnapshotRef,
  SortField,
  SortOrder,
} from "./metadata.ts";

/** A JSON object. */
export type JsonObject = { [key: string]: Json };

/** First id of a partition field. */
const PARTITION_FIELD_ID_FIRST = 1000;

/** Checks that a value is a JSON object. Throws `table_unsupported`; `what` names it. */
export function objectOf(value: Json | undefined, what: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw malformed(what, "an object");
}

/** Checks that a value is a list; a missing or null one is empty. */
export function listOf(value: Json | undefined, what: string): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw malformed(what, "a list");
}

/** Checks that a value is a string. */
export function textOf(value: Json | undefined, what: string): string {
  if (typeof value === "string") return value;
  throw malformed(what, "a string");
}

/** Checks that a value is an integer of at most 53 bits. */
export function intOf(value: Json | undefined, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw malformed(what, "an integer");
}

/** Checks that a value is an integer of any length. */
export function longOf(value: Json | undefined, what: string): bigint {
  if (typeof value === "bigint") return value;
  return BigInt(intOf(value, what));
}

/** An integer, or null when the member is missing or null. */
export function intOrNull(value: Json | undefined, what: string): number | null {
  return value === undefined || value === null ? null : intOf(value, what);
}

/** An integer of any length, or null when the member is missing or null. */
export function longOrNull(value: Json | undefined, what: string): bigint | null {
  return value === undefined || value === null ? null : longOf(value, what);
}

/** A map of strings; a missing one is empty, scalars become their text. */
export function textMapOf(value: Json | undefined, what: string): Record<string, string> {
  const map: Record<string, string> = {};
  if (value === undefined || value === null) return map;
  for (const [key, member] of Object.entries(objectOf(value, what))) {
    if (member !== null) map[key] = typeof member === "string" ? member : String(member);
  }
  return map;
}

function malformed(what: string, wanted: string): Error {
  return fail("table_unsupported", `Table metadata is malformed: ${what} is not ${wanted}`);
}

/** A schema as JSON (Iceberg spec, "Schemas"). */
export function schemaToJson(schema: Schema): JsonObject {
  return {
    type: "struct",
    "schema-id": schema.schemaId,
    ...(schema.identifierFieldIds.length > 0
      ? { "identifier-field-ids": [...schema.identifierFieldIds] }
      : {}),
    fields: schema.fields.map(fieldToJson),
  };
}

/** Reads a schema. Throws `table_unsupported` for types that we cannot keep, naming the column. */
export function schemaFromJson(json: Json): Schema {
  const object = objectOf(json, "schema");
  return {
    schemaId: intOrNull(object["schema-id"], "schema-id") ?? 0,
    identifierFieldIds: listOf(object["identifier-field-ids"], "identifier-field-ids").map((id) =>
      intOf(id, "identifier-field-ids"),
    ),
    fields: fieldsFromJson(object["fields"], ""),
  };
}

function fieldToJson(field: Field): JsonObject {
  return {
    id: field.id,
    name: field.name,
    required: field.required,
    type: typeToJson(field.type),
    ...(field.doc === undefined ? {} : { doc: field.doc }),
    ...(field.initialDefault === undefined
      ? {}
      : { "initial-default": field.initialDefault as Json }),
    ...(field.writeDefault === undefined ? {} : { "write-default": field.writeDefault as Json }),
  };
}

/** A type as JSON: a string for primitives, an object for nested ones. */
export function typeToJson(type: Type): Json {
  if (isPrimitive(type)) return primitiveName(type);
  switch (type.kind) {
    case "struct":
      return { type: "struct", fields: type.fields.map(fieldToJson) };
    case "list":
      return {
        type: "list",
        "element-id": type.element.id,
        element: typeToJson(type.element.type),
        "element-required": type.element.required,
      };
    case "map":
      return {
        type: "map",
        "key-id": type.key.id,
        key: typeToJson(type.key.type),
        "value-id": type.value.id,
        value: typeToJson(type.value.type),
        "value-required": type.value.required,
      };
  }
}

function fieldsFromJson(json: Json | undefined, path: string): Field[] {
  return listOf(json, `fields of ${path === "" ? "the schema" : path}`).map((member) => {
    const object = objectOf(member, `a field of ${path === "" ? "the schema" : path}`);
    const name = textOf(object["name"], "name of a field");
    const at = path === "" ? name : `${path}.${name}`;
    return {
      id: intOf(object["id"], `id of ${at}`),
      name,
      required: object["required"] === true,
      type: typeFromJson(object["type"], at),
      ...(typeof object["doc"] === "string" ? { doc: object["doc"] } : {}),
      ...(object["initial-default"] === undefined
        ? {}
        : { initialDefault: object["initial-default"] }),
      ...(object["write-default"] === undefined ? {} : { writeDefault: object["write-default"] }),
    };
  });
}

/** Reads a type. `path` names the column in errors. */
export function typeFromJson(json: Json | undefined, path: string): Type {
  if (typeof json === "string") {
    const primitive = parsePrimitive(json);
    if (primitive !== null) return primitive;
    throw fail(
      "table_unsupported",
      `Column ${path} has type ${json}, which this release can neither write nor keep`,
      { column: path, type: json },
    );
  }
  const object = objectOf(json, `type of ${path}`);
  const child = (name: string, id: string, required: boolean): Field => ({
    id: intOf(object[id], `${id} of ${path}`),
    name,
    required,
    type: typeFromJson(object[name], `${path}.${name}`),
  });
  const kind = object["type"];
  if (kind === "struct") return { kind, fields: fieldsFromJson(object["fields"], path) };
  if (kind === "list") {
    return { kind, element: child("element", "element-id", object["element-required"] === true) };
  }
  if (kind === "map") {
    return {
      kind,
      key: child("key", "key-id", true),
      value: child("value", "value-id", object["value-required"] === true),
    };
  }
  throw malformed(`type of ${path}`, "a struct, list or map");
}

/** The fields of a partition spec as JSON: a manifest's `partition-spec` key. */
export function specFieldsToJson(spec: PartitionSpec): JsonObject[] {
  return spec.fields.map((field) => ({
    name: field.name,
    transform: field.transform,
    "source-id": field.sourceId,
    "field-id": field.fieldId,
  }));
}

/** A partition spec as JSON (Iceberg spec, "Partition Specs"). */
export function specToJson(spec: PartitionSpec): JsonObject {
  return { "spec-id": spec.specId, fields: specFieldsToJson(spec) };
}

/** Reads a partition spec. Throws `table_unsupported` for transforms of several columns. */
export function specFromJson(json: Json): PartitionSpec {
  const object = objectOf(json, "partition spec");
  return {
    specId: intOf(object["spec-id"], "spec-id"),
    fields: listOf(object["fields"], "fields of a partition spec").map(partitionFieldFromJson),
  };
}

function partitionFieldFromJson(json: Json, index: number): PartitionField {
  const object = objectOf(json, "partition field");
  return {
    name: textOf(object["name"], "name of a partition field"),
    transform: textOf(object["transform"], "transform of a partition field"),
    sourceId: sourceIdOf(object, "partition field"),
    fieldId:
      intOrNull(object["field-id"], "field-id of a partition field") ??
      PARTITION_FIELD_ID_FIRST + index,
  };
}

/** `source-id`, or the only element of v3's `source-ids`. */
function sourceIdOf(object: JsonObject, what: string): number {
  const ids = listOf(object["source-ids"], `source-ids of a ${what}`);
  if (ids.length > 1) {
    throw fail("table_unsupported", `A ${what} with several source columns is not supported`);
  }
  return intOf(object["source-id"] ?? ids[0], `source-id of a ${what}`);
}

/** A sort order as JSON (Iceberg spec, "Sort Orders"). */
export function sortOrderToJson(order: SortOrder): JsonObject {
  return {
    "order-id": order.orderId,
    fields: order.fields.map((field) => ({
      transform: field.transform,
      "source-id": field.sourceId,
      direction: field.direction,
      "null-order": field.nullOrder,
    })),
  };
}

/** Reads a sort order. */
export function sortOrderFromJson(json: Json): SortOrder {
  const object = objectOf(json, "sort order");
  return {
    orderId: intOf(object["order-id"], "order-id"),
    fields: listOf(object["fields"], "fields of a sort order").map(sortFieldFromJson),
  };
}

function sortFieldFromJson(json: Json): SortField {
  const object = objectOf(json, "sort field");
  const direction = textOf(object["direction"], "direction of a sort field").toLowerCase();
  const nullOrder = textOf(object["null-order"], "null-order of a sort field").toLowerCase();
  return {
    transform: textOf(object["transform"], "transform of a sort field"),
    sourceId: sourceIdOf(object, "sort field"),
    direction: direction === "desc" ? "desc" : "asc",
    nullOrder: nullOrder === "nulls-last" ? "nulls-last" : "nulls-first",
  };
}

/** A snapshot as JSON (Iceberg spec, "Snapshots"). */
export function snapshotToJson(snapshot: Snapshot): JsonObject {
  return {
    "sequence-number": snapshot.sequenceNumber,
    "snapshot-id": snapshot.snapshotId,
    ...(snapshot.parentSnapshotId === null
      ? {}
      : { "parent-snapshot-id": snapshot.parentSnapshotId }),
    "timestamp-ms": snapshot.timestampMs,
    ...(Object.keys(snapshot.summary).length === 0 ? {} : { summary: { ...snapshot.summary } }),
    "manifest-list": snapshot.manifestList,
    ...(snapshot.schemaId === null ? {} : { "schema-id": snapshot.schemaId }),
    ...(snapshot.firstRowId === null ? {} : { "first-row-id": snapshot.firstRowId }),
    ...(snapshot.addedRows === null ? {} : { "added-rows": snapshot.addedRows }),
  };
}

/**
 * Reads a snapshot. Throws `table_unsupported` for encrypted ones and for those of v1 that list
 * their manifests inside the metadata: their content would be lost with the next commit.
 */
export function snapshotFromJson(json: Json): Snapshot {
  const object = objectOf(json, "snapshot");
  const snapshotId = longOf(object["snapshot-id"], "snapshot-id");
  if (object["key-id"] !== undefined && object["key-id"] !== null) {
    throw fail("table_unsupported", `Snapshot ${snapshotId} is encrypted`, { snapshotId });
  }
  if (typeof object["manifest-list"] !== "string") {
    throw fail("table_unsupported", `Snapshot ${snapshotId} has no manifest list`, { snapshotId });
  }
  const parent = longOrNull(object["parent-snapshot-id"], "parent-snapshot-id");
  return {
    snapshotId,
    parentSnapshotId: parent === -1n ? null : parent,
    sequenceNumber: longOrNull(object["sequence-number"], "sequence-number") ?? 0n,
    timestampMs: intOf(object["timestamp-ms"], "timestamp-ms of a snapshot"),
    manifestList: object["manifest-list"],
    summary: textMapOf(object["summary"], "summary of a snapshot"),
    schemaId: intOrNull(object["schema-id"], "schema-id of a snapshot"),
    firstRowId: longOrNull(object["first-row-id"], "first-row-id of a snapshot"),
    addedRows: longOrNull(object["added-rows"], "added-rows of a snapshot"),
  };
}

/** A branch or tag as JSON (Iceberg spec, "Snapshot References"). */
export function refToJson(ref: SnapshotRef): JsonObject {
  return {
    "snapshot-id": ref.snapshotId,
    type: ref.type,
    ...(ref.minSnapshotsToKeep === null ? {} : { "min-snapshots-to-keep": ref.minSnapshotsToKeep }),
    ...(ref.maxSnapshotAgeMs === null ? {} : { "max-snapshot-age-ms": ref.maxSnapshotAgeMs }),
    ...(ref.maxRefAgeMs === null ? {} : { "max-ref-age-ms": ref.maxRefAgeMs }),
  };
}

/** Reads a branch or tag. Ages of Java's "for ever" (2^63 - 1 ms) are kept as the nearest number. */
export function refFromJson(json: Json): SnapshotRef {
  const object = objectOf(json, "ref");
  const age = (key: string): number | null => {
    const value = longOrNull(object[key], `${key} of a ref`);
    return value === null ? null : Math.min(Number(value), Number.MAX_SAFE_INTEGER);
  };
  return {
    snapshotId: longOf(object["snapshot-id"], "snapshot-id of a ref"),
    type: textOf(object["type"], "type of a ref").toLowerCase() === "tag" ? "tag" : "branch",
    minSnapshotsToKeep: intOrNull(object["min-snapshots-to-keep"], "min-snapshots-to-keep"),
    maxSnapshotAgeMs: age("max-snapshot-age-ms"),
    maxRefAgeMs: age("max-ref-age-ms"),
  };
}
