/**
 * A table as Glue is to show it: the parameters and columns by which Athena, Spark and PyIceberg know an
 * Iceberg table, in the form of Iceberg's own GlueCatalog. Pure.
 *
 * Glue replaces the whole table, so whatever others have put there goes along. Properties of the table are
 * not copied, offsets least of all: what another writer has copied of ours is dropped, since it would go stale.
 */
import { hiveColumns } from "#catalog/hiveTypes.ts";
import type { NextPointer } from "#catalog/pointer.ts";
import type { GlueTable, GlueTableInput } from "./glueClient.ts";

const TABLE_TYPE = "table_type";
const METADATA_LOCATION = "metadata_location";
const PREVIOUS_METADATA_LOCATION = "previous_metadata_location";
/** Begins our properties of tables (SPEC 2.1), which PyIceberg copies to where it commits. */
const OWN_PREFIX = "kafka-iceberg.";
/** Folders of a table's files beside its location. */
const FURTHER_LOCATIONS = [
  "write.data.path",
  "write.metadata.path",
  "write.object-storage.path",
  "write.folder-storage.path",
];
/** Athena's only type of time with a date. */
const TIMESTAMP = "timestamp";

/** Where the metadata of an Iceberg table is; null: the table is none. */
export function metadataLocationOf({ Parameters }: GlueTable): string | null {
  if (Parameters?.[TABLE_TYPE]?.toUpperCase() !== "ICEBERG") return null;
  return Parameters[METADATA_LOCATION] ?? null;
}

/** Whether a commit is in the table: as its head, or as what the head was built on. */
export function shows(table: GlueTable, metadataLocation: string): boolean {
  const previous = table.Parameters?.[PREVIOUS_METADATA_LOCATION];
  return metadataLocationOf(table) === metadataLocation || previous === metadataLocation;
}

/**
 * What Glue is to keep.
 * @param existing the table as Glue has it; null: it is new
 */
export function tableInput(
  name: string,
  { metadataLocation, metadata }: NextPointer,
  existing: GlueTable | null,
): GlueTableInput {
  const { location, properties } = metadata;
  const further = FURTHER_LOCATIONS.flatMap((key) => properties[key] ?? []);
  const description = properties["comment"] ?? existing?.Description;
  return {
    ...kept(existing),
    Name: name,
    ...(description === undefined ? {} : { Description: description }),
    TableType: "EXTERNAL_TABLE",
    Parameters: parameters(metadataLocation, existing),
    StorageDescriptor: {
      ...existing?.StorageDescriptor,
      Location: location,
      AdditionalLocations: [...new Set(further)],
      Columns: columns(metadata, existing),
    },
  };
}

/** Members of a table that are not its own at all, but go along when it is replaced. */
function kept(existing: GlueTable | null): Partial<GlueTableInput> {
  const {
    Owner,
    LastAccessTime,
    LastAnalyzedTime,
    Retention,
    PartitionKeys,
    ViewOriginalText,
    ViewExpandedText,
    TargetTable,
  } = existing ?? {};
  const members = {
    Owner,
    LastAccessTime,
    LastAnalyzedTime,
    Retention,
    PartitionKeys,
    ViewOriginalText,
    ViewExpandedText,
    TargetTable,
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function parameters(metadataLocation: string, existing: GlueTable | null): Record<string, string> {
  const before = existing?.Parameters ?? {};
  const others = Object.entries(before).filter(([key]) => !key.startsWith(OWN_PREFIX));
  const previous = before[METADATA_LOCATION];
  return {
    ...Object.fromEntries(others),
    [TABLE_TYPE]: "ICEBERG",
    [METADATA_LOCATION]: metadataLocation,
    ...(previous === undefined ? {} : { [PREVIOUS_METADATA_LOCATION]: previous }),
  };
}

function columns(
  metadata: NextPointer["metadata"],
  existing: GlueTable | null,
): NonNullable<NonNullable<GlueTableInput["StorageDescriptor"]>["Columns"]> {
  const known = new Map(
    (existing?.StorageDescriptor?.Columns ?? []).map((column) => [column.Name, column]),
  );
  return hiveColumns(metadata, TIMESTAMP).map(({ name, type, comment, field, isCurrent }) => {
    const before = known.get(name);
    const text = comment ?? before?.Comment;
    return {
      Name: name,
      Type: type,
      ...(text === undefined ? {} : { Comment: text }),
      Parameters: {
        ...before?.Parameters,
        "iceberg.field.id": String(field.id),
        "iceberg.field.optional": String(!field.required),
        "iceberg.field.current": String(isCurrent),
      },
    };
  });
}
