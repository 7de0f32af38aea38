/**
 * The decode kernel's programs for Avro: the steps of each schema, laid out as the kernel reads them. A
 * step that it cannot take is one of the host's, and so is every record that comes to it.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { type ProgramWriter, SLACK, type ValueRoot } from "#decode/kernel/image.ts";
import { KERNEL_OP, SLOT } from "#decode/kernel/layout.ts";
import { innerTypes, recursiveType } from "./fields.ts";
import { AVRO_OP, KERNEL_STEP, PROGRAMS } from "./kernelLayout.ts";
import type { AvroType } from "./schema.ts";
import { STEP, type Step, skipStep, step } from "./steps.ts";

/** Types of one value that the kernel passes over at most. */
const SKIPPED_TYPES_MAX = 2000;
/** Digits that a number of 64 bits holds, whatever they are. */
const DIGITS_MAX = 18;

/** What values of one schema are to the kernel. */
export interface KernelProgram {
  /** Of the schema; anything where values are bare. */
  readonly id: number;
  readonly steps: readonly Step[];
  /** The same of a change that removes its row; null: there is none, or it is the host's. */
  readonly deletes: readonly Step[] | null;
}

/**
 * What values are to the kernel; null: all are the host's.
 * @param programs by schema; one alone where values are bare
 * @param columnCount of a row
 * @param hostMarkers as `ValueRoot` has them
 */
export function avroRoot(
  programs: readonly KernelProgram[],
  isFramed: boolean,
  columnCount: number,
  hostMarkers: readonly Buffer[] = [],
): ValueRoot | null {
  if (programs.length === 0) return null;
  return {
    ignoreUnknown: false,
    hostMarkers,
    write: (writer) => {
      const root = writer.take(PROGRAMS.first + programs.length * PROGRAMS.size);
      writer.set(root + PROGRAMS.count, programs.length);
      writer.set(root + PROGRAMS.framed, isFramed ? 1 : 0);
      for (const [index, { id, steps, deletes }] of programs.entries()) {
        const at = root + PROGRAMS.first + index * PROGRAMS.size;
        writer.copy(at + PROGRAMS.id, Uint8Array.of(id >>> 24, id >>> 16, id >>> 8, id));
        writer.set(at + PROGRAMS.steps, writeSteps(writer, steps));
        writer.set(at + PROGRAMS.stepCount, steps.length);
        writer.set(at + PROGRAMS.whole, isWhole(steps, columnCount) ? 1 : 0);
        if (deletes === null) continue;
        writer.set(at + PROGRAMS.deleteSteps, writeSteps(writer, deletes));
        writer.set(at + PROGRAMS.deleteCount, deletes.length);
      }
      const slot = writer.take(SLOT.size);
      writer.set(slot + SLOT.op, KERNEL_OP.avro);
      writer.set(slot + SLOT.members, root);
      return slot;
    },
  };
}

/** True when each record gives every column a value. */
function isWhole(steps: readonly Step[], columnCount: number): boolean {
  const filled = new Set(steps.flatMap((each) => columnOf(each) ?? []));
  return filled.size === columnCount;
}

/** The column that a step of a row or a struct fills; null: none, or several. */
function columnOf({ op, column }: Step): ColumnBuilder | null {
  const isNone = op === STEP.skip || op === STEP.refuse || op === STEP.group;
  return isNone || column.field.name === "" ? null : column;
}

/** Writes steps one after the other; the address of the first. */
function writeSteps(writer: ProgramWriter, steps: readonly Step[]): number {
  const first = writer.take(Math.max(1, steps.length) * KERNEL_STEP.size);
  for (const [index, each] of steps.entries()) {
    writeStep(writer, each, first + index * KERNEL_STEP.size);
  }
  return first;
}

function writeStep(writer: ProgramWriter, given: Step, at: number): void {
  // What does not fit a column is the host's in any case.
  const each = given.op === STEP.orRescue ? (given.steps[0] as Step) : given;
  const [op, size] = kernelOp(each);
  writer.set(at + KERNEL_STEP.op, op);
  writer.set(at + KERNEL_STEP.sizeOf, size);
  if (op === AVRO_OP.host) return;
  if (columnOf(each) !== null) writer.set(at + KERNEL_STEP.column, writer.addressOf(each.column));
  if (op === AVRO_OP.enum) {
    const words = each.words.flatMap((word) => {
      const from = writer.take(word.length + SLACK);
      writer.copy(from, word);
      return [from, word.length];
    });
    writer.set(at + KERNEL_STEP.words, writer.words(words));
    writer.set(at + KERNEL_STEP.count, each.words.length);
    return;
  }
  const inner = innerSteps(each, op);
  if (inner.length === 0) return;
  writer.set(at + KERNEL_STEP.steps, writeSteps(writer, inner));
  writer.set(at + KERNEL_STEP.count, inner.length);
}

/** The steps inside a step. */
function innerSteps(each: Step, op: number): readonly Step[] {
  if (op === AVRO_OP.record) return withNulls(each);
  return each.op === STEP.skip ? innerTypes(each.type).map(skipStep) : each.steps;
}

