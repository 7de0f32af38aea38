/**
 * Fields as the schema of a Parquet file (Iceberg spec, Appendix A "Parquet"; Parquet format,
 * "LogicalTypes"): field ids at every level, lists and maps in three levels.
 *
 * Converted types stand beside logical ones for readers that know no other.
 */
import {
  childFields,
  type Field,
  isPrimitive,
  type PrimitiveType,
  type Type,
} from "#columns/schema.ts";
import { childName, physicalOf, repeatedGroup } from "./leaves.ts";
import type { SchemaElement } from "./thrift.ts";

type Annotation = Pick<SchemaElement, "converted_type" | "logical_type" | "scale" | "precision">;

/** The schema, depth first, the root before all. */
export function schemaElements(fields: readonly Field[]): SchemaElement[] {
  const root: SchemaElement = { name: "table", num_children: fields.length };
  return [root, ...fields.flatMap((field) => elementsOf(field, field.name))];
}

function elementsOf(field: Field, name: string): SchemaElement[] {
  const { type } = field;
  const own = {
    name,
    field_id: field.id,
    repetition_type: field.required ? ("REQUIRED" as const) : ("OPTIONAL" as const),
  };
  if (isPrimitive(type)) {
    const { physical, width } = physicalOf(type);
    const length = physical === "FIXED_LEN_BYTE_ARRAY" ? { type_length: width } : {};
    return [{ ...own, type: physical, ...length, ...primitiveAnnotation(type) }];
  }
  const children = childFields(type);
  const below = children.flatMap((child, index) =>
    elementsOf(child, childName(type, index, child)),
  );
  const group = repeatedGroup(type);
  if (group === null) return [{ ...own, num_children: children.length }, ...below];
  const repeated: SchemaElement = {
    name: group,
    repetition_type: "REPEATED",
    num_children: children.length,
  };
  return [{ ...own, num_children: 1, ...groupAnnotation(type) }, repeated, ...below];
}

function groupAnnotation(type: Type): Annotation {
  if (type.kind === "map") return { converted_type: "MAP", logical_type: { type: "MAP" } };
  return { converted_type: "LIST", logical_type: { type: "LIST" } };
}

function primitiveAnnotation(type: PrimitiveType): Annotation {
  switch (type.kind) {
    case "string":
      return { converted_type: "UTF8", logical_type: { type: "STRING" } };
    case "uuid":
      return { logical_type: { type: "UUID" } };
    case "date":
      return { converted_type: "DATE", logical_type: { type: "DATE" } };
    case "time":
      return {
        converted_type: "TIME_MICROS",
        logical_type: { type: "TIME", isAdjustedToUTC: false, unit: "MICROS" },
      };
    case "timestamp":
      return {
        converted_type: "TIMESTAMP_MICROS",
        logical_type: { type: "TIMESTAMP", isAdjustedToUTC: type.zone, unit: "MICROS" },
      };
    case "timestamp_ns":
      return { logical_type: { type: "TIMESTAMP", isAdjustedToUTC: type.zone, unit: "NANOS" } };
    case "decimal": {
      const { precision, scale } = type;
      const logical_type = { type: "DECIMAL", precision, scale } as const;
      return { converted_type: "DECIMAL", logical_type, precision, scale };
    }
    default:
      return {};
  }
}
