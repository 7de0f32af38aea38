/** JSON values in the place of an object of which `[source.transform]` names something inside. */
import { describe, expect, test } from "bun:test";
import { shaped } from "./shapedRows.ts";
import { field } from "./support.ts";

describe("what has something inside that is left out or covered", () => {
  const PLACES = [
    ["u.p", "u", '{"p":"SECRET"}', null],
    ["u.v.p", "u", '{"v":{"p":"SECRET"}}', null],
    ["l.element.p", "l", '[{"p":"SECRET"}]', null],
    ["u.p", "u", '{"p":"SECRET"}', "_"],
  ] as const;

  test("goes by when all of it is left out, whatever becomes of unknown fields", () => {
    for (const [path, name, value, flattenSeparator] of PLACES) {
      for (const onUnknownField of ["evolve", "dead_letter", "rescue"] as const) {
        const more = { flattenSeparator, onUnknownField, fields: [field("id", "long")] };
        const documents = ['{"id":1}', `{"id":2,"${name}":${value}}`];
        const { rows, reasons } = shaped({ exclude: [path] }, documents, more);
        expect(reasons).toEqual([]);
        expect(rows.map(({ id }) => id as bigint)).toEqual([1n, 2n]);
        expect(JSON.stringify(rows, (_key, each: unknown) => String(each))).not.toContain("SECRET");
      }
    }
  });

  test("is a column as soon as anything else is in it", () => {
    const documents = ['{"u":{"p":"SECRET"}}', '{"u":{"p":"SECRET","n":1}}'];
    const { rows } = shaped({ exclude: ["u.p"] }, documents);
    expect(rows).toEqual([{ u: { n: null } }, { u: { n: 1n } }]);
    const flat = shaped({ exclude: ["u.p"] }, documents, { flattenSeparator: "_" });
    expect(flat.rows).toEqual([{ u_n: null }, { u_n: 1n }]);
  });

  test("is no column of its own: a text or a list in its place is refused, and no other record", () => {
    const cases = PLACES.flatMap((place) => {
      const [path] = place;
      const shapes = [{ mask: [path] }, { exclude: [path] }, { select: ["id", path] }];
      return shapes.flatMap((shape) => [
        { place, shape, isReversed: false },
        { place, shape, isReversed: true },
      ]);
    });
    for (const { place, shape, isReversed } of cases) {
      const [path, name, value, flattenSeparator] = place;
      const others = path.includes("element") ? ["7"] : ['[{"p":"SECRET"}]', "true"];
      const wrong = ['"SECRET"', '["SECRET"]', ...others];
      const documents = [...wrong, value].map((each, id) => `{"id":${id},"${name}":${each}}`);
      const inOrder = isReversed ? documents.toReversed() : documents;
      const { rows, reasons, names } = shaped(shape, inOrder, { flattenSeparator });
      expect(reasons.map((each) => each.split(" ")[1])).toEqual(wrong.map(() => "type_conflict"));
      expect(rows.map(({ id }) => id as bigint)).toEqual([BigInt(wrong.length)]);
      expect(flattenSeparator !== null && names.includes(name)).toBe(false);
    }
  });

  test("is a field of its own where flattened names only look like a path", () => {
    const documents = ['{"u":"Ann","u_p":"SECRET"}'];
    const flat = shaped({ mask: ["u_p"] }, documents, { flattenSeparator: "_" });
    expect(flat.rows).toEqual([{ u: "Ann", u_p: "***" }]);
  });
});

describe("what has something inside that is left out or covered, and a column of another kind", () => {
  const person = field("element", { kind: "struct", fields: [field("p", "string")] });
  const text = field("element", "string");
  const texts = field("l", { kind: "list", element: text });
  const key = field("key", "string", true);
  const map = field("m", { kind: "map", key, value: field("value", "string") });
  const columns = [
    field("u", "string"),
    field("u", "long"),
    field("u", { kind: "list", element: person }),
    field("u", texts.type),
    field("u", map.type),
  ];
  const shapes = [
    { mask: ["u.p"] },
    { exclude: ["u.p"] },
    { hash: ["u.p"] },
    { select: ["id", "u.p"] },
  ];
  const wrong = ['"SECRET"', "7", '["SECRET"]', '[{"p":"SECRET"}]', '{"k":"SECRET"}'];

  for (const onUnknownField of ["evolve", "rescue", "ignore", "dead_letter"] as const) {
    test(`is never stored in it: its record is refused under ${onUnknownField}`, () => {
      const documents = [...wrong, "null"].map((each, id) => `{"id":${id},"u":${each}}`);
      const onTypeConflict = onUnknownField === "rescue" ? "rescue" : "dead_letter";
      const cases = columns.flatMap((column) => shapes.map((shape) => [column, shape] as const));
      for (const [column, shape] of cases) {
        for (const flattenSeparator of [null, "_"]) {
          const fields = [field("id", "long"), column];
          const more = { fields, onUnknownField, onTypeConflict, flattenSeparator } as const;
          const { rows, reasons } = shaped(shape, [...documents, '{"id":9}'], more);
          expect(reasons).toEqual(wrong.map((_, id) => `${id} type_conflict`));
          expect(rows.map(({ id }) => id as bigint)).toEqual([5n, 9n]);
        }
      }
    });
  }

  test("is refused so in lists and maps", () => {
    const lists = field("l", { kind: "list", element: { ...text, type: texts.type } });
    const documents = [
      '{"id":1,"l":["SECRET"]}',
      '{"id":2,"l":[["SECRET"]]}',
      '{"id":3,"m":{"k":"SECRET"}}',
    ];
    const shape = { mask: ["l.element.p", "m.value.p"] };
    for (const list of [texts, lists]) {
      const fields = [field("id", "long"), list, map];
      const { rows, reasons } = shaped(shape, documents, { fields });
      expect([rows, reasons.length]).toEqual([[], 3]);
    }
  });
});
