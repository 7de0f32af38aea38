/**
 * Where values of Thrift's binary protocol end, found without reading them: a message's length while its bytes still
 * come in, and a field that nobody knows.
 */
import { fail } from "#base/errors.ts";

/** What stands before a value for its type. */
export const WIRE = {
  bool: 2,
  i32: 8,
  i64: 10,
  string: 11,
  struct: 12,
  map: 13,
  list: 15,
} as const;
/** Ends a struct. */
export const STOP = 0;
/** Begins a message; its last byte is the kind. */
export const VERSION = 0x8001_0000;
const SET = 14;
const FIXED_BYTES: Readonly<Record<number, number>> = { 2: 1, 3: 1, 4: 8, 6: 2, 8: 4, 10: 8 };
/** Structs within structs; deeper ones are no answer of a metastore. */
const DEPTH_MAX = 64;

/**
 * The length of a message, found without reading it again for each packet: answers null until it is known.
 * Throws `catalog_unreachable` for what is no Thrift.
 */
export class MessageLength {
  readonly #walk: Generator<undefined, number, Buffer>;

  constructor() {
    this.#walk = messageEnd();
    this.#walk.next();
  }

  /** @param bytes all that has come of the message */
  of(bytes: Buffer): number | null {
    const { done, value } = this.#walk.next(bytes);
    return done === true ? value : null;
  }
}

/** Where the value at `at` ends. Throws `catalog_unreachable` for what is none, or is cut off. */
export function valueEnd(bytes: Buffer, at: number, wire: number): number {
  const walk = new Walk(at);
  const steps = walk.value(wire, 0);
  if (steps.next().done !== true && steps.next(bytes).done !== true) throw notThrift();
  return walk.at;
}

/** The error for what is no Thrift. */
export function notThrift(): Error {
  return fail("catalog_unreachable", "What answers is no Hive Metastore: it does not speak Thrift");
}

function* messageEnd(): Generator<undefined, number, Buffer> {
  const walk = new Walk(0);
  const version = yield* walk.int32();
  if (version >>> 16 !== VERSION >>> 16) throw notThrift();
  yield* walk.skip(yield* walk.int32());
  yield* walk.skip(4);
  yield* walk.value(WIRE.struct, 0);
  return walk.at;
}

/** Walks over values, and waits where the bytes end. */
class Walk {
  at: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(at: number) {
    this.at = at;
  }

  *need(end: number): Generator<undefined, void, Buffer> {
    while (this.#bytes.length < end) this.#bytes = yield undefined;
  }

  *skip(count: number): Generator<undefined, void, Buffer> {
    if (count < 0) throw notThrift();
    yield* this.need(this.at + count);
    this.at += count;
  }

  *byte(): Generator<undefined, number, Buffer> {
    yield* this.skip(1);
    return this.#bytes.readUInt8(this.at - 1);
  }

  *int32(): Generator<undefined, number, Buffer> {
    yield* this.skip(4);
    return this.#bytes.readInt32BE(this.at - 4);
  }

  *value(wire: number, depth: number): Generator<undefined, void, Buffer> {
    const fixed = FIXED_BYTES[wire];
    if (fixed !== undefined) yield* this.skip(fixed);
    else if (wire === WIRE.string) yield* this.skip(yield* this.int32());
    else if (depth >= DEPTH_MAX) throw notThrift();
    else if (wire === WIRE.struct) yield* this.struct(depth + 1);
    else if (wire === WIRE.map)
      yield* this.elements([yield* this.byte(), yield* this.byte()], depth);
    else if (wire === WIRE.list || wire === SET) yield* this.elements([yield* this.byte()], depth);
    else throw notThrift();
  }

  *struct(depth: number): Generator<undefined, void, Buffer> {
    for (let inner = yield* this.byte(); inner !== STOP; inner = yield* this.byte()) {
      yield* this.skip(2);
      yield* this.value(inner, depth);
    }
  }

  /** So many times one value of each type. */
  *elements(types: readonly number[], depth: number): Generator<undefined, void, Buffer> {
    for (let left = yield* this.int32(); left > 0; left--) {
      for (const type of types) yield* this.value(type, depth + 1);
    }
  }
}
