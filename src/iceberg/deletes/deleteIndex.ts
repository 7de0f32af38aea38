/**
 * Which deletes of a snapshot may hide rows of a data file (Iceberg spec, "Scan Planning"), known from
 * manifests alone. Pure.
 *
 * A delete file without a path covers its partition, or, by equality and in an unpartitioned spec, the
 * whole table. By position it hides rows of files that are as old as it or older, by equality only of
 * older ones.
 */
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { DataFile, PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { partitionKey } from "#iceberg/partition/partitionKey.ts";
import { specById } from "#iceberg/partition/partitionType.ts";
import { isPartitioned } from "./equalityScope.ts";

/** What decides about a data file's deletes. */
export interface DataPlace {
  readonly path: string;
  readonly specId: number;
  readonly partition: readonly PartitionValue[];
  /** Data sequence number. */
  readonly sequenceNumber: bigint;
}

/** Field id of `file_path` in files of position deletes. */
const FILE_PATH = 2_147_483_546;

/** Where a delete file is looked for. */
type Scope =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "partition"; readonly key: string }
  | { readonly kind: "table" };

/** The delete files of one snapshot. */
export class DeleteIndex {
  readonly #byPath = new Map<string, LiveFile[]>();
  readonly #byPartition = new Map<string, LiveFile[]>();
  readonly #global: LiveFile[] = [];
  readonly size: number;

  constructor(metadata: TableMetadata, deletes: readonly LiveFile[]) {
    this.size = deletes.length;
    for (const each of deletes) {
      const scope = scopeOf(metadata, each.file);
      if (scope.kind === "table") this.#global.push(each);
      else if (scope.kind === "path") push(this.#byPath, scope.path, each);
      else push(this.#byPartition, scope.key, each);
    }
    for (const list of [...this.#byPath.values(), ...this.#byPartition.values(), this.#global]) {
      list.sort(byAge);
    }
  }

  /** The deletes that may hide rows of a data file. */
  of(data: DataPlace): LiveFile[] {
    return this.#lists(data)
      .flatMap((list) => list.slice(firstSince(list, data.sequenceNumber)))
      .filter(
        ({ file, sequenceNumber }) =>
          file.content !== "equality-deletes" || sequenceNumber > data.sequenceNumber,
      );
  }

  /** How many there are at most, without looking at each of them. */
  countOf(data: DataPlace): number {
    return this.#lists(data).reduce(
      (sum, list) => sum + list.length - firstSince(list, data.sequenceNumber),
      0,
    );
  }

  #lists(data: DataPlace): (readonly LiveFile[])[] {
    return [
      this.#byPath.get(data.path) ?? [],
      this.#byPartition.get(placeKey(data)) ?? [],
      this.#global,
    ];
  }
}

function byAge(a: LiveFile, b: LiveFile): number {
  if (a.sequenceNumber === b.sequenceNumber) return 0;
  return a.sequenceNumber < b.sequenceNumber ? -1 : 1;
}

/** Where deletes begin that are not older, in a list by age. */
function firstSince(list: readonly LiveFile[], sequenceNumber: bigint): number {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    const each = list[middle];
    if (each !== undefined && each.sequenceNumber < sequenceNumber) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Equal for files of one partition of one spec. */
export function placeKey({ specId, partition }: Pick<DataPlace, "specId" | "partition">): string {
  return `${specId} ${partitionKey(partition)}`;
}

/** True for a deletion vector among delete files. */
export function isVector({ fileFormat }: Pick<DataFile, "fileFormat">): boolean {
  return fileFormat.toUpperCase() === "PUFFIN";
}

/** The one data file that a delete file names in its manifest; null: it does not say. */
export function deletedFrom({
  content,
  referencedDataFile,
  lowerBounds,
  upperBounds,
}: DataFile): string | null {
  if (content !== "position-deletes") return null;
  if (referencedDataFile !== null) return referencedDataFile;
  const [lower, upper] = [lowerBounds.get(FILE_PATH), upperBounds.get(FILE_PATH)];
  if (lower === undefined || upper === undefined || Buffer.compare(lower, upper) !== 0) return null;
  return Buffer.from(lower).toString("utf8");
}

function scopeOf(metadata: TableMetadata, file: DataFile): Scope {
  const path = deletedFrom(file);
  if (path !== null) return { kind: "path", path };
  return file.content === "equality-deletes" && !isPartitioned(specById(metadata, file.specId))
    ? { kind: "table" }
    : { kind: "partition", key: placeKey(file) };
}

function push(map: Map<string, LiveFile[]>, key: string, value: LiveFile): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
