/** `[source.transform]` in Avro where a new version of a schema has its fields elsewhere. */
import { expect, test } from "bun:test";
import type { DecoderOptions } from "#decode/options.ts";
import { NO_SHAPING, type ShapingOptions } from "#decode/shaping.ts";
import { avroBytes, type Decoded, framed } from "../../../support/avroRows.ts";
import { registryRig } from "../../../support/registryRig.ts";

const member = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more });
const record = (...fields: readonly object[]) => ({ type: "record", name: "R", fields });
const struct = (name: string, ...fields: readonly object[]) => ({ type: "record", name, fields });

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
      const shape = { [key]: ["u_i_ssn"] };
      const found = await versions(written, { shape, onUnknownField, flattenSeparator: "_" });
      const [one, two] = found.map(({ rows }) => rows[0]);
      expect(two).toEqual({ ...one, id: 2, u_i_n: 2 });
    }
  }
});
