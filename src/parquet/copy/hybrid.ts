/**
 * The RLE / bit-packing hybrid of levels and dictionary indexes, read back (Parquet format, "Encodings", RLE = 3);
 * `kernel/assembly/encode/hybrid.ts` writes it.
 */
import { unfit } from "./source.ts";

/**
 * Reads as many values as `output` has room for, from `[from, end)`.
 * @param width bits of a value, at most 31
 * @throws AppError `table_unsupported` when there are fewer
 */
export function readHybrid(
  bytes: Uint8Array,
  from: number,
  end: number,
  width: number,
  output: Int32Array | Uint8Array,
): void {
  let done = 0;
  for (const run of runs(bytes, from, end, width)) {
    const taken = Math.min(run.count, output.length - done);
    if (run.isPacked) unpack(bytes, run.at, width, output, done, taken);
    else output.fill(run.value, done, done + taken);
    done += taken;
    if (done === output.length) return;
  }
  if (done < output.length) throw unfit("a page has fewer values than it says");
}

/** Some values: packed from a byte on, or all the same. */
interface Run {
  readonly isPacked: boolean;
  readonly count: number;
  readonly value: number;
  readonly at: number;
}

function* runs(bytes: Uint8Array, from: number, end: number, width: number): Generator<Run> {
  const valueBytes = (width + 7) >> 3;
  for (let at = from; at < end; ) {
    const header = varint(bytes, at, end);
    at = header.end;
    const isPacked = header.value % 2 === 1;
    const half = Math.floor(header.value / 2);
    if (isPacked) {
      // The last group may be cut.
      const there = width === 0 ? half * 8 : Math.floor(((end - at) * 8) / width);
      yield { isPacked, count: Math.min(half * 8, there), value: 0, at };
      at += half * width;
    } else {
      if (at + valueBytes > end) throw unfit("a page ends within a run");
      yield { isPacked, count: half, value: littleEndian(bytes, at, valueBytes), at };
      at += valueBytes;
    }
  }
}

/** An unsigned LEB128 number of 32 bits, and where it ends. */
function varint(
  bytes: Uint8Array,
  from: number,
  end: number,
): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let at = from; at < end && at < from + 5; at++) {
    const byte = bytes[at] as number;
    value += (byte & 127) * 2 ** (7 * (at - from));
    if (byte < 128) return { value, end: at + 1 };
  }
  throw unfit("a page ends within a run");
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let byte = 0; byte < count; byte++) value |= (bytes[at + byte] as number) << (8 * byte);
  return value;
}

/** Bits up to which what is held of the input fits an integer. */
const NARROW_BITS = 24;

/** Values of `width` bits, the low ones first. */
function unpack(
  bytes: Uint8Array,
  from: number,
  width: number,
  output: Int32Array | Uint8Array,
  first: number,
  count: number,
): void {
  if (width > NARROW_BITS) {
    unpackWide(bytes, from, width, output, first, count);
    return;
  }
  const mask = (1 << width) - 1;
  let [at, bits, held] = [from, 0, 0];
  for (let index = first; index < first + count; index++) {
    while (held < width) {
      bits |= (bytes[at++] as number) << held;
      held += 8;
    }
    output[index] = bits & mask;
    bits >>>= width;
    held -= width;
  }
}

function unpackWide(
  bytes: Uint8Array,
  from: number,
  width: number,
  output: Int32Array | Uint8Array,
  first: number,
  count: number,
): void {
  const size = 2 ** width;
  let [at, bits, held] = [from, 0, 0];
  for (let index = first; index < first + count; index++) {
    while (held < width) {
      bits += (bytes[at++] as number) * 2 ** held;
      held += 8;
    }
    output[index] = bits % size;
    bits = Math.floor(bits / size);
    held -= width;
  }
}
