/**
 * The SQL engine: one DuckDB, the relations that a statement names as views in it, and answers as text.
 *
 * It lives on one thread and blocks it. Statements are admitted first (`admit.ts`), run in a read-only
 * transaction, and end at their number of rows.
 */
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { Field } from "#columns/schema.ts";
import { type Admitted, admit } from "./admit.ts";
import type { Engine } from "./answer.ts";
import { borrowParts } from "./borrow.ts";
import { type DataVector, deletedRows } from "./deletedRows.ts";
import type { ArrowBatches } from "./duckdb/arrowBatches.ts";
import type { HotRows } from "./duckdb/hotScan.ts";
import { Instance, type InstanceOptions, sqlName } from "./duckdb/instance.ts";
import type { Parameter, Statement, StatementType } from "./duckdb/statement.ts";
import { keyOfFields } from "./hotRows.ts";
import { KeptPlans } from "./keptPlans.ts";
import { columnsOfFiles, type ParquetNode } from "./parquetNodes.ts";
import { selectLog } from "./processRelations.ts";

/** A view to be made before a statement runs. */
export interface View {
  /** Empty: it is named without a schema. */
  readonly schema: string;
  readonly name: string;
  readonly select: string;
}

/** How values are written. `text`: as DuckDB's shell does. `json`: each value is JSON text. `arrow`: as they are. */
export type ValueForm = "text" | "json" | "arrow";

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
  /** Of each segment, the rows that may be read. */
  readonly rowCounts: readonly number[];
  /** Of each segment, the bytes of its columns. */
  readonly byteCounts: readonly number[];
  /** Where its columns lie (`lend.ts`), segment by segment. */
  readonly places: Float64Array;
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

const MEMORY = "SELECT sum(memory_usage_bytes)::VARCHAR FROM duckdb_memory()";
/** A statement and its views, of which a plan is kept. */
const PLANNED_CHARS_MAX = 32_768;

