/**
 * One DuckDB in memory, for one thread: no file, network, extension or setting can be reached from a
 * statement, except files in the folders that it was opened with.
 *
 * Values cross as text: DuckDB itself writes them (`sql/output.ts` says how), so that every type, of
 * any version, looks as it does in DuckDB's own shell.
 */
import { CString } from "bun:ffi";
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { HotScan } from "./hotScan.ts";
import { oneLine } from "./messages.ts";
import { type Parameter, RESULT_BYTES, Statement } from "./statement.ts";
import { cText, type Library, loadLibrary, Out } from "./symbols.ts";

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

const SHOWN_SQL_MAX = 200;

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
    const result = new Uint8Array(RESULT_BYTES);
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
      if (code === 0) return new Statement(api, prepared, sql, (other) => this.prepare(other));
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

/** A text of a statement: `'it''s'`. */
export function sqlText(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** A name of a statement: `"a ""b"""`. */
export function sqlName(value: string): string {
  return `"${value.replaceAll('"', '""')}"`;
}
