/**
 * `hot_rows(n)`: a table function over columns in memory. DuckDB asks for 2,048 rows at a time; each
 * answer refers to the columns where they lie, those that the statement uses and no others. They stay there
 * until the part behind the next one is read: DuckDB keeps nothing of a chunk when it asks for another.
 *
 * With one thread, DuckDB calls back on the very thread that asks it: plain callbacks do. They must
 * not throw: what goes wrong is set as the query's error.
 */
import { JSCallback, type Pointer } from "bun:ffi";
import { assert } from "#base/assert.ts";
import { describe, fail } from "#base/errors.ts";
import type { Column } from "#columns/batch.ts";
import { childFields, type Field, isPrimitive } from "#columns/schema.ts";
import { arrowArray, arrowSchema, type Struct } from "./arrow.ts";
import { cText, type Library, Out } from "./symbols.ts";

/** Rows of equal columns, in parts. */
export interface HotRows {
  readonly fields: readonly Field[];
  readonly parts: readonly RowPart[];
}

/** Rows whose columns are asked for when they are scanned. */
export interface RowPart {
  readonly rowCount: number;
  /**
   * Columns by their places, all rows of each.
   * @param room memory for those that have to be copied
   */
  read(columns: readonly number[], room: Room): readonly Column[];
}

/** Memory of one part after the other: what was taken is good until it is emptied. */
export class Room {
  #block = new Uint8Array(0);
  #used = 0;

  /** Bytes that begin at a multiple of 64 of the block; their content is undefined. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const size = Math.ceil(bytes / 64) * 64;
    if (this.#used + size > this.#block.length) {
      // What was taken of the former block stays with those who have it.
      this.#block = new Uint8Array(Math.max(2 * this.#block.length, size, ROOM_BYTES_MIN));
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += size;
    return this.#block.subarray(at, at + bytes);
  }

  empty(): void {
    this.#used = 0;
  }
}

const ROOM_BYTES_MIN = 65_536;

const VECTOR_ROWS = 2048;
const NAME = "hot_rows";
const BIGINT = 5;

/** One scan of a statement: where it is, and what its columns are. */
interface Scan {
  readonly rows: HotRows;
  /** Columns that are asked for, by their place; -1: the row's own number, which nobody looks at. */
  readonly columns: readonly number[];
  readonly schema: Pointer;
  part: number;
  row: number;
  /** Of the part that is scanned; null: not read yet. */
  read: readonly Column[] | null;
  /** Of this part, and of the one before. */
  rooms: [Room, Room];
  chunks: [Chunk[], Chunk[]];
}

/** A chunk of ours, and what it points to. */
interface Chunk {
  readonly chunk: Out;
  readonly struct: Struct;
}

/** The table function of one connection. */
export class HotScan {
  readonly #library: Library;
  readonly #connection: Pointer;
  readonly #callbacks: JSCallback[] = [];
  #relations: readonly HotRows[] = [];
  #scans: Scan[] = [];
  #schemas: { readonly struct: Struct; readonly schema: Out }[] = [];

  constructor(library: Library, connection: Pointer) {
    this.#library = library;
    this.#connection = connection;
    this.#register();
  }

  /** The SELECT of a relation by its number. */
  static select(number: number): string {
    return `${NAME}(${number})`;
  }

  /** What the numbers of the next statement mean. */
  begin(relations: readonly HotRows[]): void {
    this.end();
    this.#relations = relations;
  }