/** The engine. */
export class Database {
  readonly #options: InstanceOptions;
  #instance: Instance;
  #folders: readonly string[] = [];
  #views: readonly View[] = [];
  /** Of the views that are there, and of what they are bound to; null: they are to be made anew. */
  #viewsKey: string | null = null;
  readonly #plans = new KeptPlans();

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
    this.#plans.close();
    this.#instance.close();
    this.#folders = folders;
    this.#views = [];
    this.#viewsKey = null;
    this.#instance = new Instance(this.#options, folders);
  }

  /** The columns of Parquet files, by path: read each time. @throws AppError `query` */
  columnsOfFiles(paths: readonly string[]): ReadonlyMap<string, readonly ParquetNode[]> {
    return columnsOfFiles((sql) => this.#instance.rows(sql), paths);
  }

  /** A SELECT of the entries of a transaction log, which are read on this thread. */
  selectLog(folder: string): Promise<string> {
    return selectLog(folder, { disk: systemDisk, clock: systemClock });
  }

  /** Runs a statement. @throws AppError `query` */
  run(run: Run): Answer {
    return this.#readOnly(run, () =>
      run.admitted.explain === "" ? this.#select(run) : this.#explain(run),
    );
  }

  /** The same engine, whose answers are Arrow streams. */
  get arrow(): Engine<Uint8Array> {
    return {
      admit: (text) => this.admit(text),
      allow: (folders) => this.allow(folders),
      columnsOfFiles: (paths) => this.columnsOfFiles(paths),
      selectLog: (folder) => this.selectLog(folder),
      run: (run) => this.runArrow(run),
    };
  }

  /** Runs a statement whose answer is an Arrow stream. @throws AppError `query` */
  runArrow(run: Run): Uint8Array {
    if (run.admitted.explain !== "") {
      throw fail("query", "EXPLAIN answers a text: ask for JSON or CSV");
    }
    return this.#readOnly(run, () => this.#selectArrow(run));
  }

  /** Does something in a transaction that reads what a statement names. */
  #readOnly<T>(run: Run, action: () => T): T {
    const { hot } = this.#instance;
    hot.begin(run.hot.map(rowsOf));
    try {
      this.#define(run);
      this.#instance.execute("BEGIN TRANSACTION READ ONLY");
      try {
        return action();
      } finally {
        this.#rollBack();
      }
    } finally {
      hot.end();
    }
  }

  /** Where that fails nothing goes any more (`isBroken`), and the statement's own error says why. */
  #rollBack(): void {
    try {
      this.#instance.execute("ROLLBACK");
    } catch (error) {
      if (!this.isBroken) throw error;
    }
  }

  /**
   * A statement has ended DuckDB's database (an allocation within a function failed, a fault of its own): it
   * answers nothing any more.
   */
  get isBroken(): boolean {
    try {
      this.#instance.rows("SELECT 1");
      return false;
    } catch {
      return true;
    }
  }

  close(): void {
    this.#plans.close();
    this.#instance.close();
  }

  /** Names and types of an answer's columns. */
  #describe({ admitted, parameters }: Run): AnswerColumn[] {
    const isQuery = !/^(?:DESCRIBE|SUMMARIZE|SHOW)\b/.test(admitted.sql);
    const described = isQuery ? admitted.sql : `SELECT * FROM (${admitted.sql})`;
    const columns = this.#instance.rows(
      `SELECT column_name, column_type FROM (DESCRIBE ${described})`,
      parameters,
    );
    return columns.map(([name, type]) => ({ name: name ?? "", type: type ?? "" }));
  }

  #selectArrow(run: Run): Uint8Array {
    const { admitted, parameters, rowsMax, bytesMax } = run;
    const columns = this.#describe(run);
    const names = columns.map((_, at) => `c${at}`);
    const values = columns.map(({ type }, at) =>
      AS_TEXT.test(type) ? `c${at}::VARCHAR AS c${at}` : `c${at}`,
    );
    const sql = `SELECT ${values.join(", ")} FROM (${admitted.sql}) t(${names.join(", ")})`;
    const statement = this.#instance.prepare(sql);
    try {
      requireType(statement.type, "select");
      let last: ArrowBatches | null = null;
      for (const batches of statement.runArrow(parameters, uniqueNames(columns), rowsMax)) {
        if (batches.rows > rowsMax) throw tooManyRows(rowsMax);
        if (batches.bytes > bytesMax) throw tooManyBytes(bytesMax);
        last = batches;
      }
      return last?.toBytes() ?? new Uint8Array(0);
    } finally {
      statement.close();
    }
  }

  #select(run: Run): Answer {
    const { admitted, form } = run;
    const value = form === "json" ? "to_json(COLUMNS(*))" : "COLUMNS(*)";
    const sql = `SELECT ${value}::VARCHAR FROM (${admitted.sql})`;
    if (!mayKeep(run)) {
      const columns = this.#describe(run);
      return { columns, rows: this.#collect(sql, "select", run) };
    }
    const key = JSON.stringify([sql, ...run.parameters.map((each) => `${typeof each} ${each}`)]);
    const { columns, statement } = this.#plans.get(key, () => ({
      columns: this.#describe(run),
      statement: this.#instance.prepare(sql),
    }));
    try {
      const rows = collect(statement, "select", run);
      this.#boundPlans();
      return { columns, rows };
    } catch (error) {
      // What it had put together stays with its plan.
      this.#plans.close();
      throw error;
    }
  }

  /** A plan keeps what its last run has put together (sorted rows, tables of joins, lists): all go where that is much. */
  #boundPlans(): void {
    const [row] = this.#instance.rowsOften(MEMORY, []);
    if (Number(row?.[0]) > LIMITS.keptPlansBytesMax) this.#plans.close();
  }

  #explain(run: Run): Answer {
    const { admitted, form } = run;
    const rows = this.#collect(admitted.explain + admitted.sql, "explain", run);
    const columns = ["explain_key", "explain_value"].map((name) => ({ name, type: "VARCHAR" }));
    const written = (value: string | null): string | null =>
      form === "json" ? JSON.stringify(value) : value;
    return { columns, rows: rows.map((row) => row.map(written)) };
  }

  #collect(sql: string, type: StatementType, run: Run): (string | null)[][] {
    const statement = this.#instance.prepare(sql);
    try {
      return collect(statement, type, run);
    } finally {
      statement.close();
    }
  }

  /**
   * Exactly these views are there: a name of an earlier statement means nothing to the next. They stay while the next
   * statement wants the same ones, over columns of the same types: to make them takes longer than most questions.
   */
  #define({ views, hot }: Run): void {
    const key = JSON.stringify([
      views,
      hot.map((rows) => ("fields" in rows ? keyOfFields(rows.fields) : "")),
    ]);
    if (key === this.#viewsKey) return;
    this.#viewsKey = null;
    this.#plans.close();
    for (const { schema, name } of this.#views) {
      this.#instance.execute(`DROP VIEW IF EXISTS ${viewName(schema, name)}`);
    }
    // One that cannot be made leaves those before it.
    this.#views = views;
    for (const { schema, name, select } of views) {
      if (schema !== "") this.#instance.execute(`CREATE SCHEMA IF NOT EXISTS ${sqlName(schema)}`);
      this.#instance.execute(`CREATE VIEW ${viewName(schema, name)} AS ${select}`);
    }
    this.#viewsKey = key;
  }
}

