/**
 * WebAssembly put together while the process runs: the instructions that generated readers need, no
 * others. Expressions are the bytes that leave one value on the stack; a body is a sequence of
 * statements, whose branches name the block that they leave.
 */

/** Bytes that leave a value on the stack. */
export type Expr = readonly number[];

/** A block that is open: how many are, with it. */
export type Label = number;

// Instructions that begin with 0xfd are those for sixteen bytes at once.

/** Instructions with two operands. */
const BINARY = {
  "i32.eq": [0x46],
  "i32.ne": [0x47],
  "i32.gt_u": [0x4b],
  "i32.le_u": [0x4d],
  "i32.ge_u": [0x4f],
  "i32.add": [0x6a],
  "i32.sub": [0x6b],
  "i32.and": [0x71],
  "i32.or": [0x72],
  "i32.shl": [0x74],
  "i64.gt_u": [0x56],
  "i64.add": [0x7c],
  "i64.sub": [0x7d],
  "i64.mul": [0x7e],
  "i64.and": [0x83],
  "i64.or": [0x84],
  "i64.xor": [0x85],
  "i64.shl": [0x86],
  "i64.shr_u": [0x88],
  "f64.div": [0xa3],
  "i8x16.eq": [0xfd, 0x23],
  "i8x16.lt_s": [0xfd, 0x25],
  "v128.and": [0xfd, 0x4e],
  "v128.or": [0xfd, 0x50],
  "v128.xor": [0xfd, 0x51],
} as const;

/** Instructions with one operand. */
const UNARY = {
  "i64.eqz": [0x50],
  "i32.ctz": [0x68],
  "i64.ctz": [0x7a],
  "i32.wrap_i64": [0xa7],
  "f64.convert_i64_s": [0xb9],
  "i8x16.splat": [0xfd, 0x0f],
  "v128.any_true": [0xfd, 0x53],
  "i8x16.bitmask": [0xfd, 0x64],
} as const;

const LOAD = {
  u8: [0x2d],
  i32: [0x28],
  i64: [0x29],
  f64: [0x2b],
  v128: [0xfd, 0x00],
} as const;

const STORE = {
  u8: [0x3a],
  i32: [0x36],
  i64: [0x37],
  f64: [0x39],
  v128: [0xfd, 0x0b],
} as const;

const TYPE = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const;
const BLOCK = 0x02;
const LOOP = 0x03;
const END = 0x0b;
const NO_VALUE = 0x40;

/** A constant of 32 bits. */
export function i32(value: number): Expr {
  return [0x41, ...signed(value | 0)];
}

/** Constants of 64 bits: few, and slow to write. */
const longs = new Map<bigint, Expr>();

/** A constant of 64 bits. */
export function i64(value: bigint): Expr {
  const known = longs.get(value);
  if (known !== undefined) return known;
  const made = [0x42, ...signedLong(BigInt.asIntN(64, value))];
  longs.set(value, made);
  return made;
}

/** A constant of sixteen bytes. */
export function v128(bytes: readonly number[]): Expr {
  return [0xfd, 0x0c, ...bytes];
}

/** A local variable or parameter. */
export function get(local: number): Expr {
  return [0x20, local];
}

/** An instruction with one operand. */
export function unary(name: keyof typeof UNARY, value: Expr): Expr {
  return [...value, ...UNARY[name]];
}

/** An instruction with two operands. */
export function binary(name: keyof typeof BINARY, left: Expr, right: Expr): Expr {
  return [...left, ...right, ...BINARY[name]];
}

/** What lies at `address + offset`. */
export function load(type: keyof typeof LOAD, address: Expr, offset = 0): Expr {
  return [...address, ...LOAD[type], 0, ...unsigned(offset)];
}

/** Calls a function. */
export function call(index: number, args: readonly Expr[]): Expr {
  return [...args.flat(), 0x10, ...unsigned(index)];
}

/** The statements of a function. */
export class Body {
  private readonly bytes: number[] = [];
  private depth = 0;

  /** The bytes so far. */
  get length(): number {
    return this.bytes.length;
  }

  /** Sets a local variable. */
  set(local: number, value: Expr): void {
    this.add([...value, 0x21, local]);
  }

  /** Stores a value at `address + offset`. */
  store(type: keyof typeof STORE, address: Expr, offset: number, value: Expr): void {
    this.add([...address, ...value, ...STORE[type], 0, ...unsigned(offset)]);
  }

  /** Opens a block, which `end` closes: who leaves it goes on behind it. */
  open(): Label {
    this.add([BLOCK, NO_VALUE]);
    return ++this.depth;
  }

  /** Closes the block opened last. */
  end(): void {
    this.add([END]);
    this.depth--;
  }

  /** Statements in a block of their own. */
  block(inside: (after: Label) => void): void {
    inside(this.open());
    this.end();
  }

  /** Statements that are done again by a branch to their label. */
  loop(inside: (again: Label) => void): void {
    this.add([LOOP, NO_VALUE]);
    inside(++this.depth);
    this.end();
  }

  /** Leaves a block, or begins a loop again. */
  branch(label: Label): void {
    this.add([0x0c, ...unsigned(this.depth - label)]);
  }

  /** The same where a condition is not zero. */
  branchIf(label: Label, condition: Expr): void {
    this.add([...condition, 0x0d, ...unsigned(this.depth - label)]);
  }

  /** Ends the function. */
  answer(value: Expr): void {
    this.add([...value, 0x0f]);
  }

  /** The whole function, with its local variables. */
  finish(locals: readonly (readonly [type: keyof typeof TYPE, count: number])[]): number[] {
    const groups = locals.map(([type, count]) => [...unsigned(count), TYPE[type]]);
    return [...vector(groups), ...this.bytes, END];
  }

  private add(bytes: readonly number[]): void {
    for (const byte of bytes) this.bytes.push(byte);
  }
}

/**
 * A module of one function, `read`, of three 32-bit parameters and a 32-bit result. It imports
 * `env.memory`, and as function 0 `env.readSlot` of the same type.
 */
export function moduleOf(body: readonly number[]): Uint8Array<ArrayBuffer> {
  const type = [0x60, ...vector([[TYPE.i32], [TYPE.i32], [TYPE.i32]]), ...vector([[TYPE.i32]])];
  const memory = [...name("env"), ...name("memory"), 0x02, 0x00, 0x00];
  const readSlot = [...name("env"), ...name("readSlot"), 0x00, 0x00];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector([type])),
    ...section(2, vector([memory, readSlot])),
    ...section(3, vector([[0]])),
    ...section(7, vector([[...name("read"), 0x00, 1]])),
    ...section(10, vector([[...unsigned(body.length), ...body]])),
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): number[] {
  return vector([...text].map((character) => [character.charCodeAt(0)]));
}

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const low = rest & 0x7f;
    const isLast = rest >> 6 === 0 || rest >> 6 === -1;
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}

function signedLong(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const low = Number(rest & 0x7fn);
    const isLast = rest >> 6n === 0n || rest >> 6n === -1n;
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}
