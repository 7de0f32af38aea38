/** Paths of `[source.transform]` that are probably misspelt: what was to be covered would be there for all to see. */
import { expect, test } from "bun:test";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { NO_SHAPING } from "#decode/shaping.ts";
import { recordBatch } from "../../support/records.ts";
import { decode, field, makeDecoder } from "./support.ts";

const strict = { ...NO_SHAPING, hashSalt: "salt", isStrict: true };

test("paths that no record has stop the table once the first records are known, each by its key", () => {
  for (const [key, shape] of Object.entries({
    select: { select: ["a", "gone"] },
    exclude: { exclude: ["gone"] },
    rename: { rename: { gone: "x" } },
    mask: { mask: ["gone"] },
    hash: { hash: ["gone"] },
  })) {
    const decoder = makeDecoder({ shaping: { ...strict, ...shape } });
    expect(() => decoder.sample([recordBatch(['{"a":1}'])])).toThrow(
      `source.transform.${key} names gone, which none of the first records has`,
    );
  }
});

test("paths are right when they are there with null, inside of lists, excluded, or declared", () => {
  const documents = ['{"n":null,"l":[{"e":{"x":1}}],"a":1}'];
  const shaping = { ...strict, exclude: ["n", "l.element.e"], mask: ["d"] };
  const decoder = makeDecoder({ shaping, fields: [field("d", "string")] });
  expect(() => decoder.sample([recordBatch(documents)])).not.toThrow();
  const flat = { ...strict, separator: "_", exclude: ["o"], mask: ["p_q"] };
  const flattening = makeDecoder({ shaping: flat, flattenSeparator: "_" });
  expect(() => flattening.sample([recordBatch(['{"o":{"x":1},"p":{"q":1}}'])])).not.toThrow();
});

const USER = field("user", { kind: "struct", fields: [field("phone", "string")] });
const DECLARED = [field("id", "long"), USER];
const KEYS = ["select", "exclude", "mask", "hash"] as const;
const CLOSED: readonly Partial<DecoderOptions>[] = [
  {},
  { infer: false },
  ...(["ignore", "dead_letter", "rescue"] as const).map((each) => ({ onUnknownField: each })),
];

test("paths that no record has stop it where columns are declared too, nested or not, whether more are learned or not", () => {
  const cases = KEYS.flatMap((key) => ["fone", "user.fone"].map((path) => ({ key, path })));
  const sample = [recordBatch(['{"id":1,"user":{"phone":"x"},"pw":1}'])];
  for (const options of CLOSED) {
    for (const { key, path } of cases) {
      const paths = key === "select" ? ["id", path] : [path];
      const shaping = { ...strict, [key]: paths };
      const decoder = makeDecoder({ shaping, fields: DECLARED, ...options });
      expect(() => decoder.sample(sample)).toThrow(
        `source.transform.${key} names ${path}, which none of the first records has`,
      );
    }
    const shaping = { ...strict, mask: ["user.phone"], exclude: ["pw"] };
    const right = makeDecoder({ shaping, fields: DECLARED, ...options });
    right.sample(sample);
    expect(right.fields.map(({ name }) => name)).toEqual(expect.arrayContaining(["id", "user"]));
    expect([right.needsSample, right.fields.some(({ name }) => name === "pw")]).toEqual([
      false,
      false,
    ]);
  }
});

const CONTACT = field("contact", { kind: "struct", fields: [field("Mail", "string")] });
const DEEP = [field("id", "long"), field("user", { kind: "struct", fields: [CONTACT] })];

test("a new table is not made where declared columns are all, and a path inside one of them leads to nothing, however deep", () => {
  for (const options of CLOSED) {
    const isClosed = ["ignore", "dead_letter"].includes(options.onUnknownField ?? "");
    for (const key of KEYS) {
      const refusalOf = (path: string, rest: Partial<DecoderOptions> = {}): string | null => {
        const ignoresCase = rest.matchColumns === "ignore-case";
        const shaping = { ...strict, ignoresCase, [key]: key === "select" ? ["id", path] : [path] };
        const decoder = makeDecoder({ shaping, fields: DEEP, ...options, ...rest });
        return thrownBy(() => decoder.checkNew());
      };
      const isAsked = isClosed && key !== "exclude";
      for (const [path, around] of [
        ["user.contact.mial", "user.contact"],
        ["user.contct.Mail", "user"],
        ["user.a.b.c", "user"],
      ] as const) {
        const sentence = `source.transform.${key} names ${path}, and schema.fields has ${around} without it`;
        expect(refusalOf(path)).toEqual(isAsked ? expect.stringContaining(sentence) : null);
      }
      const right = ["fone", "a.b", "user.contact.Mail"];
      expect(right.map((path) => refusalOf(path))).toEqual([null, null, null]);
      const anyCase = { matchColumns: "ignore-case" } as const;
      const spellings = ["User.Contact.mail", "user.contact.MAIL"];
      expect(spellings.map((path) => refusalOf(path, anyCase))).toEqual([null, null]);
      expect(refusalOf("User.contact.x", anyCase) !== null).toBe(isAsked);
    }
  }
});

function thrownBy(run: () => void): string | null {
  try {
    run();
    return null;
  } catch (error) {
    return String(error);
  }
}

test("names that differ by case only mean one column where that says nothing: masked, it is the declared one", () => {
  const any = { matchColumns: "ignore-case" } as const;
  for (const path of ["user.contact.mail", "USER.contact.MAIL"]) {
    const shaping = { ...strict, ignoresCase: true, mask: [path] };
    const decoder = makeDecoder({ shaping, fields: DEEP, ...any });
    expect(decoder.fields).toEqual(DEEP);
    const { rows } = decode(decoder, ['{"id":1,"user":{"contact":{"mail":"ann@example.com"}}}']);
    expect(rows[0]?.["user"]).not.toEqual({ contact: { Mail: null } });
    expect(JSON.stringify(rows[0]?.["user"])).not.toContain("ann");
    expect(() => decoder.adopt(DEEP, { dropped: [], hasRows: true })).not.toThrow();
  }
  const shaping = { ...strict, ignoresCase: true, mask: ["User.phone"] };
  const further = makeDecoder({ shaping, fields: DEEP, ...any }).fields;
  expect(further.map(({ name }) => name)).toEqual(["id", "user"]);
  const ofNumber = { ...strict, ignoresCase: true, mask: ["ID"] };
  expect(() => makeDecoder({ shaping: ofNumber, fields: DEEP, ...any })).toThrow(
    "Column id is long",
  );
});

test("paths that no record has make no declared column: a table with rows that lacks it is refused", () => {
  const shaping = { ...strict, mask: ["user.fone"] };
  const decoder = makeDecoder({ shaping, fields: DECLARED });
  expect(decoder.declared).toEqual(DECLARED);
  const table = DECLARED.map((each, index) => ({ ...each, id: index + 1 }));
  expect(() => decoder.adopt(table, { dropped: [], hasRows: true })).toThrow(
    "the table has no column user.fone",
  );
});

test("a table with rows has the masked column, or is refused; several topics may lack it", () => {
  const table = [{ ...field("a", "long"), id: 1 }];
  const history = { dropped: [], hasRows: true };
  const one = createDecoder({ ...DECODER_DEFAULTS, shaping: { ...strict, mask: ["ssn"] } });
  expect(() => one.adopt(table, history)).toThrow("the table has no column ssn");
  const many = createDecoder({ ...DECODER_DEFAULTS, shaping: { ...NO_SHAPING, mask: ["ssn"] } });
  expect(() => many.adopt(table, history)).not.toThrow();
});
