/**
 * Statements nobody thought of: trees of SQL over every function that the engine has, and hostile ones cut into
 * tokens and put together anew. Repeatable by seed.
 */
import type { Random } from "#base/random.ts";
import { HOSTILE } from "./hostileSql.ts";

/** A function of the engine; types as DuckDB writes them. */
export interface Signature {
  readonly name: string;
  readonly parameters: readonly string[];
}

/** Functions of the engine, by what they are. */
export interface Functions {
  readonly scalar: readonly Signature[];
  readonly aggregate: readonly Signature[];
  readonly table: readonly Signature[];
}

/** Values of a type, as most functions want them: a statement of which any part has a wrong type does nothing. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  VARCHAR: [
    "'x'",
    "'CANARY'",
    "'/etc/passwd'",
    "'CANARY_SECRET'",
    "'%Y'",
    "'day'",
    "'memory_limit'",
    "repeat('ab', 9)",
  ],
  BIGINT: ["1", "0", "-7", "9223372036854775807", "50000000"],
  INTEGER: ["1", "0", "-7", "2147483647"],
  DOUBLE: ["1e308", "0.5", "'NaN'::DOUBLE"],
  BOOLEAN: ["true", "false"],
  DATE: ["DATE '2026-01-01'"],
  TIMESTAMP: ["TIMESTAMP '1900-01-01 00:00:00'"],
  "TIMESTAMP WITH TIME ZONE": ["now()"],
  TIME: ["TIME '01:02:03'"],
  INTERVAL: ["INTERVAL 3 MONTHS"],
  BLOB: ["'a'::BLOB"],
  BIT: ["'101'::BIT"],
  JSON: ["'[1]'::JSON"],
  HUGEINT: ["170141183460469231731687303715884105727"],
  UUID: ["uuid()"],
};

const CONSTANTS = [
  ...[
    "NULL",
    "true",
    "0",
    "1",
    "-1",
    "3",
    "9223372036854775807",
    "170141183460469231731687303715884105727",
  ],
  ...[
    "1e308",
    "-0.0",
    "'NaN'::DOUBLE",
    "0.1::DECIMAL(38, 20)",
    "''",
    "'x'",
    "'%s%n'",
    "'{\"a\": [1]}'",
    "'\\0'",
  ],
  ...[
    "'CANARY'",
    "'TARGET'",
    "'URL/x.csv'",
    "'CANARY_SECRET'",
    "'/etc/passwd'",
    "'SELECT * FROM read_text(''CANARY'')'",
  ],
  ...[
    "DATE '2026-01-01'",
    "TIMESTAMP '1900-01-01 00:00:00'",
    "INTERVAL 3 MONTHS",
    "'a'::BLOB",
    "'101'::BIT",
    "uuid()",
  ],
  ...[
    "[1, 2]",
    "['CANARY']",
    "{'a': 1}",
    "MAP {'k': 1}",
    "[]",
    "[[NULL]]",
    "1::UTINYINT",
    "'1'::JSON",
    "'memory_limit'",
  ],
];
const TYPES = [
  "BIGINT",
  "VARCHAR",
  "DOUBLE",
  "BLOB",
  "DATE",
  "JSON",
  "INTEGER[]",
  "UUID",
  "DECIMAL(9, 2)",
  "BIT",
];
const OPERATORS = [
  "+",
  "-",
  "*",
  "/",
  "%",
  "||",
  "=",
  "<",
  "AND",
  "IS DISTINCT FROM",
  "LIKE",
  "SIMILAR TO",
  "->",
  "//",
  "<<",
];

/** Writes statements. */
export class Statements {
  readonly #random: Random;
  readonly #functions: Functions;

  constructor(random: Random, functions: Functions) {
    this.#random = random;
    this.#functions = functions;
  }

  next(): string {
    return this.#below(3) === 0
      ? this.#spliced()
      : `${this.#prefix()}${this.#select(this.#below(4))}`;
  }

  #below(bound: number): number {
    return Math.floor(this.#random.unit() * bound);
  }

  #oneOf<T>(values: readonly T[]): T {
    return values[this.#below(values.length)] as T;
  }

  /** Mostly with what the function takes. */
  #call({ name, parameters }: Signature, depth: number): string {
    const isAny = this.#below(8) === 0;
    const values = isAny
      ? Array.from({ length: this.#below(5) }, () => this.#value(depth - 1))
      : parameters.map((type) => this.#typed(type, depth - 1));
    return `${quoted(name)}(${values.join(", ")})`;
  }

  #typed(type: string, depth: number): string {
    if (type.endsWith("[]")) return `[${this.#typed(type.slice(0, -2), depth)}]`;
    const values = VALUES[type];
    if (values === undefined) return this.#value(depth);
    return depth > 0 && this.#below(3) === 0
      ? `TRY_CAST(${this.#value(depth)} AS ${type})`
      : this.#oneOf(values);
  }

  #prefix(): string {
    return this.#oneOf(["", "", "", "", "EXPLAIN ", "EXPLAIN ANALYZE ", "DESCRIBE ", "SUMMARIZE "]);
  }

