/**
 * One DuckDB in memory, for one thread: no file, network, extension or setting can be reached from a
 * statement, except files in the folders that it was opened with.
 *
 * Values cross as text: DuckDB itself writes them (`sql/output.ts` says how), so that every type, of
 * any version, looks as it does in DuckDB's own shell.
 */
import { CString, type Pointer, ptr, toArrayBuffer } from "bun:ffi";
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import {
  ARROW_ARRAY_BYTES,
  ARROW_SCHEMA_BYTES,
  ArrowBatches,
  releaseArrow,
} from "./arrowBatches.ts";
import { HotScan } from "./hotScan.ts";
import { oneLine } from "./messages.ts";
import { stringAt } from "./stringAt.ts";
import { cText, type Library, loadLibrary, Out } from "./symbols.ts";

/** A value for a `?` of a statement. */
export type Parameter = string | number | bigint | boolean | null;

/** What a statement is, as DuckDB classifies it before anything runs. */
export type StatementType = "select" | "explain" | "other";

/** Settings of an instance. */
export interface InstanceOptions {
  /** Path of the shared library. */
  readonly library: string;
  readonly memoryBytesMax: number;
  /** Folder for what does not fit into memory. Default: a statement that needs more fails. */
  readonly spillFolder?: string;
  /** What that folder may take. Default: nine tenths of what is free on its disk. */
  readonly spillBytesMax?: number;
  /** True: a join goes through its left side row by row, so that these keep their order. Default: as the engine likes. */
  readonly keepsOrder?: boolean;
}

/** A statement's answer, chunk by chunk: each column's values as text, null where there is none. */
export type TextChunk = readonly (readonly (string | null)[])[];

const STRUCT_BYTES = 64;
const RESULT_WORDS = 6;
const SHOWN_SQL_MAX = 200;
const TYPE_SELECT = 1;
const TYPE_EXPLAIN = 4;

/** An open instance with one connection. */
export class Instance {
  readonly #library: Library;
  readonly #database = new Out();
  readonly #connection = new Out();
  /** Rows in memory that statements may name. */
  readonly hot: HotScan;
  /** Statements of ours without tables, prepared once. */
  readonly #often = new Map<string, Statement>();

