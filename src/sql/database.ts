/**
 * The SQL engine: one DuckDB, the relations that a statement names as views in it, and answers as text.
 *
 * It lives on one thread and blocks it. Statements are admitted first (`admit.ts`), run in a read-only
 * transaction, and end at their number of rows.
 */
import { describe, fail } from "#base/errors.ts";
import { type LentSegment, readRows } from "#buffer/lease.ts";
import type { Field } from "#columns/schema.ts";
import { type Admitted, admit } from "./admit.ts";
import { type DataVector, deletedRows } from "./deletedRows.ts";
import type { HotRows } from "./duckdb/hotScan.ts";
import {
  Instance,
  type InstanceOptions,
  type Parameter,
  type StatementType,
  sqlName,
  sqlText,
} from "./duckdb/instance.ts";
import { nodesOf, type ParquetNode, type SchemaRow } from "./parquetNodes.ts";

/** Interrupts are 10 ms apart, and a `ROLLBACK` takes a fraction of one. */
const ROLLBACK_TRIES = 20;

/** A view to be made before a statement runs. */
export interface View {
  /** Empty: it is named without a schema. */
  readonly schema: string;
  readonly name: string;
  readonly select: string;
}

/** How values are written. `text`: as DuckDB's shell does. `json`: each value is JSON text. */
export type ValueForm = "text" | "json";

/** A statement that was admitted, and how to answer it. */
export interface Run {
  readonly admitted: Admitted;
  readonly views: readonly View[];
  /** Rows in memory, which views name by number (`HotScan.select`). */
  readonly hot: readonly MemoryRows[];
  readonly parameters: readonly Parameter[];
  readonly form: ValueForm;
  /** More rows are refused. */
  readonly rowsMax: number;
}

/** Segments of equal columns, lent until the answer is there. */
export interface LentRows {
  readonly kind: "lent";
  readonly fields: readonly Field[];
  readonly segments: readonly LentSegment[];
}

/** Rows in memory that a statement reads: those of a table, or which of a table's are deleted. */
export type MemoryRows =
  | LentRows
  | { readonly kind: "deleted"; readonly vectors: readonly DataVector[] };

/** A column of an answer; its type as DuckDB names it. */
export interface AnswerColumn {
  readonly name: string;
  readonly type: string;
}

