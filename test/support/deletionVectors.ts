/** Deletion vectors from row numbers, for tests: each container in the form that is asked for. */
import { crc32 } from "node:zlib";

/** How 65,536 rows are written: as an array of up to 4,096 or a bitmap of more; or as runs. */
export type ContainerForm = "plain" | "runs";

/** The blob of these rows, which need no order. */
export function encodeVector(rows: readonly number[], form: ContainerForm): Uint8Array {
  const bitmaps = Map.groupBy(
    [...new Set(rows)].sort((a, b) => a - b),
    (row) => Math.floor(row / 2 ** 32),
  );
  const parts = [...bitmaps].map(([key, of]) => Buffer.concat([u32(key), bitmap(of, form)]));
  const magic = Buffer.from("d1d33964", "hex");
  return frame(Buffer.concat([magic, u32(parts.length), u32(0), ...parts]));
}

/** Length and checksum around magic number and bitmap. */
export function frame(content: Uint8Array): Uint8Array {
  const out = Buffer.alloc(content.length + 8);
  out.writeUInt32BE(content.length, 0);
  out.set(content, 4);
  out.writeUInt32BE(crc32(content), content.length + 4);
  return new Uint8Array(out);
}

function bitmap(rows: readonly number[], form: ContainerForm): Uint8Array {
  const containers = [...Map.groupBy(rows, (row) => Math.floor((row % 2 ** 32) / 65_536))];
  const count = containers.length;
  const bodies = containers.map(([, of]) => container(of, form));
  const heads = containers.map(([key, of]) => Buffer.concat([u16(key), u16(of.length - 1)]));
  const start =
    form === "runs"
      ? [u32(12_347 + 65_536 * (count - 1)), Buffer.alloc((count + 7) >> 3, 0xff)]
      : [u32(12_346), u32(count)];
  const hasOffsets = form === "plain" || count >= 4;
  const before = Buffer.concat([...start, ...heads]).length + (hasOffsets ? 4 * count : 0);
  let at = before;
  const offsets = bodies.map((body) => {
    at += body.length;
    return u32(at - body.length);
  });
  return Buffer.concat([...start, ...heads, ...(hasOffsets ? offsets : []), ...bodies]);
}

function container(rows: readonly number[], form: ContainerForm): Uint8Array {
  const low = rows.map((row) => row % 65_536);
  if (form === "runs") {
    const runs: [first: number, last: number][] = [];
    for (const row of low) {
      const last = runs.at(-1);
      if (last !== undefined && last[1] === row - 1) last[1] = row;
      else runs.push([row, row]);
    }
    const pairs = runs.flatMap(([first, last]) => [u16(first), u16(last - first)]);
    return Buffer.concat([u16(runs.length), ...pairs]);
  }
  if (low.length <= 4096) return Buffer.concat(low.map(u16));
  const bits = Buffer.alloc(8192);
  for (const row of low) bits[row >> 3] = (bits[row >> 3] ?? 0) | (1 << (row & 7));
  return bits;
}

function u16(value: number): Buffer {
  const out = Buffer.alloc(2);
  out.writeUInt16LE(value);
  return out;
}

function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
}
