/**
 * Puffin files (Iceberg Puffin spec): `PFA1 | blobs | PFA1 | footer JSON | its length: i32 little endian | flags: u32 |
 * PFA1`. What we write is not compressed, neither blobs nor footer.
 */
import { fail } from "#base/errors.ts";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import { utf8Text } from "#base/text.ts";

/** What a footer says of a blob, but for its place. */
export interface BlobDescription {
  readonly type: string;
  /** Field ids. */
  readonly fields: readonly number[];
  readonly snapshotId: bigint;
  readonly sequenceNumber: bigint;
  readonly properties: Readonly<Record<string, string>>;
}

/** A blob, and what is said of it. */
export interface Blob extends BlobDescription {
  readonly bytes: Uint8Array;
}

/** Where a blob lies in its file. */
export interface BlobPlace {
  readonly offset: number;
  readonly length: number;
}

/** A Puffin file in memory. */
export interface EncodedPuffin {
  readonly bytes: Uint8Array;
  /** From the magic number before the footer to the end. */
  readonly footerBytes: number;
  /** In the order of the blobs. */
  readonly places: readonly BlobPlace[];
}

const MAGIC = Buffer.from("PFA1");
/** Behind the footer: its length, flags, magic number. */
const TAIL_BYTES = 12;

/** Writes blobs in their order. @param gap bytes of nothing behind each of them */
export function encodePuffin(blobs: readonly Blob[], gap = 0): EncodedPuffin {
  const chunks: Uint8Array[] = [MAGIC];
  let at = MAGIC.length;
  const places = blobs.map(({ bytes }): BlobPlace => {
    const offset = at;
    chunks.push(bytes, new Uint8Array(gap));
    at += bytes.length + gap;
    return { offset, length: bytes.length };
  });
  const described = blobs.map((blob, index) => describe(blob, places[index]));
  const properties = { "created-by": "kafka-iceberg" };
  const footer = Buffer.from(writeJson({ blobs: described, properties }));
  const tail = Buffer.alloc(8);
  tail.writeInt32LE(footer.length);
  const bytes = Buffer.concat([...chunks, MAGIC, footer, tail, MAGIC]);
  return { bytes, footerBytes: bytes.length - at, places };
}

function describe(
  { type, fields, snapshotId, sequenceNumber, properties }: Blob,
  place: BlobPlace | undefined,
): { [key: string]: Json } {
  return {
    ...{ type, fields: [...fields], "snapshot-id": snapshotId, "sequence-number": sequenceNumber },
    ...{ offset: place?.offset ?? 0, length: place?.length ?? 0, properties: { ...properties } },
  };
}

/**
 * The blobs of a file that are not compressed, those of other types included.
 * @throws AppError `storage_corrupt`
 */
export function readPuffin(file: Uint8Array): Blob[] {
  const tail = new DataView(file.buffer, file.byteOffset + file.length - TAIL_BYTES, TAIL_BYTES);
  const length = tail.getInt32(0, true);
  const from = file.length - TAIL_BYTES - length;
  const isPuffin = MAGIC.equals(file.subarray(0, 4)) && MAGIC.equals(file.subarray(-4));
  if (!isPuffin || length < 0 || from < MAGIC.length || tail.getUint32(4, true) !== 0) {
    throw fail("storage_corrupt", "This is no Puffin file, or its footer is compressed");
  }
  const footer = parseJson(utf8Text(file.subarray(from, from + length))) as { blobs?: Json };
  const listed = Array.isArray(footer.blobs) ? footer.blobs : [];
  return listed.flatMap((each) => {
    const blob = each as { readonly [key: string]: Json };
    if (blob["compression-codec"] !== undefined && blob["compression-codec"] !== null) return [];
    const [offset, size] = [Number(blob["offset"]), Number(blob["length"])];
    return {
      type: String(blob["type"]),
      fields: (blob["fields"] as Json[]).map(Number),
      snapshotId: BigInt(String(blob["snapshot-id"])),
      sequenceNumber: BigInt(String(blob["sequence-number"])),
      properties: (blob["properties"] ?? {}) as Record<string, string>,
      bytes: file.subarray(offset, offset + size),
    };
  });
}