/** An answer. */
export interface Answer {
  readonly columns: readonly AnswerColumn[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** The engine. */
export class Database {
  readonly #options: InstanceOptions;
  #instance: Instance;
  #folders: readonly string[] = [];
  readonly #nodes = new Map<string, readonly ParquetNode[]>();
  #views: View[] = [];

  /** @throws AppError `query_engine` */
  constructor(options: InstanceOptions) {
    this.#options = options;
    this.#instance = new Instance(options, []);
  }

  /** Address of the connection, for an interrupt from another thread. */
  get connection(): number {
    return this.#instance.connection;
  }

  /** Checks a statement. @throws AppError `query` */
  admit(text: string): Admitted {
    return admit(this.#instance, text);
  }

  /**
   * Lets the engine read files below these folders. Settings are locked once it is open, so for folders
   * that are new it begins again: some 30 ms.
   */
  allow(folders: readonly string[]): void {
    const isAllowed = (folder: string): boolean =>
      this.#folders.some((each) => folder.startsWith(each));
    if (folders.every(isAllowed)) return;
    this.#instance.close();
    this.#folders = folders;
    this.#views = [];
    this.#instance = new Instance(this.#options, folders);
  }

  /** The columns of Parquet files, by path. @throws AppError `query` */
  columnsOfFiles(paths: readonly string[]): ReadonlyMap<string, readonly ParquetNode[]> {
    const unknown = paths.filter((path) => !this.#nodes.has(path));
    if (unknown.length > 0) this.#readColumns(unknown);
    return new Map(paths.map((path) => [path, this.#nodes.get(path) ?? []]));
  }

  /** Runs a statement. @throws AppError `query` */
  run(run: Run): Answer {
    const { hot } = this.#instance;
    // Looked at once: every scan of the statement sees the same rows.
    hot.begin(run.hot.map(rowsOf));
    try {
      this.#define(run.views);
      try {
        this.#instance.execute("BEGIN TRANSACTION READ ONLY");
        return run.admitted.explain === "" ? this.#select(run) : this.#explain(run);
      } finally {
        this.#rollBack();
      }
    } finally {
      hot.end();
    }
  }

  close(): void {
    this.#instance.close();
  }

  /**
   * Ends the transaction, whatever became of it. Interrupts come until there is an answer, so one may meet
   * the `ROLLBACK` itself: the transaction would stay, and every later statement would be refused in it.
   */
  #rollBack(): void {
    for (let tries = 1; ; tries++) {
      try {
        this.#instance.execute("ROLLBACK");
        return;
      } catch (error) {
        if (describe(error).includes("no transaction is active")) return;
        if (tries === ROLLBACK_TRIES) throw error;
      }
    }
  }

  #select({ admitted, parameters, form, rowsMax }: Run): Answer {
    const isQuery = !/^(?:DESCRIBE|SUMMARIZE|SHOW)\b/.test(admitted.sql);
    const described = isQuery ? admitted.sql : `SELECT * FROM (${admitted.sql})`;
    const columns = this.#instance.rows(
      `SELECT column_name, column_type FROM (DESCRIBE ${described})`,
      parameters,
    );
    const value = form === "json" ? "to_json(COLUMNS(*))" : "COLUMNS(*)";
    const sql = `SELECT ${value}::VARCHAR FROM (${admitted.sql})`;
    const rows = this.#collect(sql, parameters, "select", rowsMax);
    return {
      columns: columns.map(([name, type]) => ({ name: name ?? "", type: type ?? "" })),
      rows,
    };
  }

  #explain({ admitted, parameters, form, rowsMax }: Run): Answer {
    const rows = this.#collect(admitted.explain + admitted.sql, parameters, "explain", rowsMax);
    const columns = ["explain_key", "explain_value"].map((name) => ({ name, type: "VARCHAR" }));
    const written = (value: string | null): string | null =>
      form === "json" ? JSON.stringify(value) : value;
    return { columns, rows: rows.map((row) => row.map(written)) };
  }

  #collect(
    sql: string,
    parameters: readonly Parameter[],
    type: StatementType,
    rowsMax: number,
  ): (string | null)[][] {
    const statement = this.#instance.prepare(sql);
    try {
      if (statement.type !== type)
        throw fail("query", "Only a SELECT, or an EXPLAIN of one, may run");
      const rows: (string | null)[][] = [];
      for (const chunk of statement.run(parameters)) {
        for (const index of (chunk[0] ?? []).keys()) {
          if (rows.length === rowsMax) {
            throw fail(
              "query",
              `The answer has more than ${rowsMax} rows (server.query_max_rows): add a LIMIT`,
            );
          }
          rows.push(chunk.map((column) => column[index] ?? null));
        }
      }
      return rows;
    } finally {
      statement.close();
    }
  }

  /** Exactly these views are there: a name of an earlier statement means nothing to the next. */
  #define(views: readonly View[]): void {
    for (const { schema, name } of this.#views) {
      this.#instance.execute(`DROP VIEW IF EXISTS ${viewName(schema, name)}`);
    }
    this.#views = [];
    for (const view of views) {
      const { schema, name, select } = view;
      if (schema !== "") this.#instance.execute(`CREATE SCHEMA IF NOT EXISTS ${sqlName(schema)}`);
      // Known before it is there: an interrupt may come in between.
      this.#views.push(view);
      this.#instance.execute(`CREATE VIEW ${viewName(schema, name)} AS ${select}`);
    }
  }

  #readColumns(paths: readonly string[]): void {
    const rows = this.#instance.rows(
      "SELECT file_name, name, concat_ws(' ', type, logical_type, converted_type), num_children::VARCHAR, field_id::VARCHAR " +
        `FROM parquet_schema([${paths.map(sqlText).join(", ")}])`,
    );
    const byFile = new Map<string, SchemaRow[]>();
    for (const [file, name, type, children, fieldId] of rows) {
      const of = byFile.get(file ?? "") ?? [];
      const id = fieldId === null ? null : Number(fieldId);
      of.push([name ?? "", type ?? "", Number(children ?? 0), id]);
      byFile.set(file ?? "", of);
    }
    for (const [file, of] of byFile) this.#nodes.set(file, nodesOf(of));
  }
}

function rowsOf(rows: MemoryRows): HotRows {
  if (rows.kind === "deleted") return deletedRows(rows.vectors);
  return { fields: rows.fields, parts: rows.segments.map(readRows) };
}

function viewName(schema: string, name: string): string {
  return schema === "" ? `main.${sqlName(name)}` : `${sqlName(schema)}.${sqlName(name)}`;
}
