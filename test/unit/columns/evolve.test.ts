/** Schema merging: what may grow, what is refused. */
import { expect, test } from "bun:test";
import { canPromote, mergeFields, overlayFields, typeName } from "#columns/evolve.ts";
import type { Field, Type } from "#columns/schema.ts";

const field = (name: string, type: Type, id = 0, required = false): Field => {
  return { id, name, required, type };
};
const struct = (...fields: Field[]): Type => ({ kind: "struct", fields });
const list = (type: Type, id = 0): Type => ({ kind: "list", element: field("element", type, id) });
const map = (value: Type, keyId = 0, valueId = 0): Type => ({
  kind: "map",
  key: field("key", { kind: "string" }, keyId, true),
  value: field("value", value, valueId),
});
const long: Type = { kind: "long" };
const int: Type = { kind: "int" };
const text: Type = { kind: "string" };

function merged(table: Field[], wanted: Field[], last: number) {
  const result = mergeFields(table, wanted, last);
  if (!result.ok) throw new Error(`${result.path}: ${result.reason}`);
  return result;
}

test("new fields get ids after the last one, at every level, and are optional", () => {
  const table = [
    field("a", long, 1),
    field("s", struct(field("x", long, 3)), 2),
    field("l", list(struct(field("p", text, 6)), 5), 4),
    field("m", map(struct(field("v", long, 10)), 8, 9), 7),
  ];
  const result = merged(
    table,
    [
      field("new", struct(field("n", text), field("o", list(int))), 0, true),
      field("m", map(struct(field("w", text)))),
      field("l", list(struct(field("q", text)))),
      field("s", struct(field("y", text))),
    ],
    10,
  );
  expect(result.lastColumnId).toBe(17);
  expect(result.changes.map((change) => change.description)).toEqual([
    "s.y: added as string",
    "l.element.q: added as string",
    "m.value.w: added as string",
    "new: added as struct<n: string, o: list<int>>",
  ]);
  expect(result.fields).toEqual([
    field("a", long, 1),
    field("s", struct(field("x", long, 3), field("y", text, 11)), 2),
    field("l", list(struct(field("p", text, 6), field("q", text, 12)), 5), 4),
    field("m", map(struct(field("v", long, 10), field("w", text, 13)), 8, 9), 7),
    field("new", struct(field("n", text, 15), field("o", list(int, 17), 16)), 14),
  ]);
});

test("ids of a new map and its parts are all different", () => {
  const { fields, lastColumnId } = merged([], [field("m", map(struct(field("a", long))))], 0);
  expect(lastColumnId).toBe(4);
  expect(fields).toEqual([field("m", map(struct(field("a", long, 4)), 2, 3), 1)]);
});

test("a table that has everything wanted is not changed", () => {
  const table = [field("a", long, 1, false), field("b", struct(field("x", text, 3)), 2)];
  const result = merged(table, [field("b", struct(field("x", text))), field("a", int)], 3);
  expect(result.changes).toEqual([]);
  expect(result.fields).toEqual(table);
});

test("int -> long, float -> double, decimal precision and required -> optional are changes", () => {
  const decimal = (precision: number): Type => ({ kind: "decimal", precision, scale: 2 });
  const result = merged(
    [
      field("a", int, 1, true),
      field("b", { kind: "float" }, 2),
      field("c", decimal(9), 3),
      field("d", list(int, 5), 4),
    ],
    [
      field("a", long),
      field("b", { kind: "double" }),
      field("c", decimal(12)),
      field("d", list(long)),
    ],
    5,
  );
  expect(result.changes.map((change) => [change.kind, change.path])).toEqual([
    ["optional", "a"],
    ["promote", "a"],
    ["promote", "b"],
    ["promote", "c"],
    ["promote", "d.element"],
  ]);
  expect(result.fields.map((f) => typeName(f.type))).toEqual([
    "long",
    "double",
    "decimal(12, 2)",
    "list<long>",
  ]);
});

test("what does not promote is a conflict that names the column", () => {
  const cases: [Type, Type][] = [
    [text, long],
    [struct(field("x", long, 2)), text],
    [
      { kind: "decimal", precision: 9, scale: 2 },
      { kind: "decimal", precision: 12, scale: 3 },
    ],
    [
      { kind: "timestamp", zone: true },
      { kind: "timestamp", zone: false },
    ],
    [long, { kind: "double" }],
    [list(text, 2), map(text)],
  ];
  for (const [have, want] of cases) {
    const result = mergeFields(
      [field("s", struct(field("c", have, 9)), 8)],
      [field("s", struct(field("c", want)))],
      9,
    );
    expect(result).toMatchObject({ ok: false, path: "s.c" });
  }
});

test("names that differ only by case are refused, against the table and among themselves", () => {
  const against = mergeFields([field("userId", long, 1)], [field("userid", long)], 1);
  expect(against).toEqual({
    ok: false,
    path: "userid",
    reason: 'has the full name of column "userId"; upper and lower case count as one',
    isProvisional: true,
  });
  const among = mergeFields([], [field("s", struct(field("A", long), field("a", long)))], 0);
  expect(among.ok).toBe(false);
});

test("two wanted fields of one name inside a new struct are refused", () => {
  const result = mergeFields([], [field("a", long), field("a", long)], 0);
  expect(result.ok).toBe(false);
});

test("canPromote allows exactly Iceberg's promotions", () => {
  expect(canPromote({ kind: "int" }, { kind: "long" })).toBe(true);
  expect(canPromote({ kind: "long" }, { kind: "int" })).toBe(false);
  expect(canPromote({ kind: "int" }, { kind: "double" })).toBe(false);
  expect(canPromote({ kind: "date" }, { kind: "timestamp", zone: false })).toBe(false);
});

test("overlayFields keeps the base's fields and adds the others', at every level", () => {
  const result = overlayFields(
    [
      field("a", long, 1),
      field("s", struct(field("x", long, 3)), 2),
      field("l", list(struct(), 5), 4),
    ],
    [
      field("s", struct(field("y", text))),
      field("A", text),
      field("l", list(struct(field("z", int)))),
      field("m", map(int)),
    ],
  );
  expect(result).toEqual([
    field("a", long, 1),
    field("s", struct(field("x", long, 3), field("y", text)), 2),
    field("l", list(struct(field("z", int)), 5), 4),
    field("m", map(int)),
  ]);
});

test("overlayFields takes the others' type where the base's may be promoted to it", () => {
  const decimal = (precision: number, scale: number): Type => {
    return { kind: "decimal", precision, scale };
  };
  const base = [
    field("i", int, 1),
    field("l", long, 2),
    field("d", decimal(9, 2), 3),
    field("e", decimal(9, 2), 4),
    field("n", list(int, 6), 5),
  ];
  const wider = [
    field("i", long),
    field("l", int),
    field("d", decimal(18, 2)),
    field("e", decimal(18, 3)),
    field("n", list(long)),
  ];
  expect(overlayFields(base, wider)).toEqual([
    field("i", long, 1),
    field("l", long, 2),
    field("d", decimal(18, 2), 3),
    field("e", decimal(9, 2), 4),
    field("n", list(long, 6), 5),
  ]);
});
