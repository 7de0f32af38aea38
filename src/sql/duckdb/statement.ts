/**
 * Statements of DuckDB, prepared: they run as streams, chunk by chunk, as texts, as Arrow arrays, or as rows of ours.
 */
import { type Pointer, ptr, toArrayBuffer } from "bun:ffi";
import { fail } from "#base/errors.ts";
import {
  ARROW_ARRAY_BYTES,
  ARROW_SCHEMA_BYTES,
  ArrowBatches,
  releaseArrow,
} from "./arrowBatches.ts";
import { oneLine } from "./messages.ts";
import { stringAt } from "./stringAt.ts";
import { cText, type Library, Out } from "./symbols.ts";

/** A value for a `?` of a statement. */
export type Parameter = string | number | bigint | boolean | null;

/** What a statement is, as DuckDB classifies it before anything runs. */
export type StatementType = "select" | "explain" | "other";

/** A statement's answer, chunk by chunk: each column's values as text, null where there is none. */
export type TextChunk = readonly (readonly (string | null)[])[];

/** Bytes of a result, of which so many words are passed by value. */
export const RESULT_BYTES = 64;
const RESULT_WORDS = 6;
const TYPE_SELECT = 1;
const TYPE_EXPLAIN = 4;
/** What `duckdb_pending_execute_task` answers; else there is nothing to do, with one thread for good. */
const PENDING_READY = 0;
const PENDING_BUSY = 1;
const PENDING_FAILED = 2;

/** A chunk of a running answer. */
interface Chunk {
  readonly result: Uint8Array;
  /** Null: it only runs. */
  readonly chunk: Pointer | null;
  readonly columns: number;
}

/** A prepared statement; to be closed. */
export class Statement {
  readonly #library: Library;
  /** Empty when it was closed: what is asked then prepares it again. */
  #prepared: Out;
  readonly #sql: string;
  readonly #prepare: (sql: string) => Statement;

  /**
   * @param sql its text
   * @param prepare another one
   */
  constructor(library: Library, prepared: Out, sql: string, prepare: (sql: string) => Statement) {
    this.#library = library;
    this.#prepared = prepared;
    this.#sql = sql;
    this.#prepare = prepare;
  }

  get type(): StatementType {
    const type = this.#library.duckdb_prepared_statement_type(this.#prepared.address);
    if (type === TYPE_SELECT) return "select";
    return type === TYPE_EXPLAIN ? "explain" : "other";
  }