/**
 * A plan is kept for a question that comes again, unless files are read: of those it holds footers, and copies of files in a
 * store change places. Nor of long texts: their constants are in the plan, such as the rows of a listing.
 */
function mayKeep({ admitted, views }: Run): boolean {
  const chars = views.reduce((sum, { select }) => sum + select.length, admitted.sql.length);
  if (!admitted.isTimeless || chars > PLANNED_CHARS_MAX) return false;
  return !views.some(({ select }) => select.includes("read_parquet("));
}

function collect(
  statement: Statement,
  type: StatementType,
  { parameters, rowsMax, bytesMax }: Run,
): (string | null)[][] {
  requireType(statement.type, type);
  const rows: (string | null)[][] = [];
  let bytes = 0;
  for (const chunk of statement.run(parameters, rowsMax)) {
    for (const index of (chunk[0] ?? []).keys()) {
      if (rows.length === rowsMax) throw tooManyRows(rowsMax);
      const row = chunk.map((column) => column[index] ?? null);
      bytes += row.reduce((sum, value) => sum + (value?.length ?? 0), 0);
      if (bytes > bytesMax) throw tooManyBytes(bytesMax);
      rows.push(row);
    }
  }
  return rows;
}

/** Types that few readers of Arrow know, or none: these travel as texts. */
const AS_TEXT = /\b(?:ENUM|INTERVAL|UNION|BIT|BIGNUM|VARIANT|TIME WITH TIME ZONE|TIMETZ|TIME_NS)\b/;

/** Columns of one name are `x`, `x_1`, ...: readers of Arrow find columns by their names. */
function uniqueNames(columns: readonly AnswerColumn[]): string[] {
  const taken = new Set<string>();
  return columns.map(({ name }) => {
    let unique = name;
    for (let number = 1; taken.has(unique); number++) unique = `${name}_${number}`;
    taken.add(unique);
    return unique;
  });
}

function requireType(type: StatementType, wanted: StatementType): void {
  if (type !== wanted) throw fail("query", "Only a SELECT, or an EXPLAIN of one, may run");
}

function tooManyRows(rowsMax: number): Error {
  const sentence = `The answer has more than ${rowsMax} rows (server.query_max_rows): add a LIMIT`;
  return fail("query", sentence);
}

function tooManyBytes(bytesMax: number): Error {
  return fail("query", `The answer has more than ${bytesMax} bytes: ask for less`);
}

function rowsOf(rows: MemoryRows): HotRows {
  if (rows.kind === "deleted") return deletedRows(rows.vectors);
  return { fields: rows.fields, parts: borrowParts(rows) };
}

function viewName(schema: string, name: string): string {
  return schema === "" ? `main.${sqlName(name)}` : `${sqlName(schema)}.${sqlName(name)}`;
}
