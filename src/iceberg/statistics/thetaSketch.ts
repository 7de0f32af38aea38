/**
 * Theta sketches in the form that Apache DataSketches calls compact (Puffin blob `apache-datasketches-theta-v1`):
 * what estimates how many different values a column has. Pure; the hashes come from `sql/sketch/`.
 *
 * All numbers are little endian: how many words come before the hashes, version 3, family 3 (compact), two
 * sizes that only sketches under construction have, flags, a hash of the seed; from the second word on the
 * number of hashes and, unless it is one, the sampling probability 1; in a third one theta, where
 * hashes were dropped.
 */
import { fail } from "#base/errors.ts";

/** The smallest of all hashes of 63 bits that a column's values have. */
export interface ThetaSketch {
  /** Every hash below it that any value has is there; {@link THETA_MAX}: none was dropped. */
  readonly theta: bigint;
  /** Different ones, each above 0 and below theta. */
  readonly hashes: BigUint64Array;
}

/** Type of the blob. */
export const THETA_BLOB = "apache-datasketches-theta-v1";

/** Theta of a sketch that has all hashes. */
export const THETA_MAX = 0x7fff_ffff_ffff_ffffn;

const VERSION = 3;
const COMPACT_FAMILY = 3;
/** Of DataSketches' default seed, 9001. */
const SEED_HASH = 0x93cc;
const READ_ONLY = 2;
const EMPTY = 4;
const COMPACT = 8;
const ORDERED = 16;
const SINGLE = 32;
const WORD = 8;

/** About how many different values there are. */
export function estimateOf({ theta, hashes }: ThetaSketch): number {
  if (theta === THETA_MAX) return hashes.length;
  return Math.round(hashes.length / (Number(theta) / Number(THETA_MAX)));
}

/** The sketch as a blob, its hashes in order. */
export function encodeSketch({ theta, hashes }: ThetaSketch): Uint8Array {
  const isExact = theta === THETA_MAX;
  const isShort = isExact && hashes.length < 2;
  const words = isShort ? 1 : isExact ? 2 : 3;
  const bytes = Buffer.alloc(WORD * (words + hashes.length));
  let flags = READ_ONLY | COMPACT | ORDERED;
  if (isExact && hashes.length === 0) flags |= EMPTY;
  if (isExact && hashes.length === 1) flags |= SINGLE;
  bytes.set([words, VERSION, COMPACT_FAMILY, 0, 0, flags]);
  bytes.writeUInt16LE(SEED_HASH, 6);
  if (!isShort) {
    bytes.writeUInt32LE(hashes.length, WORD);
    bytes.writeFloatLE(1, WORD + 4);
  }
  if (!isExact) bytes.writeBigUInt64LE(theta, 2 * WORD);
  hashes.toSorted().forEach((hash, at) => {
    bytes.writeBigUInt64LE(hash, WORD * (words + at));
  });
  return bytes;
}

/**
 * Reads a blob that any program wrote.
 * @throws AppError `storage_corrupt` for another version, seed or family
 */
export function decodeSketch(blob: Uint8Array): ThetaSketch {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.length);
  const words = (bytes[0] ?? 0) & 63;
  const flags = bytes[5] ?? 0;
  const isKnown =
    bytes.length >= WORD && bytes[1] === VERSION && bytes[2] === COMPACT_FAMILY && words <= 3;
  if (!isKnown || (flags & COMPACT) === 0) throw corrupt("is not a compact theta sketch");
  if ((flags & EMPTY) !== 0) return { theta: THETA_MAX, hashes: new BigUint64Array(0) };
  if (bytes.readUInt16LE(6) !== SEED_HASH) throw corrupt("has another seed than the default");
  if (words > 1 && bytes.length < WORD * words) throw corrupt("ends early");
  const count = words === 1 ? 1 : bytes.readUInt32LE(WORD);
  const theta = words === 3 ? bytes.readBigUInt64LE(2 * WORD) : THETA_MAX;
  if (bytes.length < WORD * (words + count)) throw corrupt("ends early");
  const hashes = BigUint64Array.from({ length: count }, (_, at) =>
    bytes.readBigUInt64LE(WORD * (words + at)),
  );
  return { theta, hashes };
}

function corrupt(what: string): Error {
  return fail("storage_corrupt", `A blob of statistics ${what}`);
}