  /**
   * Runs it; every column has to be VARCHAR or JSON.
   * @param rowsMax nobody asks for more, but for one. Default: for all
   * @throws AppError `query` with DuckDB's own sentence
   */
  *run(parameters: readonly Parameter[], rowsMax: number = Infinity): Generator<TextChunk> {
    for (const { chunk, columns } of this.#chunks(parameters, rowsMax)) {
      if (chunk === null) continue;
      yield Array.from({ length: columns }, (_, column) => this.#texts(chunk, column));
    }
  }

  /** Runs it: all rows. Throws as `run`. */
  rows(parameters: readonly Parameter[]): (string | null)[][] {
    return [...this.run(parameters)].flatMap((chunk) =>
      (chunk[0] ?? []).map((_, at) => chunk.map((column) => column[at] ?? null)),
    );
  }

  /**
   * Runs it; after each chunk what has come so far.
   * @param names of the columns
   * @throws AppError as `run`
   */
  *runArrow(
    parameters: readonly Parameter[],
    names: readonly string[],
    rowsMax: number,
  ): Generator<ArrowBatches> {
    const api = this.#library;
    let batches: ArrowBatches | null = null;
    const options = new Out();
    try {
      for (const { result, chunk } of this.#chunks(parameters, rowsMax)) {
        if (batches === null) {
          options.words[0] = BigInt(api.duckdb_result_get_arrow_options(result) ?? 0);
          batches = this.#arrowSchema(result, options.address, names);
        }
        if (chunk !== null) this.#addArrow(batches, options.address, chunk);
        yield batches;
      }
    } finally {
      if (batches !== null) api.duckdb_destroy_arrow_options(options.words);
    }
  }

  /** Runs it: each chunk of the answer as an `ArrowArray`, gone when the next is asked for. Throws as `run`. */
  *runArrays(): Generator<Pointer> {
    const api = this.#library;
    const options = new Out();
    try {
      for (const { result, chunk } of this.#chunks([], Infinity)) {
        if (chunk === null) {
          options.words[0] = BigInt(api.duckdb_result_get_arrow_options(result) ?? 0);
          continue;
        }
        const array = this.#arrowArray(options.address, chunk);
        try {
          yield ptr(array);
        } finally {
          releaseArrow(ptr(array), "array");
        }
      }
    } finally {
      if (options.words[0] !== 0n) api.duckdb_destroy_arrow_options(options.words);
    }
  }

  #arrowSchema(result: Uint8Array, options: Pointer, names: readonly string[]): ArrowBatches {
    const api = this.#library;
    const types = BigUint64Array.from(names, (_, at) =>
      BigInt(api.duckdb_column_logical_type(result, BigInt(at)) ?? 0),
    );
    const texts = names.map(cText);
    const pointers = BigUint64Array.from(texts, (text) => BigInt(ptr(text)));
    const schema = new Uint8Array(ARROW_SCHEMA_BYTES);
    const count = BigInt(names.length);
    this.#check(api.duckdb_to_arrow_schema(options, types, pointers, count, schema));
    types.forEach((type) => {
      api.duckdb_destroy_logical_type(new BigUint64Array([type]));
    });
    try {
      return new ArrowBatches(ptr(schema));
    } finally {
      releaseArrow(ptr(schema), "schema");
    }
  }

