/** Values of Avro in the place of a record of which `[source.transform]` names something inside. */
import { expect, test } from "bun:test";
import type { Field, Type } from "#columns/schema.ts";
import type { Decoded } from "../../../support/avroRows.ts";
import { column, member, optional, record, shaped, struct } from "./shapedRows.ts";

const reasons = ({ rejected }: Decoded): string[] => rejected.map(({ reason }) => reason);

test("a field without a column passes by when all in it is left out, and is refused in place of a record", () => {
  const table = [column("a", { kind: "int" })];
  for (const onUnknownField of ["evolve", "dead_letter", "rescue"] as const) {
    for (const flattenSeparator of [null, "_"]) {
      const schema = record(member("a", "int"), member("b", struct("B", member("c", "string"))));
      const more = { table, onUnknownField, flattenSeparator, shape: { exclude: ["b.c"] } };
      const found = shaped(schema, [{ a: 1, b: { c: "SECRET" } }], more);
      expect(reasons(found)).toEqual([]);
      expect(found.rows).toMatchObject([{ a: 1 }]);
      const text = record(member("a", "int"), member("b", "string"));
      const misplaced = shaped(text, [{ a: 1, b: "SECRET" }], more);
      expect(misplaced.rows).toEqual([]);
      const reason = onUnknownField === "evolve" ? "type_conflict" : "unknown_field";
      expect(reasons(misplaced)).toEqual([reason]);
    }
  }
});

test("where there is a column for it, its record is refused as well, in lists and maps too", () => {
  const key: Field = { ...column("key", { kind: "string" }), required: true };
  const list = (element: Type): Type => ({ kind: "list", element: column("element", element) });
  const text: Type = { kind: "string" };
  const map: Type = { kind: "map", key, value: column("value", text) };
  const people = list({ kind: "struct", fields: [column("p", text)] });
  const person = struct("P", member("p", "string"));
  const cases = [
    ["u.p", "string", text, "SECRET"],
    ["u.p", "long", { kind: "long" }, 7],
    ["u.p", { type: "array", items: "string" }, list(text), ["SECRET"]],
    ["u.p", { type: "array", items: person }, people, [{ p: "SECRET" }]],
    ["u.p", { type: "map", values: "string" }, map, { p: "SECRET" }],
    ["u.element.p", { type: "array", items: "string" }, list(text), ["SECRET"]],
    ["u.value.p", { type: "map", values: "string" }, map, { k: "SECRET" }],
  ] as const;
  for (const [path, type, columnType, u] of cases) {
    const schema = record(member("a", "int"), member("u", optional(type)));
    const branch = typeof type === "string" ? type : type.type;
    const values = [
      { a: 1, u: { [branch]: u } },
      { a: 2, u: null },
    ];
    const table = [column("a", { kind: "int" }), column("u", columnType)];
    for (const shape of [{ mask: [path] }, { exclude: [path] }, { select: ["a", path] }]) {
      for (const onUnknownField of ["evolve", "ignore", "rescue"] as const) {
        const onTypeConflict = onUnknownField === "rescue" ? "rescue" : "dead_letter";
        const more = { shape, table, onUnknownField, onTypeConflict } as const;
        const found = shaped(schema, values, more);
        expect(reasons(found)).toEqual(["type_conflict"]);
        expect(found.rows).toMatchObject([{ a: 2, u: null }]);
      }
    }
  }
});