  #select(depth: number): string {
    const value = (): string => this.#value(depth);
    const parts = [
      this.#oneOf(["", "", "", `WITH c AS (${depth > 0 ? this.#select(depth - 1) : "SELECT 1"}) `]),
      `SELECT ${this.#oneOf(["", "", "DISTINCT "])}${value()} AS a${this.#below(2) === 0 ? `, ${value()} AS b` : ""}`,
      this.#below(9) === 0 ? "" : ` FROM ${this.#relation(depth)}`,
      this.#below(3) === 0 ? ` WHERE ${value()}` : "",
      this.#below(6) === 0 ? ` GROUP BY ${this.#oneOf(["ALL", "1", "CUBE (1)", value()])}` : "",
      this.#below(8) === 0 ? ` QUALIFY row_number() OVER (ORDER BY ${value()}) = 1` : "",
      this.#below(6) === 0 ? ` ORDER BY ${value()}` : "",
      this.#below(4) === 0 ? ` LIMIT ${this.#oneOf(["1", "0", "10%", value()])}` : "",
    ];
    const one = parts.join("");
    if (depth === 0 || this.#below(8) !== 0) return one;
    const operator = this.#oneOf(["UNION ALL", "UNION", "EXCEPT", "INTERSECT ALL"]);
    return `(${one}) ${operator} (${this.#select(depth - 1)})`;
  }

  #relation(depth: number): string {
    const inner = (): string => this.#relation(depth - 1);
    if (depth > 0) {
      switch (this.#below(9)) {
        case 0:
          return `(${this.#select(depth - 1)}) s`;
        case 1:
          return `${inner()}, LATERAL (${this.#select(depth - 1)}) l`;
        case 2:
          return `${inner()} ${this.#oneOf(["LEFT", "FULL", "SEMI", "ASOF", "POSITIONAL"])} JOIN ${inner()}${this.#oneOf(["", " ON true", " USING (x)"])}`;
        case 3:
          return `(PIVOT (${this.#select(depth - 1)}) ON a USING count(*))`;
        case 4:
          return `(UNPIVOT (${this.#select(depth - 1)}) ON a)`;
      }
    }
    const call = this.#call(this.#oneOf(this.#functions.table), depth);
    return this.#oneOf([
      "t",
      "t",
      "t",
      `"t$files"`,
      "sync_points",
      "c",
      "'CANARY'",
      "main.t",
      "range(9) r(x)",
      call,
      call,
    ]);
  }

  #value(depth: number): string {
    const value = (): string => this.#value(depth - 1);
    if (depth <= 0) return this.#oneOf(CONSTANTS);
    switch (this.#below(12)) {
      case 0:
        return `(${value()} ${this.#oneOf(OPERATORS)} ${value()})`;
      case 1:
        return `CASE WHEN ${value()} THEN ${value()} ELSE ${value()} END`;
      case 2:
        return `${this.#oneOf(["CAST", "TRY_CAST"])}(${value()} AS ${this.#oneOf(TYPES)})`;
      case 3:
        return `(${this.#select(depth - 1)})`;
      case 4:
        return `[${value()} FOR y IN [1, x] IF ${value()}]`;
      case 5:
        return `list_transform([${value()}], lambda y: ${value()})`;
      case 6:
        return `${this.#call(this.#oneOf(this.#functions.aggregate), depth)}${this.#oneOf(["", " FILTER (WHERE true)", " OVER ()"])}`;
      case 7:
        return `COLUMNS(${value()})`;
      default:
        return this.#call(this.#oneOf(this.#functions.scalar), depth);
    }
  }

  /** Two hostile statements, in pieces. */
  #spliced(): string {
    const tokens = (): string[] =>
      this.#oneOf(HOSTILE)[0].match(/'[^']*'|"[^"]*"|\w+|\s+|./gs) ?? [];
    const [first, second] = [tokens(), tokens()];
    const all = [
      ...first.slice(0, this.#below(first.length + 1)),
      " ",
      ...second.slice(this.#below(second.length)),
    ];
    for (let change = this.#below(4); change > 0; change--) {
      const at = this.#below(all.length);
      const value = this.#oneOf([
        "",
        "(",
        ")",
        ",",
        ";",
        "--\n",
        "/**/",
        "'",
        '"',
        "\0",
        "SELECT ",
        "t",
        ...CONSTANTS,
        all[at] ?? "",
      ]);
      all.splice(at, this.#below(3), value);
    }
    return all.join("");
  }
}

function quoted(name: string): string {
  return /^[a-z_]\w*$/i.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