  /** The statement is over: nothing points to the rows any more. */
  end(): void {
    for (const { chunks } of this.#scans) this.#destroy(chunks.flat());
    for (const { schema } of this.#schemas) {
      this.#library.duckdb_destroy_arrow_converted_schema(schema.words);
    }
    this.#schemas = [];
    this.#scans = [];
    this.#relations = [];
  }

  /** After the connection was closed. */
  close(): void {
    for (const callback of this.#callbacks) callback.close();
  }

  #register(): void {
    const api = this.#library;
    const created = api.duckdb_create_table_function();
    const made = new Out();
    made.words[0] = BigInt(created ?? 0);
    const type = new Out();
    type.words[0] = BigInt(api.duckdb_create_logical_type(BIGINT) ?? 0);
    api.duckdb_table_function_set_name(created, cText(NAME));
    api.duckdb_table_function_add_parameter(created, type.address);
    api.duckdb_table_function_supports_projection_pushdown(created, true);
    const callback = (args: "ptr"[], run: (...all: Pointer[]) => void): Pointer | null => {
      const made = new JSCallback(run, { args, returns: "void" });
      this.#callbacks.push(made);
      return made.ptr;
    };
    const told = (run: (info: Pointer) => void, fails: (info: Pointer, text: Buffer) => void) =>
      callback(["ptr"], (info) => {
        try {
          run(info as Pointer);
        } catch (error) {
          fails(info as Pointer, cText(describe(error)));
        }
      });
    api.duckdb_table_function_set_bind(
      created,
      told((info) => this.#bind(info), api.duckdb_bind_set_error),
    );
    api.duckdb_table_function_set_init(
      created,
      told((info) => this.#init(info), api.duckdb_init_set_error),
    );
    const scan = callback(["ptr", "ptr"], (info, out) => {
      try {
        this.#fill(info as Pointer, out as Pointer);
      } catch (error) {
        api.duckdb_function_set_error(info as Pointer, cText(describe(error)));
      }
    });
    api.duckdb_table_function_set_function(created, scan);
    api.duckdb_register_table_function(this.#connection, created);
    api.duckdb_destroy_table_function(made.words);
    api.duckdb_destroy_logical_type(type.words);
  }

  #bind(info: Pointer): void {
    const api = this.#library;
    const value = new Out();
    value.words[0] = BigInt(api.duckdb_bind_get_parameter(info, 0n) ?? 0);
    const number = Number(api.duckdb_get_int64(value.address));
    api.duckdb_destroy_value(value.words);
    const { fields, parts } = this.#relation(number);
    const typed = this.#chunk(this.#schemaOf(fields), fields.map(emptyColumn), 0, 0);
    for (const [index, { name }] of fields.entries()) {
      const vector = api.duckdb_data_chunk_get_vector(typed.chunk.address, BigInt(index));
      const type = new Out();
      type.words[0] = BigInt(api.duckdb_vector_get_column_type(vector) ?? 0);
      api.duckdb_bind_add_result_column(info, cText(name), type.address);
      api.duckdb_destroy_logical_type(type.words);
    }
    this.#destroy([typed]);
    const rows = parts.reduce((sum, { rowCount }) => sum + rowCount, 0);
    api.duckdb_bind_set_cardinality(info, BigInt(rows), true);
    // Its number is its address: nobody follows it.
    api.duckdb_bind_set_bind_data(info, (number + 1) as Pointer, null);
  }

  #init(info: Pointer): void {
    const api = this.#library;
    const rows = this.#relation(Number(api.duckdb_init_get_bind_data(info)) - 1);
    const count = Number(api.duckdb_init_get_column_count(info));
    const columns = Array.from({ length: count }, (_, at) => {
      const index = Number(api.duckdb_init_get_column_index(info, BigInt(at)));
      return index < rows.fields.length ? index : -1;
    });
    const fields = columns.flatMap((index) => rows.fields[index] ?? []);
    this.#scans.push({
      ...{ rows, columns, schema: this.#schemaOf(fields), part: 0, row: 0, read: null },
      rooms: [new Room(), new Room()],
      chunks: [[], []],
    });
    api.duckdb_init_set_max_threads(info, 1n);
    api.duckdb_init_set_init_data(info, this.#scans.length as Pointer, null);
  }

  #fill(info: Pointer, out: Pointer): void {
    const api = this.#library;
    const scan = this.#scans[Number(api.duckdb_function_get_init_data(info)) - 1];
    assert(scan !== undefined, "the scan is of this statement");
    const { parts } = scan.rows;
    while (scan.part < parts.length && scan.row >= (parts[scan.part]?.rowCount ?? 0)) {
      scan.part++;
      scan.row = 0;
      scan.read = null;
    }
    const part = parts[scan.part];
    if (part === undefined) {
      api.duckdb_data_chunk_set_size(out, 0n);
      return;
    }
    const count = Math.min(VECTOR_ROWS, part.rowCount - scan.row);
    if (scan.columns.some((index) => index >= 0)) this.#refer(scan, part, count, out);
    api.duckdb_data_chunk_set_size(out, BigInt(count));
    scan.row += count;
  }

  /** Lets the chunk that DuckDB gave refer to the next rows of a part. */
  #refer(scan: Scan, part: RowPart, count: number, out: Pointer): void {
    const api = this.#library;
    scan.read ??= this.#readPart(scan, part);
    const made = this.#chunk(scan.schema, scan.read, scan.row, count);
    scan.chunks[0].push(made);
    let at = 0;
    for (const [place, index] of scan.columns.entries()) {
      if (index < 0) continue;
      const vector = api.duckdb_data_chunk_get_vector(made.chunk.address, BigInt(at++));
      const into = api.duckdb_data_chunk_get_vector(out, BigInt(place));
      api.duckdb_vector_reference_vector(into, vector);
    }
  }

  /** The columns of a part. What was read before the last one is used again. */
  #readPart(scan: Scan, part: RowPart): readonly Column[] {
    const [last, room] = scan.rooms;
    const [chunks, old] = scan.chunks;
    this.#destroy(old);
    scan.rooms = [room, last];
    scan.chunks = [[], chunks];
    room.empty();
    return part.read(
      scan.columns.filter((index) => index >= 0),
      room,
    );
  }

  #relation(number: number): HotRows {
    const found = this.#relations[number];
    assert(found !== undefined, "the statement has rows of that number");
    return found;
  }

  #schemaOf(fields: readonly Field[]): Pointer {
    const struct = arrowSchema(fields);
    const converted = new Out();
    const error = this.#library.duckdb_schema_from_arrow(
      this.#connection,
      struct.address,
      converted.words,
    );
    this.#check(error);
    this.#schemas.push({ struct, schema: converted });
    return converted.address;
  }

  #chunk(schema: Pointer, columns: readonly Column[], first: number, rows: number): Chunk {
    const struct = arrowArray(columns, first, rows);
    const chunk = new Out();
    const error = this.#library.duckdb_data_chunk_from_arrow(
      this.#connection,
      struct.address,
      schema,
      chunk.words,
    );
    this.#check(error);
    return { chunk, struct };
  }

  #destroy(chunks: readonly Chunk[]): void {
    for (const { chunk } of chunks) this.#library.duckdb_destroy_data_chunk(chunk.words);
  }

  #check(error: Pointer | null): void {
    const api = this.#library;
    if (error === null || !api.duckdb_error_data_has_error(error)) return;
    throw fail("query_engine", String(api.duckdb_error_data_message(error)));
  }
}

/** For the types of a relation without rows. */
function emptyColumn(field: Field): Column {
  const { type } = field;
  const isList = type.kind === "list" || type.kind === "map";
  const hasOffsets = isList || type.kind === "string" || type.kind === "binary";
  return {
    field,
    length: 0,
    nullCount: 0,
    validity: null,
    offsets: hasOffsets ? new Int32Array(1) : null,
    data: isPrimitive(type) ? new Uint8Array(0) : null,
    children: childFields(type).map(emptyColumn),
  };
}
