/**
 * The encode kernel's memory: who lies where, and the records that both sides know
 * (`kernel/assembly/encode/layout.ts`).
 *
 * ```text
 * records | codec table | dictionary | levels | headroom + PLAIN page | body | compressed | staging
 *           fixed --------------------^ sized by the page --------------------------------^ grows
 * ```
 * Only one page of one column is in here at a time, with its chunk's dictionary. A page of a single
 * row that is larger than the target makes the memory grow, which it does not take back.
 */
import { growMemory, type Kernel, loadKernel } from "#kernel/load.ts";

/** How large a page and a dictionary may become. */
export interface PageLimits {
  /** Levels and PLAIN bytes of a page, unless a single row has more. */
  readonly pageEntries: number;
  readonly pageBytes: number;
  /** Entries, at most 32,768, and bytes of a dictionary. */
  readonly dictionaryEntries: number;
  readonly dictionaryBytes: number;
}

/** Pages that fit the second-level cache with what is made of them. */
export const PAGE_LIMITS: PageLimits = {
  pageEntries: 32_768,
  pageBytes: 256 * 1024,
  dictionaryEntries: 32_768,
  dictionaryBytes: 1024 * 1024,
};

/** Slots of a dictionary's hash table. */
export const DICTIONARY_SLOTS = 65_536;

/** A hash, an entry and its size. */
export const DICTIONARY_SLOT_BYTES = 16;

/** Nodes on the way to a leaf at most. */
export const NODES_MAX = 64;

/** What the kernel may touch behind a region. */
const SLACK = 64;

/** The kernel's functions; addresses and counts in, counts or a fault (below 0) out. */
export interface EncodeFunctions {
  readonly levels: (call: number, nodes: number, nodeCount: number, rows: number) => number;
  readonly plainFixed: (
    from: number,
    width: number,
    slots: number,
    count: number,
    to: number,
  ) => void;
  readonly plainDecimals: (
    from: number,
    width: number,
    bigEndian: number,
    slots: number,
    count: number,
    to: number,
  ) => void;
  readonly plainBits: (from: number, bit: number, slots: number, count: number, to: number) => void;
  readonly plainBytes: (
    offsets: number,
    length: number,
    base: number,
    data: number,
    dataBytes: number,
    slots: number,
    count: number,
    to: number,
    room: number,
  ) => number;
  readonly hybridBytes: (
    from: number,
    count: number,
    width: number,
    to: number,
    room: number,
  ) => number;
  readonly hybridWords: (
    from: number,
    count: number,
    width: number,
    to: number,
    room: number,
  ) => number;
  readonly packBits: (from: number, count: number, to: number, room: number) => number;
  readonly dictionaryBytes: (record: number, end: number, count: number, to: number) => number;
  readonly dictionaryFixed: (
    record: number,
    end: number,
    count: number,
    to: number,
    width: number,
  ) => number;
  readonly boundBooleans: (record: number, from: number, count: number) => void;
  readonly boundInts: (record: number, from: number, count: number) => void;
  readonly boundLongs: (record: number, from: number, count: number) => void;
  readonly boundFloats: (record: number, from: number, count: number) => void;
  readonly boundDoubles: (record: number, from: number, count: number) => void;
  readonly boundBytes: (record: number, from: number, end: number) => number;
  readonly boundFixed: (
    record: number,
    from: number,
    end: number,
    width: number,
    signed: number,
  ) => number;
  readonly snappy: CompressFunction;
  /** `head`: bytes before values of eight bytes each. */
  readonly snappyWords: (...call: [...Parameters<CompressFunction>, head: number]) => number;
  readonly lz4: CompressFunction;
}

/** `room`: as `compressedBytesMax` says; `table`: `Workspace.codecTable`. */
export type CompressFunction = (
  from: number,
  count: number,
  to: number,
  room: number,
  table: number,
) => number;

/** Offsets of the members of a `Levels` record. */
export const LEVELS = {
  definitions: 0,
  repetitions: 4,
  slots: 8,
  scratch: 12,
  room: 16,
  entries: 20,
  present: 24,
  contiguous: 28,
} as const;

/** Of a `Node` record. */
export const NODE = {
  list: 0,
  optional: 4,
  validity: 8,
  bit: 12,
  offsets: 16,
  base: 20,
  length: 24,
  size: 32,
} as const;

/** Of a `Dictionary` record. */
export const DICTIONARY = {
  table: 0,
  mask: 4,
  starts: 8,
  bytes: 12,
  bytesMax: 16,
  countMax: 20,
  count: 24,
  used: 28,
  position: 32,
} as const;

/** Of a `Bounds` record. */
export const BOUNDS = {
  seen: 0,
  nanCount: 4,
  minBytes: 8,
  maxBytes: 12,
  min: 16,
  max: 96,
  size: 176,
} as const;

/** Bytes of a value that a `Bounds` record keeps. */
export const BOUND_BYTES_MAX = 80;

/** Bytes that any codec's output of `bytes` takes at most. */
export function compressedBytesMax(bytes: number): number {
  return 64 + bytes + Math.ceil(bytes / 6);
}

