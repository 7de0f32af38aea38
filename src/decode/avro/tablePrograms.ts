/**
 * The programs of one segment's columns, each made when a value of its schema comes first.
 */
import { AppError, describe } from "#base/errors.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import type { Growth } from "#decode/decoder.ts";
import type { TableSchema } from "#decode/format.ts";
import type { ValueRoot } from "#decode/kernel/image.ts";
import { HEAD_BYTES, schemaIdOf } from "#decode/registry/wire.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { avroRoot } from "./kernelProgram.ts";
import { compileProgram, type Program } from "./program.ts";
import type { Found, Programs } from "./reader.ts";
import type { AvroRecord } from "./schema.ts";
import { STEP } from "./steps.ts";
import type { ProgramOptions } from "./unplaced.ts";

/** A writer's schema, or why its values cannot be rows. */
export type Writer =
  | { readonly kind: "record"; readonly id: number; readonly record: AvroRecord }
  | { readonly kind: "refused"; readonly reason: RejectReason; readonly path: string };

/** What programs are made from, beside their columns. */
export interface ProgramContext {
  readonly table: TableSchema;
  readonly settings: ProgramOptions;
  /** Ids of schemas that the table has answered; grows. */
  readonly answered: Set<number>;
  /** The schema of an id; undefined: the registry has none. */
  readonly find: (id: number) => Writer | undefined;
  /** False: values are bare, and all of one schema, whose id is -1. */
  readonly isFramed: boolean;
}

/** Schemas whose values the kernel reads: the last ones that were needed. */
export const KERNEL_SCHEMAS_MAX = 64;

/** The programs of one segment's columns, by schema. */
export class TablePrograms implements Programs {
  private readonly columns: readonly ColumnBuilder[];
  private readonly context: ProgramContext;
  private readonly headBytes: number;
  private readonly byId = new Map<number, Found>();
  private last: Found | null = null;
  private lastId = -2;

  /** @param isPart values are parts of others, which begin without a head */
  constructor(columns: readonly ColumnBuilder[], context: ProgramContext, isPart = false) {
    this.columns = columns;
    this.context = context;
    this.headBytes = context.isFramed && !isPart ? HEAD_BYTES : 0;
  }

  get root(): ValueRoot | null {
    const programs = [...this.byId].flatMap(([id, found]) => {
      const program = kernelsProgram(found);
      return program === null ? [] : [{ id, steps: program.steps, deletes: null }];
    });
    const last = programs.slice(-KERNEL_SCHEMAS_MAX);
    return avroRoot(last, this.context.isFramed, this.columns.length);
  }

  compileAll(ids: readonly number[]): void {
    for (const id of ids.slice(-KERNEL_SCHEMAS_MAX)) this.ofId(id);
  }

  find(bytes: Uint8Array, start: number, end: number): Found {
    const { isFramed } = this.context;
    const id = isFramed ? schemaIdOf(bytes, start, end) : -1;
    if (id < 0 && isFramed) return NO_ID;
    if (id === this.lastId && this.last !== null) return this.last;
    this.last = this.ofId(id);
    this.lastId = id;
    return this.last;
  }

  /** What values of a schema are read by. */
  ofId(id: number): Found {
    const known = this.byId.get(id);
    if (known !== undefined) return known;
    const found = this.compile(id);
    this.byId.set(id, found);
    return found;
  }

  private compile(id: number): Found {
    const { table, settings, find } = this.context;
    const writer = find(id);
    if (writer === undefined)
      return { kind: "refused", reason: "unknown_schema", path: String(id) };
    if (writer.kind === "refused") return writer;
    try {
      const program = compileProgram(writer.record, this.columns, table, settings);
      const growth = this.growthOf(id, writer.record, program);
      return { kind: "program", program, head: this.headBytes, growth };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { kind: "refused", reason: "bad_schema", path: describe(error) };
    }
  }

  private growthOf(id: number, { name }: AvroRecord, program: Program): Growth | null {
    const { differences, fitting } = program;
    const { answered, isFramed } = this.context;
    // A file's schema has been held against the table when it was opened.
    if (differences.length === 0 || answered.has(id) || !isFramed) return null;
    const settled = (): void => void answered.add(id);
    return { by: `Schema ${id} (${name})`, fields: fitting, differences, settled };
  }
}

/** The program by which the kernel may read values: nothing about them is to be asked or learned; null: none. */
export function kernelsProgram(found: Found): Program | null {
  if (found.kind === "refused" || found.growth !== null) return null;
  const { program } = found;
  const hasDefaults = program.ends.some(({ op }) => op === STEP.constant);
  return program.learnable || hasDefaults ? null : program;
}

const NO_ID: Found = { kind: "refused", reason: "no_schema_id", path: "" };
