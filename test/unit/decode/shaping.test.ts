/** `[source.transform]` and `_rescued`: the same rows with and without the kernel. */
import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { recordBatch } from "../../support/records.ts";
import { SHAPE, shaped } from "./shapedRows.ts";
import { decode, field, makeDecoder } from "./support.ts";

const hashOf = (text: string): string => createHmac("sha256", "salt").update(text).digest("hex");

describe("columns", () => {
  const DOCUMENTS = ['{"a":1,"b":{"c":"x","d":{"e":true}},"l":[{"m":1,"n":2}]}'];

  test("only what is selected is a column, with all that is inside it", () => {
    expect(shaped({ select: ["a"] }, DOCUMENTS).rows).toEqual([{ a: 1n }]);
    expect(shaped({ select: ["b"] }, DOCUMENTS).rows).toEqual([{ b: { c: "x", d: { e: true } } }]);
    expect(shaped({ select: ["b.d", "l.element.n"] }, DOCUMENTS).rows).toEqual([
      { b: { d: { e: true } }, l: [{ n: 2n }] },
    ]);
  });

  test("what is excluded is none, at any depth, whatever comes later", () => {
    const { rows } = shaped({ exclude: ["b.c", "l.element.m", "z"] }, [
      ...DOCUMENTS,
      '{"z":1,"a":2}',
    ]);
    expect(rows).toEqual([
      { a: 1n, b: { d: { e: true } }, l: [{ n: 2n }] },
      { a: 2n, b: null, l: null },
    ]);
  });

  test("renamed fields fill columns of their new names, inside of structs, and two may be exchanged", () => {
    const rename = { a: "one", b: "two", "b.c": "see", "b.d.e": "yes" };
    expect(shaped({ rename }, DOCUMENTS).rows).toMatchObject([
      { one: 1n, two: { see: "x", d: { yes: true } } },
    ]);
    expect(shaped({ rename: { a: "b", b: "a" } }, ['{"a":1,"b":"x"}']).rows).toEqual([
      { b: 1n, a: "x" },
    ]);
  });

  test("a field that has the new name of another is refused, and named", () => {
    const { rows, reasons } = shaped({ rename: { a: "b" } }, ['{"a":1}', '{"a":1,"b":2}']);
    expect([rows, reasons]).toEqual([[{ b: 1n }], ["1 ambiguous_field"]]);
  });

  test("flattened columns are selected, left out and renamed by their paths", () => {
    const flat = { flattenSeparator: "_" };
    expect(shaped({ exclude: ["b_d"] }, DOCUMENTS, flat).names).toEqual(["a", "b_c", "l"]);
    expect(shaped({ exclude: ["b"] }, DOCUMENTS, flat).names).toEqual(["a", "l"]);
    expect(shaped({ select: ["b"] }, DOCUMENTS, flat).names).toEqual(["b_c", "b_d_e"]);
    expect(shaped({ select: ["l"] }, DOCUMENTS, flat).rows).toEqual([{ l: [{ m: 1n, n: 2n }] }]);
    expect(shaped({ rename: { b_c: "c", a: "b_x" } }, DOCUMENTS, flat).rows).toMatchObject([
      { c: "x", b_x: 1n, b_d_e: true },
    ]);
  });

  test("what is excluded fills no column, though the table has one", () => {
    const struct = field("s", { kind: "struct", fields: [field("t", "long"), field("u", "long")] });
    const list = field("l", { kind: "list", element: field("element", "long") });
    const table = ["a", "b", "s_t"].map((name) => field(name, "long"));
    const columns = [...table, struct, list].map((each, index) => ({ ...each, id: index + 1 }));
    for (const flattenSeparator of [null, "_"]) {
      for (const kernel of [false, "always"] as const) {
        const exclude = flattenSeparator === null ? ["b", "s.t", "l.element"] : ["b", "s", "l"];
        const shaping = { ...SHAPE, separator: flattenSeparator ?? ".", exclude };
        const decoder = makeDecoder({ kernel, shaping, flattenSeparator });
        decoder.adopt(columns, { dropped: [], hasRows: true });
        const { rows, reasons } = decode(decoder, ['{"a":1,"b":2,"s":{"t":3,"u":4},"l":[5]}']);
        expect(reasons).toEqual([]);
        const s = flattenSeparator === null ? { t: null, u: 4n } : null;
        expect(rows[0]).toMatchObject({ a: 1n, b: null, s_t: null, s, l: null });
      }
    }
  });

  test("fields that come later are shaped as those of the sample", () => {
    for (const kernel of [false, "always"] as const) {
      const shaping = { ...SHAPE, exclude: ["x.q"], rename: { "x.y": "why" }, mask: ["x.z"] };
      const decoder = makeDecoder({ kernel, shaping });
      decoder.sample([recordBatch(['{"a":1}'])]);
      expect(decode(decoder, ['{"a":1,"x":{"y":2,"z":3,"q":4}}']).rows).toEqual([
        { a: 1n, x: { why: 2n, z: "***" } },
      ]);
    }
  });
});

