/** Data files that no answer needs: what WHERE says of a column, against DuckDB on the same rows. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { Field, PrimitiveType } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { compareValues, encodeSingleValue } from "#iceberg/singleValue.ts";
import { mayHold, relationKey } from "#sql/columnLimits.ts";
import type { Database } from "#sql/database.ts";
import { openDatabase } from "./engine.ts";

let database: Database;

beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());

const TYPES = {
  i: { kind: "int" },
  l: { kind: "long" },
  s: { kind: "string" },
  t: { kind: "timestamp", zone: true },
} as const satisfies Record<string, PrimitiveType>;
const FIELDS: readonly Field[] = Object.entries(TYPES).map(([name, type], at) => ({
  ...{ id: at + 1, name, required: false, type },
}));
type Name = keyof typeof TYPES;
type Value = Exclude<PartitionValue, null>;

const SECOND = 1_000_000n;
/** Column values of ten numbers, and what stands for them in a statement. */
const VALUE: Readonly<Record<Name, (n: number) => Value>> = {
  i: (n) => n,
  l: (n) => BigInt(n) * 10_000_000_000n,
  s: (n) => `text ${n}`,
  t: (n) => BigInt(Date.UTC(2026, 0, 1 + n)) * 1000n + SECOND / 2n,
};
const WRITTEN: Readonly<Record<Name, readonly ((n: number) => string)[]>> = {
  i: [String, (n) => `${n}::BIGINT`, (n) => `${n - 1} + 1`, (n) => `${n}.5`],
  l: [(n) => `${n}0000000000`, (n) => `${n}.5`],
  s: [(n) => `'text ${n}'`],
  t: [
    (n) => `TIMESTAMP '2026-01-0${n} 00:00:00.5'`,
    (n) => `'2026-01-0${n} 12:00'`,
    (n) => `DATE '2026-01-0${n}'`,
    (n) => `TIMESTAMPTZ '2026-01-0${n} 02:00:00+02' + INTERVAL 1 HOUR`,
    (n) => `now() - INTERVAL '${n} days'`,
  ],
};

const digit = fc.integer({ min: 1, max: 9 });
const name = fc.constantFrom<Name[]>("i", "l", "s", "t");
const operator = fc.constantFrom("=", "<", "<=", ">", ">=", "<>");
const comparison = fc
  .tuple(name, operator, digit, fc.nat(9), fc.boolean(), fc.constantFrom("", "t.", "r."))
  .map(([column, sign, n, form, isTurned, prefix]) => {
    const forms = WRITTEN[column];
    const value = forms[form % forms.length]?.(n) ?? "";
    const left = `${prefix === "r." ? "" : prefix}${column}`;
    return isTurned ? `${value} ${sign} ${left}` : `${left} ${sign} ${value}`;
  });
const between = fc.tuple(name, digit, digit).map(([column, a, b]) => {
  const [write] = WRITTEN[column];
  return `${column} BETWEEN ${write?.(a)} AND ${write?.(b)}`;
});
const leaf = fc.oneof({ weight: 4, arbitrary: comparison }, between);
const condition = fc
  .tuple(
    leaf,
    fc.constantFrom(" AND ", " OR ", " AND NOT "),
    leaf,
    fc.constantFrom(" AND ", " OR "),
    leaf,
  )
  .map((parts) => parts.join(""));
const rows = fc.array(
  fc.record({ i: fc.option(digit), l: fc.option(digit), s: fc.option(digit), t: fc.option(digit) }),
  { minLength: 1, maxLength: 4 },
);
type Rows = typeof rows extends fc.Arbitrary<infer R> ? R : never;

function valuesOf(all: Rows, column: Name): Value[] {
  return all.flatMap((row) => (row[column] === null ? [] : [VALUE[column](row[column])]));
}

function boundsOf(all: Rows) {
  const [lowerBounds, upperBounds] = [new Map<number, Uint8Array>(), new Map<number, Uint8Array>()];
  for (const { id, name: column } of FIELDS) {
    const type = TYPES[column as Name];
    const sorted = valuesOf(all, column as Name).sort((a, b) => compareValues(type, a, b));
    if (sorted.length === 0) continue;
    lowerBounds.set(id, encodeSingleValue(type, sorted[0] ?? null));
    upperBounds.set(id, encodeSingleValue(type, sorted.at(-1) ?? null));
  }
  return { lowerBounds, upperBounds };
}

