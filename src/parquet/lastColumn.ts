/**
 * A Parquet file without its last column: which of its bytes stay, and the footer that goes with them. Pages are
 * copied as they are; the footer's offsets move up (parquet-format, `FileMetaData`).
 */
import { assert } from "#base/assert.ts";
import { type ByteRange, TRAILER_BYTES } from "./layout.ts";
import {
  decodeStruct,
  encodeStruct,
  type ThriftList,
  type ThriftNode,
  type ThriftStruct,
} from "./thriftTree.ts";

/** What is left of a file. */
export interface Shortened {
  /** In order; the new footer follows them. */
  readonly kept: readonly ByteRange[];
  /** `FileMetaData` and trailer. */
  readonly footer: Uint8Array;
  /** Of the whole file, footer included. */
  readonly bytes: number;
}

/** Field ids of parquet.thrift. */
const FILE = { schema: 2, rowGroups: 4, columnOrders: 7 } as const;
const ELEMENT = { childCount: 5 } as const;
const GROUP = { columns: 1, totalBytes: 2, fileOffset: 5, compressedBytes: 6 } as const;
const CHUNK = { fileOffset: 2, metadata: 3, offsetIndex: 4, columnIndex: 6 } as const;
const META = {
  ...{ uncompressedBytes: 6, compressedBytes: 7, dataPage: 9, indexPage: 10, dictionaryPage: 11 },
  ...{ bloomOffset: 14, bloomBytes: 15 },
} as const;

/**
 * @param footer `FileMetaData` and trailer
 * @param bytes of the whole file
 */
export function withoutLastColumn(footer: Uint8Array, bytes: number): Shortened {
  const file = decodeStruct(footer.subarray(0, footer.length - TRAILER_BYTES));
  const groups = listOf(file, FILE.rowGroups);
  const gone = groups.items
    .flatMap((group) => rangesOf(metaOf(lastOf(listOf(structOf(group), GROUP.columns)))))
    .toSorted((a, b) => a.start - b.start);
  const moved = (offset: bigint): bigint => {
    let shift = 0;
    for (const { start, end } of gone) if (start < offset) shift += end - start;
    return offset - BigInt(shift);
  };
  const shortened = changed(file, {
    [FILE.schema]: (schema) => listNode(schema, schemaWithout(listIn(schema))),
    [FILE.rowGroups]: (list) =>
      listNode(
        list,
        groups.items.map((group) => ({ ...group, value: groupWithout(structOf(group), moved) })),
      ),
    [FILE.columnOrders]: (orders) => listNode(orders, listIn(orders).items.slice(0, -1)),
  });
  const metadata = encodeStruct(shortened);
  const trailer = new Uint8Array(footer.slice(-TRAILER_BYTES));
  new DataView(trailer.buffer).setUint32(0, metadata.length, true);
  const kept = complement(gone, bytes - footer.length);
  const body = kept.reduce((sum, { start, end }) => sum + end - start, 0);
  const whole = Buffer.concat([metadata, trailer]);
  return { kept, footer: whole, bytes: body + whole.length };
}

function schemaWithout({ items: [root, ...others] }: ThriftList): ThriftNode[] {
  assert(root !== undefined && others.length > 0, "a schema has columns");
  const fewer = changed(structOf(root), { [ELEMENT.childCount]: (count) => plus(count, -1n) });
  // A column that is no leaf would leave its children behind.
  assert(!structOf(others.at(-1)).has(ELEMENT.childCount), "the last column has no children");
  return [{ ...root, value: fewer }, ...others.slice(0, -1)];
}

function groupWithout(group: ThriftStruct, moved: (offset: bigint) => bigint): ThriftStruct {
  const columns = listOf(group, GROUP.columns);
  const last = metaOf(lastOf(columns));
  const move = (node: ThriftNode): ThriftNode => ({ ...node, value: moved(integerOf(node)) });
  const chunk = (node: ThriftNode): ThriftNode => ({
    ...node,
    value: changed(structOf(node), {
      // Some writers leave it out, or at 0.
      [CHUNK.fileOffset]: move,
      [CHUNK.metadata]: (meta) => ({
        ...meta,
        value: changed(structOf(meta), {
          [META.dataPage]: move,
          [META.indexPage]: move,
          [META.dictionaryPage]: move,
          [META.bloomOffset]: move,
        }),
      }),
      [CHUNK.offsetIndex]: move,
      [CHUNK.columnIndex]: move,
    }),
  });
  return changed(group, {
    [GROUP.columns]: (list) => listNode(list, columns.items.slice(0, -1).map(chunk)),
    [GROUP.totalBytes]: (total) => plus(total, -integerOf(last.get(META.uncompressedBytes))),
    [GROUP.fileOffset]: move,
    [GROUP.compressedBytes]: (total) => plus(total, -integerOf(last.get(META.compressedBytes))),
  });
}

/** What a column chunk takes of its file. */
function rangesOf(meta: ThriftStruct): ByteRange[] {
  const first = Number(integerOf(meta.get(META.dictionaryPage) ?? meta.get(META.dataPage)));
  const chunk = { start: first, end: first + Number(integerOf(meta.get(META.compressedBytes))) };
  const [bloom, length] = [meta.get(META.bloomOffset), meta.get(META.bloomBytes)];
  if (bloom === undefined || length === undefined) return [chunk];
  const start = Number(integerOf(bloom));
  return [chunk, { start, end: start + Number(integerOf(length)) }];
}

function complement(gone: readonly ByteRange[], end: number): ByteRange[] {
  const starts = [0, ...gone.map((range) => range.end)];
  const ends = [...gone.map((range) => range.start), end];
  return starts.flatMap((start, at) => {
    const stop = ends[at] ?? end;
    return stop > start ? [{ start, end: stop }] : [];
  });
}

function metaOf(chunk: ThriftNode): ThriftStruct {
  return structOf(structOf(chunk).get(CHUNK.metadata));
}

/** Some fields made anew, where they are there. */
function changed(
  struct: ThriftStruct,
  changes: Readonly<Record<number, (node: ThriftNode) => ThriftNode>>,
): ThriftStruct {
  return new Map([...struct].map(([id, node]) => [id, changes[id]?.(node) ?? node]));
}

function plus(node: ThriftNode, value: bigint): ThriftNode {
  return { ...node, value: integerOf(node) + value };
}

function listNode(node: ThriftNode, items: readonly ThriftNode[]): ThriftNode {
  const { elementType } = listIn(node);
  return { ...node, value: { elementType, items } };
}

function listOf(struct: ThriftStruct, id: number): ThriftList {
  return listIn(struct.get(id));
}

function listIn(node: ThriftNode | undefined): ThriftList {
  const value = node?.value;
  assert(value !== null && typeof value === "object" && "items" in value, "a footer has its lists");
  return value;
}

function lastOf({ items }: ThriftList): ThriftNode {
  const last = items.at(-1);
  assert(last !== undefined, "a row group has columns");
  return last;
}

function structOf(node: ThriftNode | undefined): ThriftStruct {
  const value = node?.value;
  assert(value instanceof Map, "a footer has its structs");
  return value;
}

function integerOf(node: ThriftNode | undefined): bigint {
  const value = node?.value;
  assert(typeof value === "bigint", "a footer has its integers");
  return value;
}
