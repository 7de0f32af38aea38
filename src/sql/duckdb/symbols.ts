/**
 * The only door to DuckDB's C API (`duckdb.h`, 1.5), through `bun:ffi`: no Node-API module, so that one
 * shared library is all that the executable has to carry.
 *
 * Handles are addresses. Every call blocks its thread, and nothing here interrupts one: a process that has
 * more to do leaves them to another (`sql/engineProcess.ts`).
 */
import {
  type CString,
  dlopen,
  type FFIFunction,
  type FFITypeOrString,
  type Pointer,
} from "bun:ffi";
import { fail } from "#base/errors.ts";

/** An address, or memory whose address is meant. */
type Address = Pointer | NodeJS.TypedArray | null;

/** The functions that are used, as `duckdb.h` has them. */
export interface Library {
  readonly duckdb_library_version: () => CString | null;
  readonly duckdb_create_config: (a: Address) => number;
  readonly duckdb_set_config: (a: Address, b: Address, c: Address) => number;
  readonly duckdb_destroy_config: (a: Address) => void;
  readonly duckdb_open_ext: (a: Address, b: Address, c: Address, d: Address) => number;
  readonly duckdb_close: (a: Address) => void;
  readonly duckdb_connect: (a: Address, b: Address) => number;
  readonly duckdb_disconnect: (a: Address) => void;
  readonly duckdb_free: (a: Address) => void;
  readonly duckdb_query: (a: Address, b: Address, c: Address) => number;
  readonly duckdb_result_error: (a: Address) => CString | null;
  readonly duckdb_destroy_result: (a: Address) => void;
  readonly duckdb_column_count: (a: Address) => bigint;
  readonly duckdb_column_name: (a: Address, b: bigint) => CString | null;
  readonly duckdb_fetch_chunk: (...result: (bigint | Uint8Array)[]) => Pointer | null;
  readonly duckdb_destroy_data_chunk: (a: Address) => void;
  readonly duckdb_data_chunk_get_size: (a: Address) => bigint;
  readonly duckdb_data_chunk_get_vector: (a: Address, b: bigint) => Pointer | null;
  readonly duckdb_vector_get_data: (a: Address) => Pointer | null;
  readonly duckdb_vector_get_validity: (a: Address) => Pointer | null;
  readonly duckdb_extract_statements: (a: Address, b: Address, c: Address) => bigint;
  readonly duckdb_extract_statements_error: (a: Address) => CString | null;
  readonly duckdb_destroy_extracted: (a: Address) => void;
  readonly duckdb_prepare_extracted_statement: (
    a: Address,
    b: Address,
    c: bigint,
    d: Address,
  ) => number;
  readonly duckdb_prepare_error: (a: Address) => CString | null;
  readonly duckdb_destroy_prepare: (a: Address) => void;
  readonly duckdb_prepared_statement_type: (a: Address) => number;
  readonly duckdb_nparams: (a: Address) => bigint;
  readonly duckdb_bind_null: (a: Address, b: bigint) => number;
  readonly duckdb_bind_boolean: (a: Address, b: bigint, c: boolean) => number;
  readonly duckdb_bind_double: (a: Address, b: bigint, c: number) => number;
  readonly duckdb_bind_int64: (a: Address, b: bigint, c: bigint) => number;
  readonly duckdb_bind_varchar_length: (a: Address, b: bigint, c: Address, d: bigint) => number;
  readonly duckdb_pending_prepared_streaming: (a: Address, b: Address) => number;
  readonly duckdb_pending_execute_task: (a: Address) => number;
  readonly duckdb_pending_error: (a: Address) => CString | null;
  readonly duckdb_execute_pending: (a: Address, b: Address) => number;
  readonly duckdb_destroy_pending: (a: Address) => void;
  readonly duckdb_result_get_arrow_options: (a: Address) => Pointer | null;
  readonly duckdb_destroy_arrow_options: (a: Address) => void;
  readonly duckdb_column_logical_type: (a: Address, b: bigint) => Pointer | null;
  readonly duckdb_to_arrow_schema: (
    a: Address,
    b: Address,
    c: Address,
    d: bigint,
    e: Address,
  ) => Pointer | null;
  readonly duckdb_data_chunk_to_arrow: (a: Address, b: Address, c: Address) => Pointer | null;
  readonly duckdb_schema_from_arrow: (a: Address, b: Address, c: Address) => Pointer | null;
  readonly duckdb_data_chunk_from_arrow: (
    a: Address,
    b: Address,
    c: Address,
    d: Address,
  ) => Pointer | null;
  readonly duckdb_destroy_arrow_converted_schema: (a: Address) => void;
  readonly duckdb_error_data_has_error: (a: Address) => boolean;
  readonly duckdb_error_data_message: (a: Address) => CString | null;
  readonly duckdb_data_chunk_set_size: (a: Address, b: bigint) => void;
  readonly duckdb_vector_reference_vector: (a: Address, b: Address) => void;
  readonly duckdb_vector_get_column_type: (a: Address) => Pointer | null;
  readonly duckdb_create_table_function: () => Pointer | null;
  readonly duckdb_destroy_table_function: (a: Address) => void;
  readonly duckdb_table_function_set_name: (a: Address, b: Address) => void;
  readonly duckdb_table_function_add_parameter: (a: Address, b: Address) => void;
  readonly duckdb_table_function_set_bind: (a: Address, b: Address) => void;
  readonly duckdb_table_function_set_init: (a: Address, b: Address) => void;
  readonly duckdb_table_function_set_function: (a: Address, b: Address) => void;
  readonly duckdb_table_function_supports_projection_pushdown: (a: Address, b: boolean) => void;
  readonly duckdb_register_table_function: (a: Address, b: Address) => number;
  readonly duckdb_create_logical_type: (a: number) => Pointer | null;
  readonly duckdb_destroy_logical_type: (a: Address) => void;
  readonly duckdb_bind_get_parameter: (a: Address, b: bigint) => Pointer | null;
  readonly duckdb_get_int64: (a: Address) => bigint;
  readonly duckdb_destroy_value: (a: Address) => void;
  readonly duckdb_bind_add_result_column: (a: Address, b: Address, c: Address) => void;
  readonly duckdb_bind_set_cardinality: (a: Address, b: bigint, c: boolean) => void;
  readonly duckdb_bind_set_bind_data: (a: Address, b: Address, c: Address) => void;
  readonly duckdb_bind_set_error: (a: Address, b: Address) => void;
  readonly duckdb_init_get_bind_data: (a: Address) => Pointer | null;
  readonly duckdb_init_get_column_count: (a: Address) => bigint;
  readonly duckdb_init_get_column_index: (a: Address, b: bigint) => bigint;
  readonly duckdb_init_set_max_threads: (a: Address, b: bigint) => void;
  readonly duckdb_init_set_init_data: (a: Address, b: Address, c: Address) => void;
  readonly duckdb_init_set_error: (a: Address, b: Address) => void;
  readonly duckdb_function_get_init_data: (a: Address) => Pointer | null;
  readonly duckdb_function_set_error: (a: Address, b: Address) => void;
}

