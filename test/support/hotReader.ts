/**
 * A reader of a hot buffer in a thread of its own: checks every row that it was lent against what the
 * row's offset says it must be, again and again, until it gives the segment back.
 */
import type { LentSegment } from "#buffer/lease.ts";
import { readRows } from "#buffer/lease.ts";
import type { Column } from "#columns/batch.ts";
import { getBit } from "#columns/bitmap.ts";
import { expectedRow } from "./hotRows.ts";

declare const self: Worker;

/** Owner to reader: what it may read. */
export interface Lent {
  readonly id: number;
  readonly segments: readonly LentSegment[];
}

/** Reader to owner: it is done with a lease, and saw these rows, `[first, end)` of each segment. */
export interface GivenBack {
  readonly id: number;
  readonly seen: readonly { readonly key: string; readonly first: bigint; readonly end: bigint }[];
  /** The first thing that was not as it must be. */
  readonly wrong: string | null;
}

/** Each segment is read so often; in between its owner goes on. */
const PASSES = 2;
const COLUMNS = ["_kafka_offset", "n", "text", "flag", "maybe", "list"];

self.onmessage = (event: MessageEvent<Lent>): void => {
  const { id, segments } = event.data;
  let wrong: string | null = null;
  const rows = segments.map(() => 0);
  for (let pass = 0; pass < PASSES; pass++) {
    for (const [index, segment] of segments.entries()) {
      const count = Atomics.load(segment.watermark, 0);
      if (count < (rows[index] as number)) wrong ??= `rows went back to ${count}`;
      rows[index] = count;
      wrong ??= check(segment);
    }
  }
  const seen = segments.map(({ key, start }, index) => {
    return { key, first: start, end: start + BigInt(rows[index] as number) };
  });
  self.postMessage({ id, seen, wrong } satisfies GivenBack);
};

function check(segment: LentSegment): string | null {
  const { rowCount, columns } = readRows(segment);
  const named = new Map(columns.map((column) => [column.field.name, column]));
  const column = (name: string): Column => {
    const found = named.get(name);
    if (found === undefined) throw new Error(`no column ${name}`);
    return found;
  };
  const offsets = longs(column("_kafka_offset"));
  const numbers = longs(column("n"));
  const text = column("text");
  const flag = column("flag");
  const maybe = column("maybe");
  const list = column("list");
  const elements = longs(list.children[0] as Column);
  for (let row = 0; row < rowCount; row++) {
    const offset = segment.start + BigInt(row);
    const wanted = expectedRow(Number(offset));
    const found = [
      offsets[row] === offset,
      numbers[row] === BigInt(wanted.n),
      isText(text, row, wanted.text),
      getBit(flag.data as Uint8Array, row) === wanted.flag,
      (maybe.validity === null || getBit(maybe.validity, row)) === (wanted.maybe !== null),
      isList(list, elements, row, wanted.list),
    ];
    const index = found.indexOf(false);
    if (index >= 0) return `offset ${offset}, row ${row} of ${rowCount}: ${COLUMNS[index]}`;
  }
  return null;
}

function isText({ offsets, data }: Column, row: number, wanted: string): boolean {
  const [begin = 0, end = 0] = offsets?.subarray(row, row + 2) ?? [];
  if (end - begin !== wanted.length) return false;
  return end === begin || data?.[end - 1] === wanted.charCodeAt(0);
}

function isList(
  { offsets }: Column,
  elements: BigInt64Array,
  row: number,
  wanted: readonly number[],
): boolean {
  const [first = 0, last = 0] = offsets?.subarray(row, row + 2) ?? [];
  return (
    last - first === wanted.length &&
    wanted.every((value, index) => elements[first + index] === BigInt(value))
  );
}

function longs({ data }: Column): BigInt64Array {
  if (data === null) throw new Error("no data");
  return new BigInt64Array(data.buffer, data.byteOffset, data.length >> 3);
}
