/** Schema merging: what may grow, what is refused. */
import { expect, test } from "bun:test";
import {
  canPromote,
  declaredDifferences,
  mergeFields,
  overlayFields,
  typeName,
} from "#columns/evolve.ts";
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
  const result = mergeFields(table, wanted, last, "declaration");
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

test("records add columns and change none: what is there is its owner's", () => {
  const table = [
    field("id", int, 1, true),
    field("s", struct(field("x", int, 3)), 2),
    field("filled", { kind: "string" }, 4, true),
  ];
  const id = field("id", int, 1, true);
  const filled = field("filled", text, 4, true);
  const cases: readonly (readonly [wanted: Field[], path: string])[] = [
    [[field("id", long, 0, true), filled], "id"],
    [[field("id", int), filled], "id"],
    [[id, filled, field("s", struct(field("x", long)))], "s.x"],
    [[id, filled, field("gone", text, 9)], "gone"],
    [[id, filled, field("s", struct(field("gone", text, 9)))], "s.gone"],
    [[id], "filled"],
  ];
  for (const [wanted, path] of cases) {
    expect(mergeFields(table, wanted, 9, "records")).toMatchObject({ ok: false, path });
  }
  const adding = mergeFields(table, [id, filled, field("new", long)], 9, "records");
  expect(adding).toMatchObject({ ok: true, lastColumnId: 10 });
});

test("what is declared differs from a table by what that does not hold, at every level", () => {
  const table = [field("a", long, 1, true), field("s", struct(field("x", text, 3)), 2)];
  expect(
    declaredDifferences(table, [field("a", int), field("s", struct(field("x", text)))]),
  ).toEqual([]);
  const declared = [field("a", text), field("s", struct(field("x", long), field("y", list(int))))];
  expect(declaredDifferences(table, declared)).toEqual([
    "column a is long, declared as string",
    "column s.x is string, declared as long",
    "column s.y list<int> is not in the table",
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
      "declaration",
    );
    expect(result).toMatchObject({ ok: false, path: "s.c" });
  }
});

test("names that differ only by case are refused, against the table and among themselves", () => {
  const against = mergeFields([field("userId", long, 1)], [field("userid", long)], 1, "records");
  expect(against).toEqual({
    ok: false,
    path: "userid",
    reason: 'has the full name of column "userId"; upper and lower case count as one',
  });
  const among = mergeFields(
    [],
    [field("s", struct(field("A", long), field("a", long)))],
    0,
    "records",
  );
  expect(among.ok).toBe(false);
});

test("two wanted fields of one name inside a new struct are refused", () => {
  const result = mergeFields([], [field("a", long), field("a", long)], 0, "records");
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

test("overlayFields leaves out what has an id, or a path that the base has", () => {
  const base = [field("a", int, 1), field("s", struct(field("x", int, 3)), 2)];
  const more = [
    field("a", long),
    field("dropped", text, 9),
    field("s.x", text),
    field("s", struct(field("gone", text, 8), field("y", text))),
    field("b", text),
  ];
  expect(overlayFields(base, more)).toEqual([
    field("a", int, 1),
    field("s", struct(field("x", int, 3), field("y", text)), 2),
    field("b", text),
  ]);
});
