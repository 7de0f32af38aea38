/** `[source.transform]` in Avro where fields come by other names, or in another place than before. */
import { expect, test } from "bun:test";
import type { DecoderOptions } from "#decode/options.ts";
import { NO_SHAPING, type ShapingOptions } from "#decode/shaping.ts";
import { avroBytes, type Decoded, framed } from "../../../support/avroRows.ts";
import { registryRig } from "../../../support/registryRig.ts";
import { member, record, struct } from "./shapedRows.ts";

type More = Partial<DecoderOptions> & { readonly shape: Partial<ShapingOptions> };

/** Rows of values, each with its version of a schema, one after the other in one table. */
async function versions(
  written: readonly (readonly [schema: object, value: unknown])[],
  { shape, ...more }: More,
): Promise<Decoded[]> {
  const separator = more.flattenSeparator ?? ".";
  const shaping = { ...NO_SHAPING, hashSalt: "salt", separator, isStrict: true, ...shape };
  const rig = registryRig("avro", { ...more, shaping });
  const decoded = [];
  for (const [schema, value] of written) {
    const id = rig.server.register("t-value", JSON.stringify(schema), "AVRO");
    decoded.push(await rig.decode([framed(id, avroBytes(schema, value))]));
  }
  return decoded;
}

test("flattened records that are renamed with aliases fill the columns that they had, left out and covered as before", async () => {
  const inner = struct("I", member("ssn", "string"), member("n", "int"));
  const first = record(member("id", "int"), member("u", struct("U", member("i", inner))));
  const renamed = member("inside", inner, { aliases: ["i"] });
  const second = record(
    member("id", "int"),
    member("user", struct("U", renamed), { aliases: ["u"] }),
  );
  const written = [
    [first, { id: 1, u: { i: { ssn: "secret", n: 1 } } }],
    [second, { id: 2, user: { inside: { ssn: "secret", n: 2 } } }],
  ] as const;
  for (const onUnknownField of ["evolve", "rescue"] as const) {
    for (const key of ["exclude", "mask", "hash"] as const) {
      const shape = { [key]: ["u.i.ssn"] };
      const found = await versions(written, { shape, onUnknownField, flattenSeparator: "_" });
      const [one, two] = found.map(({ rows }) => rows[0]);
      expect(two).toEqual({ ...one, id: 2, u_i_n: 2 });
    }
  }
});

test("a record that becomes one of a union of several has what was left out or covered in it so in the union, too", async () => {
  const person = struct("Person", member("ssn", "int"), member("n", "int"));
  const company = struct("Company", member("vat", "string"));
  const [first, second] = [person, [person, company]].map((type) =>
    record(member("id", "int"), member("p", type)),
  );
  if (first === undefined || second === undefined) throw new Error("two schemas");
  const written = [
    [first, { id: 1, p: { ssn: 4711, n: 1 } }],
    [second, { id: 2, p: { Person: { ssn: 4711, n: 2 } } }],
    [second, { id: 3, p: { Company: { vat: "v" } } }],
  ] as const;
  for (const flattenSeparator of [null, "_"]) {
    for (const key of ["exclude", "mask", "hash"] as const) {
      const shape = { [key]: ["p.ssn"] };
      const found = await versions(written, { shape, flattenSeparator });
      const rows = found.map((each) => each.rows);
      expect(rows.map(({ length }) => length)).toEqual([1, 1, 1]);
      expect(Bun.inspect(rows, { depth: 9 })).not.toContain("4711");
      expect(Bun.inspect(rows[1], { depth: 9 })).toContain("n: 2");
      const kept = await versions(written, { shape, flattenSeparator, onUnknownField: "rescue" });
      expect(
        Bun.inspect(
          kept.map((each) => each.rows),
          { depth: 9 },
        ),
      ).not.toContain("4711");
    }
  }
});

test("where a field is selected by its new name, and covered by an alias, it is covered", async () => {
  const schema = (...fields: readonly object[]): object =>
    record(member("id", "int"), member("p", struct("P", ...fields)));
  const written = [
    [schema(member("ssn", "string")), { id: 1, p: { ssn: "secret" } }],
    [schema(member("social", "string", { aliases: ["ssn"] })), { id: 2, p: { social: "secret" } }],
  ] as const;
  const found = await versions(written, { shape: { select: ["id", "p"], mask: ["p.ssn"] } });
  expect(found.map(({ rows }) => rows[0])).toEqual([
    { id: 1, p: { ssn: "***" } },
    { id: 2, p: { ssn: "***" } },
  ]);
});