  /**
   * @param folders whose files, at any depth, `read_parquet` may read
   * @throws AppError `query_engine`
   */
  constructor(options: InstanceOptions, folders: readonly string[]) {
    const { library, memoryBytesMax, spillFolder = "", spillBytesMax } = options;
    const api = loadLibrary(library);
    this.#library = api;
    const config = new Out();
    api.duckdb_create_config(config.words);
    const settings = { threads: "1", memory_limit: `${Math.floor(memoryBytesMax / 1e6)}MB` };
    for (const [name, value] of Object.entries(settings)) {
      api.duckdb_set_config(config.address, cText(name), cText(value));
    }
    const message = new Out();
    const code = api.duckdb_open_ext(
      cText(":memory:"),
      this.#database.words,
      config.address,
      message.words,
    );
    api.duckdb_destroy_config(config.words);
    if (code !== 0)
      throw fail("query_engine", `DuckDB does not start: ${new CString(message.address)}`);
    assert(api.duckdb_connect(this.#database.address, this.#connection.words) === 0, "it connects");
    this.hot = new HotScan(api, this.#connection.address);
    // In this order: without external access no folder can be set any more.
    this.execute(`SET temp_directory = ${sqlText(spillFolder)}`);
    if (spillBytesMax !== undefined) {
      this.execute(`SET max_temp_directory_size = '${Math.floor(spillBytesMax / 1e6)}MB'`);
    }
    this.execute("SET autoinstall_known_extensions = false");
    this.execute("SET autoload_known_extensions = false");
    this.execute("SET TimeZone = 'UTC'");
    // It keeps bytes of files by their names: a sparse copy gets more columns later (fileCopies.ts).
    this.execute("SET enable_external_file_cache = false");
    if (options.keepsOrder === true) {
      this.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'");
    }
    this.execute(`SET allowed_directories = [${folders.map(sqlText).join(", ")}]`);
    this.execute("SET enable_external_access = false");
    this.execute("SET lock_configuration = true");
  }

  /** Runs a statement of ours whose answer does not matter. */
  execute(sql: string): void {
    const result = new Uint8Array(STRUCT_BYTES);
    const code = this.#library.duckdb_query(this.#connection.address, cText(sql), result);
    const problem = code === 0 ? null : String(this.#library.duckdb_result_error(result));
    this.#library.duckdb_destroy_result(result);
    // A statement may name thousands of files.
    const begin = sql.slice(0, SHOWN_SQL_MAX);
    if (problem !== null) throw fail("query_engine", `DuckDB refuses ${begin}: ${problem}`);
  }

  /** Prepares a text that has to be exactly one statement. @throws AppError `query` */
  prepare(sql: string): Statement {
    const api = this.#library;
    const extracted = new Out();
    try {
      const connection = this.#connection.address;
      const count = api.duckdb_extract_statements(connection, cText(sql), extracted.words);
      if (Number(count) !== 1) {
        const problem = String(api.duckdb_extract_statements_error(extracted.address));
        throw fail("query", problem === "" ? "One statement at a time" : oneLine(problem));
      }
      const prepared = new Out();
      const code = api.duckdb_prepare_extracted_statement(
        connection,
        extracted.address,
        0n,
        prepared.words,
      );
      if (code === 0) return new Statement(api, prepared);
      const problem = String(api.duckdb_prepare_error(prepared.address));
      api.duckdb_destroy_prepare(prepared.words);
      throw fail("query", oneLine(problem));
    } finally {
      api.duckdb_destroy_extracted(extracted.words);
    }
  }

  /** All rows of a statement of ours, as text. */
  rows(sql: string, parameters: readonly Parameter[] = []): (string | null)[][] {
    const statement = this.prepare(sql);
    try {
      return statement.rows(parameters);
    } finally {
      statement.close();
    }
  }

  /** The same, of a statement that names no table and stays prepared: one of a few. */
  rowsOften(sql: string, parameters: readonly Parameter[]): (string | null)[][] {
    const statement = this.#often.get(sql) ?? this.prepare(sql);
    this.#often.set(sql, statement);
    return statement.rows(parameters);
  }

  close(): void {
    for (const statement of this.#often.values()) statement.close();
    this.#library.duckdb_disconnect(this.#connection.words);
    this.#library.duckdb_close(this.#database.words);
    this.hot.close();
  }
}

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
  readonly #prepared: Out;

  constructor(library: Library, prepared: Out) {
    this.#library = library;
    this.#prepared = prepared;
  }

  get type(): StatementType {
    const type = this.#library.duckdb_prepared_statement_type(this.#prepared.address);
    if (type === TYPE_SELECT) return "select";
    return type === TYPE_EXPLAIN ? "explain" : "other";
  }

  /**
   * Runs it; every column has to be VARCHAR or JSON.
   * @throws AppError `query` with DuckDB's own sentence
   */
  *run(parameters: readonly Parameter[]): Generator<TextChunk> {
    for (const { chunk, columns } of this.#chunks(parameters)) {
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
  *runArrow(parameters: readonly Parameter[], names: readonly string[]): Generator<ArrowBatches> {
    const api = this.#library;
    let batches: ArrowBatches | null = null;
    const options = new Out();
    try {
      for (const { result, chunk } of this.#chunks(parameters)) {
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
      for (const { result, chunk } of this.#chunks([])) {
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
    for (const type of types) api.duckdb_destroy_logical_type(new BigUint64Array([type]));
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

  /** First that it runs, then the chunks of the answer, each gone when the next is asked for. */
  *#chunks(parameters: readonly Parameter[]): Generator<Chunk> {
    const api = this.#library;
    this.#bind(parameters);
    const words = new BigUint64Array(STRUCT_BYTES / 8);
    const result = new Uint8Array(words.buffer);
    try {
      const prepared = this.#prepared.address;
      if (api.duckdb_execute_prepared_streaming(prepared, result) !== 0)
        throw this.#failure(result);
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

/** A text of a statement: `'it''s'`. */
export function sqlText(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** A name of a statement: `"a ""b"""`. */
export function sqlName(value: string): string {
  return `"${value.replaceAll('"', '""')}"`;
}
