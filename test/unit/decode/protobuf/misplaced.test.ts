/** Values of Protobuf in the place of a message of which `[source.transform]` names something inside. */
import { expect, test } from "bun:test";
import type { Field, Type } from "#columns/schema.ts";
import { column, shaped } from "./shapedRows.ts";

const text: Type = { kind: "string" };
const list = (element: Type): Type => ({ kind: "list", element: column("element", element) });

test("a value in a message's place is refused though there is a column for it, in lists and maps too", async () => {
  const key: Field = { ...column("key", text), required: true };
  const map: Type = { kind: "map", key, value: column("value", text) };
  const people = list({ kind: "struct", fields: [column("p", text)] });
  const cases = [
    ["u.p", "string u = 2;", text, "SECRET"],
    ["u.p", "int64 u = 2;", { kind: "long" }, 7],
    ["u.p", "repeated string u = 2;", list(text), ["SECRET"]],
    ["u.p", "repeated int32 u = 2;", list({ kind: "int" }), [1, 2]],
    ["u.p", "repeated P u = 2; message P { string p = 1; }", people, [{ p: "SECRET" }]],
    ["u.p", "map<string, string> u = 2;", map, { p: "SECRET" }],
    ["u.element.p", "repeated string u = 2;", list(text), ["SECRET"]],
    ["u.value.p", "map<string, string> u = 2;", map, { k: "SECRET" }],
  ] as const;
  for (const [path, body, type, u] of cases) {
    const table = [column("a", { kind: "int" }), column("u", type)];
    for (const shape of [{ mask: [path] }, { exclude: [path] }, { select: ["a", path] }]) {
      for (const onUnknownField of ["evolve", "ignore", "rescue"] as const) {
        const onTypeConflict = onUnknownField === "rescue" ? "rescue" : "dead_letter";
        const more = { shape, table, onUnknownField, onTypeConflict } as const;
        const values = [{ a: 1, u }, { a: 2 }];
        const { rows, reasons } = await shaped(`int32 a = 1; ${body}`, values, more);
        expect(reasons.map((each) => each.split(":")[0])).toEqual(["type_conflict"]);
        expect(rows).toMatchObject([{ a: 2 }]);
      }
    }
  }
});

test("numbers that stand packed in one field are refused where their column cannot hold them", async () => {
  const table = [column("l", list(text))];
  const { rows, reasons } = await shaped("repeated int32 l = 1;", [{ l: [1, 2] }, {}], { table });
  expect(reasons.map((each) => each.split(":")[0])).toEqual(["type_conflict"]);
  expect(rows).toHaveLength(1);
});