test("where columns are found whatever their case, fields of another case are left out and covered, too", async () => {
  const user = struct("U", member("Mail", "string"), member("n", "int"));
  const schema = record(member("ID", "int"), member("SSN", "string"), member("U", user));
  const value = { ID: 1, SSN: "secret", U: { Mail: "secret", n: 1 } };
  for (const key of ["exclude", "mask", "hash"] as const) {
    const shape = { [key]: ["ssn", "u.mail"], ignoresCase: true, isStrict: false };
    const [found] = await versions([[schema, value]], { shape, matchColumns: "ignore-case" });
    expect(found?.rows.length).toBe(1);
    expect(Bun.inspect(found?.rows, { depth: 9 })).not.toContain("secret");
  }
});

test("a value of another type in such a union is refused, since it may be what was to be left out or covered", async () => {
  const person = struct("Person", member("ssn", "string"), member("n", "int"));
  const lines = { type: "array", items: struct("Line", member("ssn", "string")) };
  const [first, second] = [person, ["null", person, lines, "string"]].map((type) =>
    record(member("id", "int"), member("p", type)),
  );
  if (first === undefined || second === undefined) throw new Error("two schemas");
  const written = [
    [first, { id: 1, p: { ssn: "secret", n: 1 } }],
    [second, { id: 2, p: { array: [{ ssn: "secret" }] } }],
    [second, { id: 3, p: { string: "secret" } }],
    [second, { id: 4, p: null }],
  ] as const;
  for (const flattenSeparator of [null, "_"]) {
    for (const onUnknownField of ["evolve", "rescue"] as const) {
      const shape = { mask: ["p.ssn"] };
      const found = await versions(written, { shape, flattenSeparator, onUnknownField });
      expect(found.map(({ rows }) => rows.length)).toEqual([1, 0, 0, 1]);
      expect(Bun.inspect(found[0]?.rows, { depth: 9 })).not.toContain("secret");
    }
  }
});

test("nor is it shown in a union inside a union, at any depth, however the record around became one of several", async () => {
  const leaf = struct("Q", member("ssn", "string"));
  const other = struct("P2", member("x", "int"));
  const first = record(member("id", "int"), member("p", struct("P", member("q", leaf))));
  const wrong = [
    ["string", { string: "SECRET" }],
    ["bytes", { bytes: Buffer.from("SECRET") }],
    [{ type: "array", items: "Q" }, { array: [{ ssn: "SECRET" }] }],
    [{ type: "map", values: "string" }, { map: { k: "SECRET" } }],
  ] as const;
  const written = wrong.map(([type, q]) => {
    const around = [struct("P", member("q", [leaf, type])), other];
    return [record(member("id", "int"), member("p", around)), { id: 2, p: { P: { q } } }] as const;
  });
  for (const flattenSeparator of [null, "_"]) {
    for (const onUnknownField of ["evolve", "rescue"] as const) {
      for (const key of ["exclude", "mask", "hash"] as const) {
        const more = { shape: { [key]: ["p.q.ssn"] }, flattenSeparator, onUnknownField };
        for (const second of written) {
          const found = await versions(
            [[first, { id: 1, p: { q: { ssn: "SECRET" } } }], second],
            more,
          );
          expect(found.map(({ rows }) => rows.length)).toEqual([1, 0]);
          expect(Bun.inspect(found[0]?.rows, { depth: 9 })).not.toContain("SECRET");
        }
      }
    }
  }
});

test("nor where it has an alias for what was a record, or a column from before the setting", async () => {
  const leaf = struct("Q", member("ssn", "string"));
  const first = record(member("id", "int"), member("p", struct("P", member("q", leaf))));
  const other = struct("P2", member("x", "int"));
  const wrong = [
    ["string", "SECRET"],
    ["bytes", Buffer.from("SECRET")],
    [{ type: "array", items: "string" }, ["SECRET"]],
    [{ type: "map", values: "string" }, { k: "SECRET" }],
    [["null", "string"], { string: "SECRET" }],
  ] as const;
  for (const [type, qq] of wrong) {
    const inner = struct("P", member("qq", type, { aliases: ["q"] }));
    const second = record(member("id", "int"), member("p", [inner, other]));
    const third = record(member("id", "int"), member("p", inner));
    for (const flattenSeparator of [null, "_"]) {
      for (const onUnknownField of ["evolve", "ignore"] as const) {
        for (const key of ["exclude", "mask", "hash"] as const) {
          const more = { shape: { [key]: ["p.q.ssn"] }, flattenSeparator, onUnknownField };
          const written = [
            [first, { id: 1, p: { q: { ssn: "SECRET" } } }],
            [second, { id: 2, p: { P: { qq } } }],
            [third, { id: 3, p: { qq } }],
          ] as const;
          const found = await versions(written, more);
          const rows = found.map((each) => each.rows);
          expect(Bun.inspect(rows, { depth: 9 })).not.toContain("SECRET");
        }
      }
    }
  }
});