function selectOf(all: Rows): string {
  const cell = (value: PartitionValue | undefined, column: Name): string => {
    if (value === undefined || value === null) return "NULL";
    if (column === "s") return `'${value}'`;
    return column === "t" ? `make_timestamptz(${value})` : String(value);
  };
  const values = all.map((row) => {
    const cells = (["i", "l", "s", "t"] as const).map((column) => {
      const n = row[column];
      return cell(n === null ? null : VALUE[column](n), column);
    });
    return `(${cells.join(", ")})`;
  });
  const types = "i::INTEGER AS i, l::BIGINT AS l, s::VARCHAR AS s, t::TIMESTAMPTZ AS t";
  return `SELECT ${types} FROM (VALUES ${values.join(", ")}) v(i, l, s, t)`;
}

function count(sql: string, all: Rows): number {
  const views = [{ schema: "", name: "t", select: selectOf(all) }];
  const admitted = database.admit(sql);
  const run = { admitted, views, hot: [], parameters: [], rowsMax: 1e6, bytesMax: 1e9 };
  return Number(database.run({ ...run, form: "text" }).rows[0]?.[0]);
}

function isKept(sql: string, all: Rows): boolean {
  const { limits } = database.admit(sql);
  return mayHold(boundsOf(all), FIELDS, limits.get(relationKey("", "t")) ?? []);
}

test("a file that is left out has no row of the answer", () => {
  let left = 0;
  const property = fc.property(rows, condition, (all, where) => {
    const sql = `SELECT count(*) FROM t WHERE ${where}`;
    const kept = isKept(sql, all);
    if (!kept) left++;
    if (!kept) expect([sql, count(sql, all)]).toEqual([sql, 0]);
  });
  fc.assert(property, { numRuns: 400 });
  expect(left).toBeGreaterThan(50);
});

const ONE: Rows = [{ i: 3, l: 3, s: 3, t: 3 }];

test("bounds of a column that was a date say nothing of times", () => {
  const { limits } = database.admit("SELECT t FROM t WHERE t > '2026-01-02'");
  const bound = encodeSingleValue({ kind: "date" }, 20_000);
  const file = { lowerBounds: new Map([[4, bound]]), upperBounds: new Map([[4, bound]]) };
  expect(mayHold(file, FIELDS, limits.get(relationKey("", "t")) ?? [])).toBe(true);
});

test("a file without a row within the limits is left out", () => {
  const statements = [
    "SELECT i FROM t WHERE i > 3",
    "SELECT i FROM t WHERE 3 < i AND s LIKE 'x%'",
    "SELECT i FROM t r WHERE r.i BETWEEN 4 AND 5",
    "SELECT count(*) FROM t WHERE t >= now() - INTERVAL 60 SECONDS",
    "SELECT count(*) FROM (SELECT * FROM t WHERE s = 'text 4') WHERE i = 3",
    "WITH u AS (SELECT i FROM t WHERE l < 5) SELECT * FROM u JOIN range(9) r ON r.range = u.i",
  ];
  for (const sql of statements) expect([sql, isKept(sql, ONE)]).toEqual([sql, false]);
});

test("a file is kept where the condition is of something else", () => {
  const statements = [
    "SELECT i FROM t WHERE i > 3 OR s = 'text 3'",
    "SELECT i FROM t WHERE NOT i > 3",
    "SELECT i FROM t LEFT JOIN (SELECT 1 AS i2) u ON i > 3",
    "SELECT a.i FROM t a JOIN t b ON true WHERE a.i > 3",
    "SELECT (SELECT count(*) FROM t WHERE i > 3), (SELECT count(*) FROM t)",
    "SELECT i FROM t WHERE t <= now() - INTERVAL 1 DAY AND t <= now()",
    "SELECT i FROM t WHERE t > TIMESTAMPTZ '2090-01-01' + (TIMESTAMPTZ '2090-01-01' - now())",
    "SELECT i FROM t WHERE i > random() * 100",
    "SELECT i FROM t WHERE i > (SELECT 5)",
    "SELECT count(*) FILTER (i > 3) FROM t",
    "SELECT i FROM t QUALIFY row_number() OVER () > 3",
    "SELECT l AS i FROM t WHERE i >= 3",
    "SELECT * FROM t AS r(l, i, s, t) WHERE i > 3",
    "SELECT (SELECT count(*) FROM t AS r WHERE t.i > 3) FROM range(3) AS t(i)",
    "SELECT count(*) FROM t WHERE i > 3 USING SAMPLE 1 ROWS",
  ];
  for (const sql of statements) {
    expect([sql, isKept(sql, ONE)]).toEqual([sql, true]);
  }
  // A name is the table's column before it is the answer's.
  const named = "SELECT count(*) FROM (SELECT 9 AS i FROM t WHERE i > 3)";
  expect([isKept(named, ONE), count(named, ONE)]).toEqual([false, 0]);
});
