/**
 * The decode kernel's program for JSON: nodes, slots and keys of one version of a table's schema, laid
 * out as the kernel reads them.
 */
import type { PrimitiveType, Type } from "#columns/schema.ts";
import {
  type ProgramWriter,
  SLACK,
  type UnknownJudge,
  type ValueRoot,
} from "#decode/kernel/image.ts";
import { COLUMN, KERNEL_OP, NODE, SLOT } from "#decode/kernel/layout.ts";
import type { Refusal } from "#decode/refusal.ts";
import { NO_COLUMN, OP, type Slot, type StructNode } from "./program.ts";

/** A key with its quotes, the byte before it and a colon is compared at once when it is not longer. */
const TEXT_MAX = 32;
/** Before a key: the second sixteen bytes of that text, and of its mask. */
const TEXT_REST = 32;
const COLON = 0x3a;

/** What the end of a record is, beside a text that is no document. */
export interface MemberJudge {
  /** False: a value that its column cannot hold is kept elsewhere. */
  readonly refusesMisfits: boolean;
  /** Why a member without a slot refuses its record; null: it does not. */
  unknown(node: StructNode, ...member: Parameters<UnknownJudge>): Refusal | null;
}

/**
 * What JSON documents are to the kernel.
 * @param ignoreUnknown members without a slot are skipped, whatever they hold
 */
export function jsonRoot(root: StructNode, ignoreUnknown: boolean, judge: MemberJudge): ValueRoot {
  return {
    ignoreUnknown,
    write: (program) => rootSlot(program, new NodeWriter(program, new Set(), judge).node(root)),
  };
}

/** What envelopes of changes are to the kernel. */
export interface EnvelopeProgram {
  readonly envelope: StructNode;
  /** What is read of a deleted row; null: nothing. */
  readonly image: StructNode | null;
  /** Nodes whose members without a slot are skipped. */
  readonly open: readonly StructNode[];
  /** The same of the members of a row. */
  readonly ignoreUnknown: boolean;
  /** True when deletes are rows. */
  readonly takesDeletes: boolean;
  /** True: what is called the envelope is the row itself. */
  readonly isBare: boolean;
  readonly hostMarkers: readonly Buffer[];
}

/** What envelopes of changes are to the kernel. */
export function envelopeRoot(envelopes: EnvelopeProgram): ValueRoot {
  const { envelope, image, open, ignoreUnknown, takesDeletes, isBare } = envelopes;
  const inner = envelope.slots.flatMap(({ op, members }) =>
    op === OP.group ? (members ?? []) : [],
  );
  return {
    ignoreUnknown,
    hostMarkers: envelopes.hostMarkers,
    write: (program) => {
      const around = isBare ? [] : [envelope, ...inner];
      const nodes = new NodeWriter(program, new Set([...around, ...open]));
      const slot = rootSlot(program, nodes.node(envelope));
      program.set(slot + SLOT.op, KERNEL_OP.envelope);
      program.set(slot + SLOT.parameter, (takesDeletes ? 1 : 0) + (isBare ? 2 : 0));
      program.set(slot + SLOT.element, image === null ? 0 : nodes.node(image));
      return slot;
    },
  };
}

/** The slot of a document whose members are those of a node. */
function rootSlot(program: ProgramWriter, node: number): number {
  const slot = program.take(SLOT.size);
  program.set(slot + SLOT.op, OP.struct);
  program.set(slot + SLOT.members, node);
  return slot;
}

/**
 * What JSON documents are to the kernel that are Kafka's keys; members without a slot are skipped in them.
 */
export function keyRoot(key: StructNode): ValueRoot {
  const open = new Set([key, ...key.slots.flatMap(({ members }) => members ?? [])]);
  return {
    ignoreUnknown: false,
    write: (program) => rootSlot(program, new NodeWriter(program, open).node(key)),
  };
}

/**
 * The same of documents behind a head in Confluent's wire format.
 * @param ids of the schemas whose values are read; others are the host's
 */
export function framedJsonRoot(json: ValueRoot, ids: readonly number[]): ValueRoot {
  return {
    ...json,
    write: (program) => {
      const slot = program.take(SLOT.size);
      program.set(slot + SLOT.members, json.write(program));
      program.set(slot + SLOT.op, KERNEL_OP.framedJson);
      program.set(slot + SLOT.parameter, ids.length);
      // As they stand in a value: big endian.
      const bytes = new Uint8Array(ids.length * 4 + 4);
      const view = new DataView(bytes.buffer);
      for (const [index, id] of ids.entries()) view.setInt32(index * 4, id);
      const at = program.take(bytes.length);
      program.copy(at, bytes);
      program.set(slot + SLOT.element, at);
      return slot;
    },
  };
}

class NodeWriter {
  private readonly program: ProgramWriter;
  private readonly nodes = new Map<StructNode, number>();

  private readonly open: ReadonlySet<StructNode>;
  private readonly judge: MemberJudge | null;

  /**
   * @param open nodes whose members without a slot are skipped, whatever they hold
   * @param judge null: the host reads what is not taken, and judges it
   */
  constructor(
    program: ProgramWriter,
    open: ReadonlySet<StructNode> = new Set(),
    judge: MemberJudge | null = null,
  ) {
    this.program = program;
    this.open = open;
    this.judge = judge;
  }

