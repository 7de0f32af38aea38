/**
 * The folder of a partition below a table's data. Readers take partition values from manifests alone,
 * so that a name may be shortened: a local file system takes 255 bytes a name, S3 1,024 bytes a key,
 * and a value has any length.
 */
import { LIMITS } from "#base/limits.ts";
import type { Field } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { PartitionSpec } from "#iceberg/metadata/metadata.ts";
import { partitionParts } from "./partition.ts";

/** Hexadecimal digits of a hash that stands for what was cut off. */
const HASH_DIGITS = 16;

/**
 * The folder, as `partitionPath` names it where that is short: at most
 * `LIMITS.partitionFolderBytesMax` bytes, and `LIMITS.partitionPartBytesMax` for each field. Cut names
 * end in `~` and a hash; no other name has a `~`.
 */
export function partitionFolder(
  spec: PartitionSpec,
  fields: readonly Field[],
  partition: readonly PartitionValue[],
): string {
  const parts = partitionParts(spec, fields, partition);
  const folder = parts.map((part) => shortened(part)).join("/");
  if (folder.length <= LIMITS.partitionFolderBytesMax) return folder;
  const room = LIMITS.partitionFolderBytesMax - HASH_DIGITS - 2;
  const end = folder.lastIndexOf("/", room);
  return `${folder.slice(0, end + 1)}~${hashOf(parts.join("/"))}`;
}

function shortened(part: string): string {
  if (part.length <= LIMITS.partitionPartBytesMax) return part;
  const room = LIMITS.partitionPartBytesMax - HASH_DIGITS - 1;
  // Neither an escape nor the bytes of one character are cut in two.
  let end = part.slice(0, room).replace(/%.?$/, "").length;
  while (/^%[89AB]/.test(part.slice(end, end + 2))) end -= 3;
  return `${part.slice(0, end)}~${hashOf(part)}`;
}

function hashOf(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, HASH_DIGITS);
}