describe("covers", () => {
  test("values of every kind are masked, null stays null", () => {
    const values = ['"secret"', "17", "true", '{"k":"v"}', '["a\\"b"]', "null"];
    const { rows } = shaped(
      { mask: ["s"] },
      values.map((value) => `{"s":${value}}`),
    );
    expect(rows.map(({ s }) => s as string | null)).toEqual([
      ...Array<string>(5).fill("***"),
      null,
    ]);
  });

  test("hashes are keyed, and of what a text says, not how it is written", () => {
    const { rows } = shaped({ hash: ["h"] }, [
      '{"h":"é\\n"}',
      '{"h":"\\u00e9\\u000a"}',
      '{"h":17}',
    ]);
    expect(rows.map(({ h }) => h as string)).toEqual([hashOf("é\n"), hashOf("é\n"), hashOf("17")]);
  });

  test("inside of structs and lists, renamed, and of the last of duplicate keys", () => {
    const { rows } = shaped({ mask: ["u.mail", "l.element.p"], rename: { "u.mail": "m" } }, [
      '{"u":{"mail":"x","mail":"y"},"l":[{"p":1},{"p":null}]}',
    ]);
    expect(rows).toEqual([{ u: { m: "***" }, l: [{ p: "***" }, { p: null }] }]);
  });

  test("a masked field is a text column before any record was read, where one topic is read", () => {
    const options = { ...SHAPE, mask: ["u.mail"], isStrict: true };
    const { fields } = makeDecoder({ shaping: options });
    expect(fields).toEqual([field("u", { kind: "struct", fields: [field("mail", "string")] })]);
  });

  test("a masked field in a list or of the name value is looked for in the first records, as any", () => {
    const shape = { mask: ["l.element.p", "m.value"], isStrict: true };
    const { rows } = shaped(shape, ['{"l":[{"p":1}],"m":{"value":2}}', '{"l":[{"p":null}]}']);
    expect(rows).toEqual([
      { l: [{ p: "***" }], m: { value: "***" } },
      { l: [{ p: null }], m: null },
    ]);
  });

  test("nothing inside of a flattened object that is covered or left out is shown, not even a name", () => {
    const flat = { flattenSeparator: "_" };
    const documents = ['{"id":1,"u":{"c":{"ann@x.com":1}}}', '{"id":2,"u":{"c":{"bob@x.com":2}}}'];
    for (const isStrict of [true, false]) {
      const masked = shaped({ mask: ["u_c"], isStrict }, documents, flat);
      expect([...masked.names].sort()).toEqual(["id", "u_c"]);
      expect(masked.rows.map(({ u_c }) => u_c as string)).toEqual(["***", "***"]);
      expect(shaped({ exclude: ["u_c"], isStrict }, documents, flat).names).toEqual(["id"]);
    }
  });

  test("nothing inside of one fills a column that the table has from before", () => {
    const columns = ["id", "c_x"].map((name, index) => ({ ...field(name, "long"), id: index + 1 }));
    for (const shape of [{ mask: ["c"] }, { exclude: ["c"] }]) {
      for (const kernel of [false, "always"] as const) {
        const shaping = { ...SHAPE, separator: "_", ...shape };
        const decoder = makeDecoder({ kernel, shaping, flattenSeparator: "_" });
        decoder.adopt(columns, { dropped: [], hasRows: true });
        const { rows, reasons } = decode(decoder, ['{"id":1,"c":{"x":7}}', '{"id":2,"c_x":8}']);
        expect(reasons).toEqual([]);
        expect(rows.map(({ c_x }) => c_x as bigint | null)).toEqual([null, 8n]);
      }
    }
  });

  test("a column that cannot hold text is refused, declared or of the table", () => {
    const shaping = { ...SHAPE, mask: ["ssn"] };
    const sentence = "Column ssn is long, and source.transform puts text into it";
    expect(() => makeDecoder({ shaping, fields: [field("ssn", "long")] })).toThrow(sentence);
    const decoder = makeDecoder({ shaping });
    expect(() => decoder.adopt([{ ...field("ssn", "long"), id: 1 }])).toThrow(sentence);
  });
});