  #addArrow(batches: ArrowBatches, options: Pointer, chunk: Pointer): void {
    const array = this.#arrowArray(options, chunk);
    try {
      batches.add(ptr(array));
    } finally {
      releaseArrow(ptr(array), "array");
    }
  }

  #arrowArray(options: Pointer, chunk: Pointer): Uint8Array {
    const array = new Uint8Array(ARROW_ARRAY_BYTES);
    this.#check(this.#library.duckdb_data_chunk_to_arrow(options, chunk, array));
    return array;
  }

  #check(error: Pointer | null): void {
    const api = this.#library;
    if (error === null || !api.duckdb_error_data_has_error(error)) return;
    throw fail("query", oneLine(String(api.duckdb_error_data_message(error))));
  }

  /**
   * Begins to run it, as a stream.
   * @returns false when it would wait for itself for good: its buffer is full, and parts of the statement that have not begun
   *   wait for the part that fills it (decision 0479)
   */
  #begin(result: Uint8Array): boolean {
    const api = this.#library;
    const pending = new Out();
    try {
      api.duckdb_pending_prepared_streaming(this.#prepared.address, pending.words);
      let state = PENDING_BUSY;
      while (state === PENDING_BUSY) state = api.duckdb_pending_execute_task(pending.address);
      if (state === PENDING_FAILED)
        throw fail("query", oneLine(String(api.duckdb_pending_error(pending.address))));
      if (state !== PENDING_READY) return false;
      if (api.duckdb_execute_pending(pending.address, result) !== 0) throw this.#failure(result);
      return true;
    } finally {
      api.duckdb_destroy_pending(pending.words);
    }
  }

  /** Runs it once more, whole, in the memory that the engine has, and answers from there. */
  *#whole(parameters: readonly Parameter[], rowsMax: number): Generator<Chunk> {
    // It keeps what its first run has built: both would have to fit.
    this.close();
    const limit = Number.isFinite(rowsMax) ? ` LIMIT ${rowsMax + 1}` : "";
    const rows = `SELECT * FROM (${this.#sql}\n)${limit}`;
    const whole = this.#prepare(`WITH answer AS MATERIALIZED (${rows}) FROM answer`);
    try {
      yield* whole.#chunks(parameters, rowsMax);
    } finally {
      whole.close();
    }
  }

  /** First that it runs, then the chunks of the answer, each gone when the next is asked for. */
  *#chunks(parameters: readonly Parameter[], rowsMax: number): Generator<Chunk> {
    const api = this.#library;
    if (this.#prepared.words[0] === 0n) this.#prepared = this.#prepare(this.#sql).#prepared;
    this.#bind(parameters);
    const words = new BigUint64Array(RESULT_BYTES / 8);
    const result = new Uint8Array(words.buffer);
    try {
      if (!this.#begin(result)) {
        yield* this.#whole(parameters, rowsMax);
        return;
      }
      const columns = Number(api.duckdb_column_count(result));
      yield { result, chunk: null, columns };
      for (;;) {
        const chunk = this.#fetch(words, result);
        if (chunk === null) break;
        const held = new Out();
        held.words[0] = BigInt(chunk);
        try {
          yield { result, chunk, columns };
        } finally {
          api.duckdb_destroy_data_chunk(held.words);
        }
      }
      // A stream that fails on its way ends like one that is over.
      const problem = api.duckdb_result_error(result);
      if (problem !== null && String(problem) !== "") throw this.#failure(result);
    } finally {
      api.duckdb_destroy_result(result);
    }
  }

  close(): void {
    this.#library.duckdb_destroy_prepare(this.#prepared.words);
  }

  #failure(result: Uint8Array): Error {
    return fail("query", oneLine(String(this.#library.duckdb_result_error(result))));
  }

  /** The next chunk of a result, which is passed by value. */
  #fetch(words: BigUint64Array, result: Uint8Array): Pointer | null {
    const { duckdb_fetch_chunk: fetch } = this.#library;
    if (process.arch === "arm64") return fetch(result);
    return fetch(0n, 0n, 0n, 0n, 0n, 0n, ...words.subarray(0, RESULT_WORDS));
  }

  #texts(chunk: Pointer, column: number): (string | null)[] {
    const api = this.#library;
    const rows = Number(api.duckdb_data_chunk_get_size(chunk));
    const vector = api.duckdb_data_chunk_get_vector(chunk, BigInt(column));
    if (rows === 0 || vector === null) return [];
    const data = api.duckdb_vector_get_data(vector);
    if (data === null) return Array(rows).fill(null);
    const valid = api.duckdb_vector_get_validity(vector);
    const words =
      valid === null ? null : new Uint32Array(toArrayBuffer(valid, 0, Math.ceil(rows / 64) * 8));
    const view = new DataView(toArrayBuffer(data, 0, rows * 16));
    const texts: (string | null)[] = [];
    for (let row = 0; row < rows; row++) {
      const isNull = words !== null && (((words[row >> 5] as number) >>> (row & 31)) & 1) === 0;
      texts.push(isNull ? null : stringAt(view, 16 * row));
    }
    return texts;
  }

  #bind(parameters: readonly Parameter[]): void {
    const api = this.#library;
    const prepared = this.#prepared.address;
    const wanted = Number(api.duckdb_nparams(prepared));
    if (wanted !== parameters.length) {
      throw fail("query", `The statement has ${wanted} parameters, ${parameters.length} are given`);
    }
    for (const [index, value] of parameters.entries()) {
      const at = BigInt(index + 1);
      if (value === null) api.duckdb_bind_null(prepared, at);
      else if (typeof value === "boolean") api.duckdb_bind_boolean(prepared, at, value);
      else if (typeof value === "bigint") api.duckdb_bind_int64(prepared, at, value);
      else if (typeof value === "string") {
        const bytes = Buffer.from(value);
        // An empty buffer has no address.
        api.duckdb_bind_varchar_length(prepared, at, cText(value), BigInt(bytes.length));
      } else if (Number.isSafeInteger(value)) api.duckdb_bind_int64(prepared, at, BigInt(value));
      else api.duckdb_bind_double(prepared, at, value);
    }
  }
}