/** Bytes that the encoded levels of both kinds take at most, lengths included. */
function levelBytesMax(entries: number): number {
  return 2 * (Math.ceil(entries / 8) * 9 + SLACK);
}

/** One kernel and the layout of its memory. */
export class Workspace {
  readonly limits: PageLimits;
  readonly kernel: EncodeFunctions;
  readonly levelsCall: number;
  readonly nodes: number;
  readonly bounds: number;
  readonly dictionary: number;
  readonly codecTable: number;
  readonly dictionaryTable: number;
  readonly dictionaryStarts: number;
  readonly dictionaryPlain: number;
  readonly #pageStart: number;
  readonly #memory: WebAssembly.Memory;
  /** Of the whole memory; void after anything grew. */
  bytes: Uint8Array;
  words: Int32Array;
  /** Levels and PLAIN bytes that a page has room for. */
  entriesMax = 0;
  plainBytesMax = 0;
  definitions = 0;
  repetitions = 0;
  slots = 0;
  scratch = 0;
  /** u32 dictionary indexes of a page. */
  indexes = 0;
  /** Where encoded levels are made; room for both kinds. */
  encodedLevels = 0;
  encodedLevelsMax = 0;
  /** PLAIN values of a page; `encodedLevelsMax` bytes before it are free. */
  plain = 0;
  /** A page body that is not PLAIN. */
  body = 0;
  bodyBytesMax = 0;
  compressed = 0;
  compressedBytesMax = 0;
  /** From here to the memory's end: copies of a column's buffers. */
  staging = 0;

  constructor(limits: PageLimits = PAGE_LIMITS) {
    this.limits = limits;
    const { functions, memory, heapBase }: Kernel<EncodeFunctions> = loadKernel("encode");
    this.kernel = functions;
    this.#memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Int32Array(memory.buffer);
    const place = placer(heapBase);
    this.levelsCall = place(SLACK);
    this.nodes = place(NODES_MAX * NODE.size);
    this.bounds = place(BOUNDS.size);
    this.dictionary = place(SLACK);
    this.codecTable = place(32 * 1024);
    this.dictionaryTable = place(DICTIONARY_SLOT_BYTES * DICTIONARY_SLOTS);
    this.dictionaryStarts = place(4 * limits.dictionaryEntries);
    this.dictionaryPlain = place(limits.dictionaryBytes);
    this.#pageStart = place(0);
    this.#layOut(limits.pageEntries, limits.pageBytes);
  }

  /** Bytes of WASM memory, which never become fewer. */
  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Makes room for a page of so many levels and PLAIN bytes; what a page held is lost. */
  reserve(entries: number, plainBytes: number): void {
    if (entries <= this.entriesMax && plainBytes <= this.plainBytesMax) return;
    this.#layOut(Math.max(entries, this.entriesMax), Math.max(plainBytes, this.plainBytesMax));
  }

  /** Makes the memory reach `bytes` beyond `address`. */
  reach(address: number, bytes: number): void {
    if (!growMemory(this.#memory, address + bytes + SLACK)) return;
    this.bytes = new Uint8Array(this.#memory.buffer);
    this.words = new Int32Array(this.#memory.buffer);
  }

  /** A member of a record. */
  get(record: number, member: number): number {
    return (this.words[(record + member) >> 2] as number) >>> 0;
  }

  /** Sets a member of a record. */
  set(record: number, member: number, value: number): void {
    this.words[(record + member) >> 2] = value;
  }

  #layOut(entries: number, plainBytes: number): void {
    const place = placer(this.#pageStart);
    this.entriesMax = entries;
    this.plainBytesMax = plainBytes;
    this.definitions = place(entries);
    this.repetitions = place(entries);
    this.slots = place(4 * entries);
    this.scratch = place(6 * entries + 16);
    this.indexes = place(4 * entries);
    this.encodedLevelsMax = levelBytesMax(entries);
    this.encodedLevels = place(this.encodedLevelsMax);
    this.plain = place(this.encodedLevelsMax + plainBytes) + this.encodedLevelsMax;
    this.bodyBytesMax = this.encodedLevelsMax + Math.ceil(entries / 8) * 33 + SLACK;
    this.body = place(this.bodyBytesMax);
    const most = Math.max(this.encodedLevelsMax + plainBytes, this.bodyBytesMax);
    this.compressedBytesMax = compressedBytesMax(Math.max(most, this.limits.dictionaryBytes));
    this.compressed = place(this.compressedBytesMax);
    this.staging = place(0);
    this.reach(this.staging, 0);
  }
}

/** The next address that a region may begin at, with slack before it. */
export function behind(address: number, bytes: number): number {
  return Math.ceil((address + bytes + SLACK) / 16) * 16;
}

/** Hands out regions one after the other, 16-byte aligned, each with slack behind it. */
function placer(start: number): (bytes: number) => number {
  let next = Math.ceil(start / 16) * 16;
  return (bytes) => {
    const region = next;
    next = behind(region, bytes);
    return region;
  };
}