describe("_rescued", () => {
  const FIELDS = [
    field("a", "long"),
    field("s", { kind: "struct", fields: [field("b", "string")] }),
    field("l", {
      kind: "list",
      element: field("element", { kind: "struct", fields: [field("c", "int")] }),
    }),
    field("r", "long", true),
  ];
  const rescue = { fields: FIELDS, onUnknownField: "rescue", onTypeConflict: "rescue" } as const;

  test("unknown fields are kept by their paths as they stand; a row without any has null", () => {
    const { rows } = shaped(
      {},
      [
        '{"a":1,"r":1,"x":{"y":[1, 2]},"s":{"b":"t","z\\"q":1e2},"n":null}',
        '{"a":2,"r":1,"l":[{"c":1,"d":"p"},{"d":"q"}]}',
        '{"a":3,"r":1}',
      ],
      rescue,
    );
    expect(rows.map(({ _rescued }) => _rescued as string | null)).toEqual([
      '{"x":{"y":[1, 2]},"s.z\\"q":1e2}',
      '{"l.element.d":["p","q"]}',
      null,
    ]);
    expect(rows[1]).toMatchObject({ l: [{ c: 1 }, { c: null }] });
  });

  test("values that do not fit are kept beside a null; a required column refuses its record", () => {
    const { rows, reasons } = shaped(
      {},
      ['{"a":"no","r":1,"s":7,"l":[{"c":"x"}]}', '{"a":1,"r":"no"}'],
      rescue,
    );
    expect(rows).toEqual([
      { a: null, s: null, l: [{ c: null }], r: 1n, _rescued: '{"a":"no","s":7,"l.element.c":"x"}' },
    ]);
    expect(reasons).toEqual(["1 type_conflict"]);
  });

  test("the last of duplicate keys counts here as well", () => {
    const { rows } = shaped({}, ['{"r":1,"x":1,"a":"no","a":5,"x":2}'], rescue);
    expect(rows).toMatchObject([{ a: 5n, _rescued: '{"x":2}' }]);
  });

  test("nothing that is masked or left out is kept as it came", () => {
    const shape = { mask: ["a.ssn"], exclude: ["q"] };
    const { rows, reasons } = shaped(
      shape,
      ['{"r":1,"a":{"ssn":1}}', '{"r":1,"q":2}', '{"r":1,"p":3}'],
      {
        ...rescue,
        fields: [field("r", "long", true), field("o", "long")],
      },
    );
    expect(reasons).toEqual(["0 unknown_field"]);
    expect(rows.map(({ _rescued }) => _rescued as string | null)).toEqual([null, '{"p":3}']);
  });

  test("nor what differs from such a field by case only, in itself, around or inside", () => {
    const documents = [
      '{"r":1,"User":{"Phone":"SECRET"}}',
      '{"r":2,"u":{"PHONE":"SECRET"}}',
      '{"r":3,"PW":"SECRET"}',
      '{"r":4,"other":1}',
    ];
    const nested = field("u", { kind: "struct", fields: [field("name", "string")] });
    for (const flattenSeparator of [null, "_"]) {
      const u = flattenSeparator === null ? nested : field("u_name", "string");
      const fields = [field("r", "long", true), u];
      const shape = { mask: ["user.phone", "u.phone"], exclude: ["pw"] };
      const { rows, reasons } = shaped(shape, documents, { ...rescue, fields, flattenSeparator });
      expect(reasons).toEqual(["0 unknown_field", "1 unknown_field", "2 unknown_field"]);
      expect(rows).toMatchObject([{ r: 4n, _rescued: '{"other":1}' }]);
    }
  });

  test("a record's own field of that name is kept like any other", () => {
    const { rows } = shaped({}, ['{"r":1,"_rescued":"mine"}'], rescue);
    expect(rows).toMatchObject([{ _rescued: '{"_rescued":"mine"}' }]);
  });

  test("a full table keeps new fields there, where there is such a column", () => {
    const { rows } = shaped({}, ['{"a":1}', '{"a":2,"b":3}'], {
      onTypeConflict: "rescue",
      maxColumns: 2,
      inferRows: 1,
    });
    expect(rows).toEqual([
      { a: 1n, _rescued: null },
      { a: 2n, _rescued: '{"b":3}' },
    ]);
  });
});

test("where columns are found whatever their case, fields of another case are left out and covered, too", () => {
  const documents = ['{"id":1,"SSN":"secret","User":{"Mail":"secret","n":1}}'];
  for (const key of ["exclude", "mask", "hash"] as const) {
    const shape = { [key]: ["ssn", "user.mail"], ignoresCase: true };
    const { rows } = shaped(shape, documents, { matchColumns: "ignore-case" });
    expect(rows.length).toBe(1);
    expect(Bun.inspect(rows, { depth: 9 })).not.toContain("secret");
  }
});

test("nor are they kept in _rescued", () => {
  const more = { matchColumns: "ignore-case", onUnknownField: "rescue" } as const;
  const fields = [field("id", { kind: "long" })];
  for (const key of ["exclude", "mask", "hash"] as const) {
    const shape = { [key]: ["ssn"], ignoresCase: true };
    const { rows } = shaped(shape, ['{"id":1,"SSN":"secret"}'], { ...more, fields });
    expect(Bun.inspect(rows, { depth: 9 })).not.toContain("secret");
  }
});
