/**
 * The SQL engine: one DuckDB, the relations that a statement names as views in it, and answers as text.
 *
 * It lives on one thread and blocks it. Statements are admitted first (`admit.ts`), run in a read-only
 * transaction, and end at their number of rows.
 */
import { fail } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import { type Admitted, admit } from "./admit.ts";
import { borrowPart } from "./borrow.ts";
import { type DataVector, deletedRows } from "./deletedRows.ts";
import type { HotRows } from "./duckdb/hotScan.ts";
import {
  Instance,
  type InstanceOptions,
  type Parameter,
  type StatementType,
  sqlName,
} from "./duckdb/instance.ts";
import type { PartPlace } from "./lend.ts";
import { columnsOfFiles, type ParquetNode } from "./parquetNodes.ts";

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
  /** More text is refused: the sum over all values. */
  readonly bytesMax: number;
}

/** Segments of equal columns, lent until the answer is there. */
export interface LentRows {
  readonly kind: "lent";
  readonly fields: readonly Field[];
  /** The process that has them. */
  readonly pid: number;
  readonly parts: readonly PartPlace[];
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
    hot.begin(run.hot.map(rowsOf));
    try {
      this.#define(run.views);
      this.#instance.execute("BEGIN TRANSACTION READ ONLY");
      try {
        return run.admitted.explain === "" ? this.#select(run) : this.#explain(run);
      } finally {
        this.#instance.execute("ROLLBACK");
      }
    } finally {
      hot.end();
    }
  }

  close(): void {
    this.#instance.close();
  }

  #select(run: Run): Answer {
    const { admitted, parameters, form } = run;
    const isQuery = !/^(?:DESCRIBE|SUMMARIZE|SHOW)\b/.test(admitted.sql);
    const described = isQuery ? admitted.sql : `SELECT * FROM (${admitted.sql})`;
    const columns = this.#instance.rows(
      `SELECT column_name, column_type FROM (DESCRIBE ${described})`,
      parameters,
    );
    const value = form === "json" ? "to_json(COLUMNS(*))" : "COLUMNS(*)";
    const sql = `SELECT ${value}::VARCHAR FROM (${admitted.sql})`;
    const rows = this.#collect(sql, "select", run);
    return {
      columns: columns.map(([name, type]) => ({ name: name ?? "", type: type ?? "" })),
      rows,
    };
  }

  #explain(run: Run): Answer {
    const { admitted, form } = run;
    const rows = this.#collect(admitted.explain + admitted.sql, "explain", run);
    const columns = ["explain_key", "explain_value"].map((name) => ({ name, type: "VARCHAR" }));
    const written = (value: string | null): string | null =>
      form === "json" ? JSON.stringify(value) : value;
    return { columns, rows: rows.map((row) => row.map(written)) };
  }

  #collect(
    sql: string,
    type: StatementType,
    { parameters, rowsMax, bytesMax }: Run,
  ): (string | null)[][] {
    const statement = this.#instance.prepare(sql);
    try {
      if (statement.type !== type)
        throw fail("query", "Only a SELECT, or an EXPLAIN of one, may run");
      const rows: (string | null)[][] = [];
      let bytes = 0;
      for (const chunk of statement.run(parameters)) {
        for (const index of (chunk[0] ?? []).keys()) {
          if (rows.length === rowsMax) {
            throw fail(
              "query",
              `The answer has more than ${rowsMax} rows (server.query_max_rows): add a LIMIT`,
            );
          }
          const row = chunk.map((column) => column[index] ?? null);
          bytes += row.reduce((sum, value) => sum + (value?.length ?? 0), 0);
          if (bytes > bytesMax) {
            throw fail("query", `The answer has more than ${bytesMax} bytes: ask for less`);
          }
          rows.push(row);
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
      this.#instance.execute(`CREATE VIEW ${viewName(schema, name)} AS ${select}`);
      this.#views.push(view);
    }
  }

  #readColumns(paths: readonly string[]): void {
    const found = columnsOfFiles((sql) => this.#instance.rows(sql), paths);
    for (const [file, nodes] of found) this.#nodes.set(file, nodes);
  }
}

function rowsOf(rows: MemoryRows): HotRows {
  if (rows.kind === "deleted") return deletedRows(rows.vectors);
  const { fields, pid, parts } = rows;
  return { fields, parts: parts.map((place) => borrowPart(pid, fields, place)) };
}

function viewName(schema: string, name: string): string {
  return schema === "" ? `main.${sqlName(name)}` : `${sqlName(schema)}.${sqlName(name)}`;
}
