/**
 * Changes in Avro: where the parts of one lie, and what it is to the kernel (SPEC section 6, `mode =
 * "cdc"`). Debezium's envelope is a record with the rows as its members `before` and `after`, as
 * Confluent's converter writes it.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { FoundParts } from "#decode/registry/foundParts.ts";
import { HEAD_BYTES } from "#decode/registry/wire.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { AvroBytes } from "./bytes.ts";
import { valueBranches } from "./fields.ts";
import type { KernelProgram } from "./kernelProgram.ts";
import type { Program } from "./program.ts";
import type { AvroField, AvroRecord, AvroType } from "./schema.ts";
import { STEP, type Step, skipStep, step } from "./steps.ts";

/** What the members of a writer's record are to a change. */
export interface ChangeSchema {
  readonly id: number;
  readonly record: AvroRecord;
  /** The row after a change, and the one before it: the record itself where that is a bare row. */
  readonly after: AvroRecord;
  readonly before: AvroRecord;
  readonly source: AvroRecord | null;
  /** The member that says what was done. */
  readonly operation: string;
}

/**
 * The parts that a record's schema has.
 * @param opField the member of a bare row that says what was done; null: rows come in envelopes
 * @returns null: values of the schema are no changes
 */
export function changeSchema(
  id: number,
  record: AvroRecord,
  opField: string | null,
): ChangeSchema | null {
  if (opField !== null) {
    return { id, record, after: record, before: record, source: null, operation: opField };
  }
  const part = (name: string): AvroRecord | null => {
    const type = record.fields.find((field) => field.name === name)?.type;
    const [only, ...others] = type === undefined ? [] : valueBranches(type);
    return only?.kind === "record" && others.length === 0 ? only : null;
  };
  const after = part("after");
  const hasOperation = record.fields.some(({ name }) => name === "op");
  if (after === null || !hasOperation) return null;
  const before = part("before") ?? after;
  return { id, record, after, before, source: part("source"), operation: "op" };
}

/** A schema, or why its values are no changes. */
export type ChangeFound =
  | { readonly kind: "change"; readonly schema: ChangeSchema }
  | { readonly kind: "refused"; readonly reason: RejectReason; readonly path: string };

/** The parts of one change after the other. */
export class AvroChangeParts extends FoundParts {
  /** The schema of the change found last. */
  schema: ChangeSchema | null = null;
  readonly #find: (bytes: Uint8Array, start: number, end: number) => ChangeFound;
  readonly #input = new AvroBytes();

  /** @param find the schema of a value */
  constructor(find: (bytes: Uint8Array, start: number, end: number) => ChangeFound) {
    super();
    this.#find = find;
  }

  find(bytes: Uint8Array, start: number, end: number): boolean {
    const found = this.#find(bytes, start, end);
    if (found.kind === "refused") return this.refuse(found.reason, found.path);
    const { schema } = found;
    this.schema = schema;
    this.begin("");
    const input = this.#input;
    const from = start + HEAD_BYTES;
    input.start(bytes, from, end);
    for (const { name, type } of schema.record.fields) {
      if (!this.#member(name, type, schema)) return this.refuse(input.failed ?? "bad_avro");
    }
    if (input.at !== end) return this.refuse("bad_avro");
    const isBare = schema.after === schema.record;
    return this.end(isBare ? { start: from, end } : null, schema.operation);
  }

  /** Passes over a member, and notes it where it is a part. */
  #member(name: string, type: AvroType, schema: ChangeSchema): boolean {
    const input = this.#input;
    if (type.kind === "union") {
      if (!input.long()) return false;
      if (!input.isBelow(type.branches.length)) return input.fail("bad_avro");
      return this.#member(name, type.branches[input.low] as AvroType, schema);
    }
    const from = input.at;
    if (!input.skip(type, 0)) return false;
    if (name === schema.operation) this.operation = textOf(type, input.bytes, from, input.at);
    else if (type.kind === "record" && (name === "before" || name === "after" || name === "source"))
      this[name] = { start: from, end: input.at };
    return true;
  }
}

/** A word that was passed over; "": it is none. */
function textOf(type: AvroType, bytes: Uint8Array, from: number, end: number): string {
  const value = new AvroBytes();
  value.start(bytes, from, end);
  switch (type.kind) {
    case "string": {
      const size = value.sized();
      return Buffer.from(bytes.buffer, bytes.byteOffset + end - size, size).toString();
    }
    case "boolean":
      return String(bytes[from] === 1);
    case "enum":
      return value.int() ? (type.symbols[value.low] ?? "") : "";
    default:
      return "";
  }
}

/** What the parts of a change of one schema become. */
export interface ChangePrograms {
  readonly row: Program;
  readonly source: Program | null;
  /** What is read of a deleted row; null: nothing, it is found by the Kafka key. */
  readonly image: Program | null;
}

/**
 * The steps of changes of a schema.
 * @param column of what was done; null: there is none
 * @param takesDeletes false: they are the host's
 */
export function changeSteps(
  schema: ChangeSchema,
  { row, source, image }: ChangePrograms,
  column: ColumnBuilder | null,
  takesDeletes: boolean,
): KernelProgram {
  const { id, record } = schema;
  const steps = (program: Program | null, isDelete: boolean): Step[] =>
    record.fields.map((field, index) => {
      if (field.name === schema.operation) return operationStep(field.type, column, isDelete);
      // A bare row is its own image: each of its fields has its step.
      if (schema.after === record) return program?.steps[index] ?? skipStep(field.type);
      return memberStep(field, { source, [isDelete ? "before" : "after"]: program });
    });
  return { id, steps: steps(row, false), deletes: takesDeletes ? steps(image, true) : null };
}

/** The step of a member of an envelope, by the programs of those that are read. */
function memberStep(
  { name, type }: AvroField,
  parts: Readonly<Record<string, Program | null>>,
): Step {
  const program = parts[name] ?? null;
  // Without a row a change puts none, and with one it removes none.
  if (program === null)
    return name === "after" ? wrapped(type, () => REFUSED, NOTHING) : skipStep(type);
  const ofNull = name === "source" ? NOTHING : REFUSED;
  return wrapped(type, () => step(STEP.group, { steps: program.steps }), ofNull);
}

function operationStep(type: AvroType, column: ColumnBuilder | null, isDelete: boolean): Step {
  const more = { size: isDelete ? 1 : 0, ...(column === null ? {} : { column }) };
  return wrapped(type, (branch) => step(STEP.operation, { ...more, type: branch }), REFUSED);
}

const NOTHING = step(STEP.skip);
/** A change that is not like this. */
const REFUSED = step(STEP.refuse);

/** A step of a value that may stand in a union with null. */
function wrapped(type: AvroType, value: (branch: AvroType) => Step, ofNull: Step): Step {
  if (type.kind === "null") return ofNull;
  if (type.kind !== "union") return value(type);
  const steps = type.branches.map((branch) => wrapped(branch, value, ofNull));
  return step(STEP.union, { steps, type });
}