/**
 * `duckdb_fetch_chunk` takes its result, six words, by value. System V on x86-64 lays it on the stack
 * behind the six register arguments, which are padding here; AArch64 passes its address.
 */
const RESULT_BY_VALUE: readonly FFITypeOrString[] =
  process.arch === "arm64" ? ["ptr"] : Array<"u64">(12).fill("u64");

const SYMBOLS: Readonly<Record<keyof Library, FFIFunction>> = {
  duckdb_library_version: { args: [], returns: "cstring" },
  duckdb_create_config: { args: ["ptr"], returns: "i32" },
  duckdb_set_config: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  duckdb_destroy_config: { args: ["ptr"], returns: "void" },
  duckdb_open_ext: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  duckdb_close: { args: ["ptr"], returns: "void" },
  duckdb_connect: { args: ["ptr", "ptr"], returns: "i32" },
  duckdb_disconnect: { args: ["ptr"], returns: "void" },
  duckdb_free: { args: ["ptr"], returns: "void" },
  duckdb_query: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  duckdb_result_error: { args: ["ptr"], returns: "cstring" },
  duckdb_destroy_result: { args: ["ptr"], returns: "void" },
  duckdb_column_count: { args: ["ptr"], returns: "u64" },
  duckdb_column_name: { args: ["ptr", "u64"], returns: "cstring" },
  duckdb_fetch_chunk: { args: RESULT_BY_VALUE, returns: "ptr" },
  duckdb_destroy_data_chunk: { args: ["ptr"], returns: "void" },
  duckdb_data_chunk_get_size: { args: ["ptr"], returns: "u64" },
  duckdb_data_chunk_get_vector: { args: ["ptr", "u64"], returns: "ptr" },
  duckdb_vector_get_data: { args: ["ptr"], returns: "ptr" },
  duckdb_vector_get_validity: { args: ["ptr"], returns: "ptr" },
  duckdb_extract_statements: { args: ["ptr", "ptr", "ptr"], returns: "u64" },
  duckdb_extract_statements_error: { args: ["ptr"], returns: "cstring" },
  duckdb_destroy_extracted: { args: ["ptr"], returns: "void" },
  duckdb_prepare_extracted_statement: { args: ["ptr", "ptr", "u64", "ptr"], returns: "i32" },
  duckdb_prepare_error: { args: ["ptr"], returns: "cstring" },
  duckdb_destroy_prepare: { args: ["ptr"], returns: "void" },
  duckdb_prepared_statement_type: { args: ["ptr"], returns: "i32" },
  duckdb_nparams: { args: ["ptr"], returns: "u64" },
  duckdb_bind_null: { args: ["ptr", "u64"], returns: "i32" },
  duckdb_bind_boolean: { args: ["ptr", "u64", "bool"], returns: "i32" },
  duckdb_bind_double: { args: ["ptr", "u64", "f64"], returns: "i32" },
  duckdb_bind_int64: { args: ["ptr", "u64", "i64"], returns: "i32" },
  duckdb_bind_varchar_length: { args: ["ptr", "u64", "ptr", "u64"], returns: "i32" },
  duckdb_pending_prepared_streaming: { args: ["ptr", "ptr"], returns: "i32" },
  duckdb_pending_execute_task: { args: ["ptr"], returns: "i32" },
  duckdb_pending_error: { args: ["ptr"], returns: "cstring" },
  duckdb_execute_pending: { args: ["ptr", "ptr"], returns: "i32" },
  duckdb_destroy_pending: { args: ["ptr"], returns: "void" },
  duckdb_result_get_arrow_options: { args: ["ptr"], returns: "ptr" },
  duckdb_destroy_arrow_options: { args: ["ptr"], returns: "void" },
  duckdb_column_logical_type: { args: ["ptr", "u64"], returns: "ptr" },
  duckdb_to_arrow_schema: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "ptr" },
  duckdb_data_chunk_to_arrow: { args: ["ptr", "ptr", "ptr"], returns: "ptr" },
  duckdb_schema_from_arrow: { args: ["ptr", "ptr", "ptr"], returns: "ptr" },
  duckdb_data_chunk_from_arrow: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "ptr" },
  duckdb_destroy_arrow_converted_schema: { args: ["ptr"], returns: "void" },
  duckdb_error_data_has_error: { args: ["ptr"], returns: "bool" },
  duckdb_error_data_message: { args: ["ptr"], returns: "cstring" },
  duckdb_data_chunk_set_size: { args: ["ptr", "u64"], returns: "void" },
  duckdb_vector_reference_vector: { args: ["ptr", "ptr"], returns: "void" },
  duckdb_vector_get_column_type: { args: ["ptr"], returns: "ptr" },
  duckdb_create_table_function: { args: [], returns: "ptr" },
  duckdb_destroy_table_function: { args: ["ptr"], returns: "void" },
  duckdb_table_function_set_name: { args: ["ptr", "ptr"], returns: "void" },
  duckdb_table_function_add_parameter: { args: ["ptr", "ptr"], returns: "void" },
  duckdb_table_function_set_bind: { args: ["ptr", "ptr"], returns: "void" },
  duckdb_table_function_set_init: { args: ["ptr", "ptr"], returns: "void" },
  duckdb_table_function_set_function: { args: ["ptr", "ptr"], returns: "void" },
  duckdb_table_function_supports_projection_pushdown: { args: ["ptr", "bool"], returns: "void" },
  duckdb_register_table_function: { args: ["ptr", "ptr"], returns: "i32" },
  duckdb_create_logical_type: { args: ["i32"], returns: "ptr" },
  duckdb_destroy_logical_type: { args: ["ptr"], returns: "void" },
  duckdb_bind_get_parameter: { args: ["ptr", "u64"], returns: "ptr" },
  duckdb_get_int64: { args: ["ptr"], returns: "i64" },
  duckdb_destroy_value: { args: ["ptr"], returns: "void" },
  duckdb_bind_add_result_column: { args: ["ptr", "ptr", "ptr"], returns: "void" },
  duckdb_bind_set_cardinality: { args: ["ptr", "u64", "bool"], returns: "void" },
  duckdb_bind_set_bind_data: { args: ["ptr", "ptr", "ptr"], returns: "void" },
  duckdb_bind_set_error: { args: ["ptr", "ptr"], returns: "void" },
  duckdb_init_get_bind_data: { args: ["ptr"], returns: "ptr" },
  duckdb_init_get_column_count: { args: ["ptr"], returns: "u64" },
  duckdb_init_get_column_index: { args: ["ptr", "u64"], returns: "u64" },
  duckdb_init_set_max_threads: { args: ["ptr", "u64"], returns: "void" },
  duckdb_init_set_init_data: { args: ["ptr", "ptr", "ptr"], returns: "void" },
  duckdb_init_set_error: { args: ["ptr", "ptr"], returns: "void" },
  duckdb_function_get_init_data: { args: ["ptr"], returns: "ptr" },
  duckdb_function_set_error: { args: ["ptr", "ptr"], returns: "void" },
};

/**
 * Loads the shared library.
 * @param path absolute
 * @throws AppError `query_engine` when the system refuses it
 */
export function loadLibrary(path: string): Library {
  try {
    return dlopen(path, SYMBOLS).symbols as unknown as Library;
  } catch (error) {
    throw fail("query_engine", `DuckDB cannot be loaded from ${path}`, { path }, error);
  }
}

/** Text with a final zero, as C wants it; keep it until the call has returned. */
export function cText(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

/** A word in which a call stores an address. */
export class Out {
  readonly words: BigUint64Array = new BigUint64Array(1);

  get address(): Pointer {
    return Number(this.words[0]) as Pointer;
  }
}