/** The steps of a struct, with a null for each member that they leave out. */
function withNulls({ column, steps }: Step): readonly Step[] {
  const filled = new Set(steps.flatMap((each) => columnOf(each) ?? []));
  const missing = column.children.filter((child) => !filled.has(child));
  return [...steps, ...missing.map((child) => step(STEP.null, { column: child }))];
}

/** What the kernel does for a step, and the size that it needs for it. */
function kernelOp(each: Step): readonly [op: number, size: number] {
  const { op, size, type } = each;
  switch (op) {
    case STEP.skip:
      return skipOp(type);
    case STEP.text:
    case STEP.operation:
      return textOp(each);
    case STEP.bytes:
      // A string is text wherever it goes.
      return [type.kind === "bytes" ? AVRO_OP.bytes : AVRO_OP.host, 0];
    case STEP.fixed:
      return fixedOp(each);
    case STEP.long:
      return [type.kind === "int" ? AVRO_OP.intToLong : AVRO_OP.long, 0];
    case STEP.parse:
      return [each.column.field.type.kind === "uuid" ? AVRO_OP.uuid : AVRO_OP.host, 0];
    case STEP.timestamp:
      return size > 0 ? [AVRO_OP.timestamp, size] : [AVRO_OP.host, 0];
    case STEP.eventTime:
      return size > 0 && type.kind === "long" ? [AVRO_OP.timestamp, size] : [AVRO_OP.host, 0];
    case STEP.decimal:
      return decimalOp(each);
    default:
      return [OPS.get(op) ?? AVRO_OP.host, 0];
  }
}

const OPS: ReadonlyMap<number, number> = new Map([
  [STEP.null, AVRO_OP.null],
  [STEP.boolean, AVRO_OP.boolean],
  [STEP.int, AVRO_OP.int],
  [STEP.float, AVRO_OP.float],
  [STEP.double, AVRO_OP.double],
  [STEP.floatToDouble, AVRO_OP.floatToDouble],
  [STEP.enum, AVRO_OP.enum],
  [STEP.date, AVRO_OP.date],
  [STEP.timeMillis, AVRO_OP.timeMillis],
  [STEP.timeMicros, AVRO_OP.timeMicros],
  [STEP.record, AVRO_OP.record],
  [STEP.member, AVRO_OP.record],
  [STEP.group, AVRO_OP.group],
  [STEP.union, AVRO_OP.union],
  [STEP.list, AVRO_OP.list],
  [STEP.map, AVRO_OP.map],
  [STEP.fill, AVRO_OP.fill],
]);

function textOp({ op, type, size }: Step): readonly [op: number, size: number] {
  // Bytes that are no text are a conflict, not a broken value.
  if (type.kind !== "string") return [AVRO_OP.host, 0];
  return op === STEP.text ? [AVRO_OP.text, 0] : [AVRO_OP.operation, size];
}

function fixedOp({ size, column }: Step): readonly [op: number, size: number] {
  const { kind } = column.field.type;
  if (kind === "uuid") return [AVRO_OP.fixed16, size];
  return kind === "binary" ? [AVRO_OP.fixedBytes, size] : [AVRO_OP.host, 0];
}

function decimalOp({ shift, column }: Step): readonly [op: number, size: number] {
  const { type } = column.field;
  if (shift > 0 || type.kind !== "decimal") return [AVRO_OP.host, 0];
  return [AVRO_OP.decimal, type.precision > DIGITS_MAX ? 0 : type.precision];
}

function skipOp(type: AvroType): readonly [op: number, size: number] {
  switch (type.kind) {
    case "null":
      return [AVRO_OP.nothing, 0];
    case "long":
      return [AVRO_OP.skipNumber, 0];
    case "string":
      return [AVRO_OP.skipText, 0];
    case "bytes":
      return [AVRO_OP.skipBytes, 0];
    case "float":
      return [AVRO_OP.skipFixed, 4];
    case "double":
      return [AVRO_OP.skipFixed, 8];
    case "fixed":
      return [AVRO_OP.skipFixed, type.size];
    case "int":
      return [AVRO_OP.skipInt, 0];
    case "boolean":
      return [AVRO_OP.skipBoolean, 0];
    case "enum":
      return [AVRO_OP.skipEnum, type.symbols.length];
    default:
      // Steps in steps without end, and those that multiply, are the host's.
      if (recursiveType(type) !== null || isLarge(type)) return [AVRO_OP.host, 0];
      return [skipOuterOp(type), type.kind === "map" ? 1 : 0];
  }
}

function skipOuterOp({ kind }: AvroType): number {
  if (kind === "record") return AVRO_OP.group;
  return kind === "union" ? AVRO_OP.union : AVRO_OP.skipBlocks;
}

/** True for a type that is made of more types than the kernel's memory is for. */
function isLarge(type: AvroType): boolean {
  let left = SKIPPED_TYPES_MAX;
  const fits = (each: AvroType): boolean => --left >= 0 && innerTypes(each).every(fits);
  return !fits(type);
}