  node(node: StructNode): number {
    const { program } = this;
    const known = this.nodes.get(node);
    if (known !== undefined) return known;
    const at = program.take(NODE.size);
    this.nodes.set(node, at);
    const { judge } = this;
    if (judge !== null) program.judgeUnknown(at, (...member) => judge.unknown(node, ...member));
    const slots = program.take(node.slots.length * SLOT.size);
    node.slots.forEach((slot, index) => {
      this.slot(slot, slots + index * SLOT.size);
    });
    program.set(at + NODE.slots, slots);
    program.set(at + NODE.open, this.open.has(node) ? 1 : 0);
    program.set(at + NODE.slotCount, node.slots.length);
    program.set(at + NODE.follow, program.words([...node.slots.map((_, index) => index + 1), 0]));
    program.set(at + NODE.followBefore, program.take((node.slots.length + 1) * 4));
    const table = keyTable(node.slots);
    program.set(at + NODE.table, program.words([...table]));
    program.set(at + NODE.mask, table.length - 1);
    return at;
  }

  private slot(slot: Slot, at: number): void {
    const { program } = this;
    const [op, parameter] = kernelOp(slot);
    program.set(at + SLOT.op, op);
    program.set(at + SLOT.parameter, parameter);
    const hasColumn = slot.column !== NO_COLUMN;
    const column = hasColumn ? program.addressOf(slot.column) : program.take(COLUMN.size);
    program.set(at + SLOT.column, column);
    this.key(slot.key, at);
    if (this.judge?.refusesMisfits === true) program.nameField(at, slot.path);
    if (slot.members !== null) program.set(at + SLOT.members, this.node(slot.members));
    if (slot.element !== null && op === OP.list) {
      const element = program.take(SLOT.size);
      this.slot(slot.element, element);
      program.set(at + SLOT.element, element);
    }
  }

  /** A slot's key, and the text that it usually stands in. */
  private key(bytes: Uint8Array, at: number): void {
    const { program } = this;
    const key = program.take(TEXT_REST + bytes.length + SLACK) + TEXT_REST;
    program.set(at + SLOT.key, key);
    const total = bytes.length + 2;
    if (!isPlainKey(bytes) || total > TEXT_MAX) {
      // A zero is no byte before a quote.
      program.set(at + SLOT.textMask, 0xff);
    } else {
      const text = new Uint8Array(TEXT_MAX);
      text.set(bytes, 1);
      text[total - 1] = COLON;
      const mask = new Uint8Array(TEXT_MAX).fill(0xff, 1, total);
      program.copy(at + SLOT.text, text.subarray(0, 16));
      program.copy(at + SLOT.textMask, mask.subarray(0, 16));
      program.copy(key - TEXT_REST, text.subarray(16));
      program.copy(key - TEXT_REST + 16, mask.subarray(16));
      program.set(at + SLOT.textBytes, total);
    }
    if (!isPlainKey(bytes)) return;
    program.copy(key, bytes);
    program.set(at + SLOT.keyBytes, bytes.length);
  }
}

/** What the kernel does with a slot's values, and its parameter. */
function kernelOp(slot: Slot): readonly [op: number, parameter: number] {
  switch (slot.op) {
    case OP.eventTime:
      if (slot.microsPerUnit > 0) return [KERNEL_OP.epoch, slot.microsPerUnit];
      return slot.isIso ? timestampOp(slot.column.field.type, 5) : [KERNEL_OP.host, 0];
    case OP.text:
      return textOp(slot.column.field.type as PrimitiveType, slot.dropsZone);
    case OP.map:
    case OP.cover:
    case OP.refuse:
      return [KERNEL_OP.host, 0];
    case OP.operation:
      return [slot.op, slot.column === NO_COLUMN ? 0 : 1];
    default:
      return [slot.op, 0];
  }
}

function textOp(type: PrimitiveType, dropsZone: boolean): readonly [op: number, parameter: number] {
  switch (type.kind) {
    case "date":
      return [KERNEL_OP.date, dropsZone ? 1 : 0];
    case "time":
      return [KERNEL_OP.time, 0];
    case "uuid":
      return [KERNEL_OP.uuid, 0];
    case "decimal":
      if (type.precision > 18) return [KERNEL_OP.host, 0];
      return [KERNEL_OP.decimal, type.precision * 256 + type.scale];
    case "timestamp":
    case "timestamp_ns":
      return timestampOp(type, (type.zone ? 1 : 0) + (dropsZone ? 8 : 0));
    default:
      return [KERNEL_OP.host, 0];
  }
}

function timestampOp(type: Type, zone: number): readonly [op: number, parameter: number] {
  return [KERNEL_OP.timestamp, zone + (type.kind === "timestamp_ns" ? 2 : 0)];
}

/** True for a key whose bytes stand in JSON as they are. */
function isPlainKey(key: Uint8Array): boolean {
  return key.subarray(1, -1).every((c) => c >= 0x20 && c !== 0x22 && c !== 0x5c);
}

/** Index + 1 of each plain key's slot by its hash (FNV-1a), open addressing, half empty. */
function keyTable(slots: readonly Slot[]): Uint32Array {
  const size = 2 ** Math.ceil(Math.log2(2 * slots.length + 2));
  const table = new Uint32Array(size);
  for (const [index, { key }] of slots.entries()) {
    if (!isPlainKey(key)) continue;
    let hash = 0x811c9dc5;
    for (const c of key.subarray(1, -1)) hash = Math.imul(hash ^ c, 0x01000193);
    let at = (hash >>> 0) & (size - 1);
    while (table[at] !== 0) at = (at + 1) & (size - 1);
    table[at] = index + 1;
  }
  return table;
}
