/** Keys that are one value, in the column that they fill. */
import { expect, test } from "bun:test";
import type { Field } from "#columns/schema.ts";
import type { RowKeyOptions } from "#decode/options.ts";
import { recordBatch } from "../../support/records.ts";
import { field, makeDecoder } from "./support.ts";

test("a key of one column is refused at first sight unless a wider type of its column would hold it", () => {
  const hex = (text: string) => Buffer.from(text, "hex");
  const decimal = { kind: "decimal", precision: 4, scale: 2 } as const;
  const cases: readonly (readonly [
    RowKeyOptions["format"],
    Field["type"],
    readonly (string | Uint8Array)[],
    readonly (string | Uint8Array)[],
  ])[] = [
    ["string", { kind: "int" }, ["x", "1.5", "", String(2n ** 70n), hex("ff")], [String(2 ** 40)]],
    ["string", { kind: "long" }, ["x", String(2n ** 70n)], []],
    ["string", { kind: "double" }, ["", " 7 ", "0x10", "1e999"], []],
    ["string", { kind: "float" }, ["x", "", "1e999"], ["1e300"]],
    ["string", decimal, ["x", "1.234", `1${"0".repeat(40)}`], ["12345.67"]],
    ["string", { kind: "date" }, ["x", "2026-02-30"], []],
    ["string", { kind: "string" }, [hex("ff")], []],
    ["long", { kind: "int" }, [hex("00"), hex("00000001")], [hex("0000010000000000")]],
    ["int", { kind: "int" }, [hex("00"), hex("0000000000000001")], []],
    ["bytes", { kind: "fixed", length: 2 }, [hex("00")], []],
  ];
  for (const [format, type, never, wider] of cases) {
    const fields = [field("id", type), field("n", { kind: "long" })];
    for (const key of [...never, ...wider]) {
      const decoder = makeDecoder({ rowKey: { columns: ["id"], format }, fields });
      const tried = decoder.builder().tryDecode(recordBatch([{ key, value: '{"n":1}' }]));
      const reasons = tried?.rejected.map(({ reason }) => reason) ?? null;
      const told = { format, type, key };
      expect({ ...told, reasons }).toEqual({
        ...told,
        reasons: wider.includes(key) ? null : ["bad_key"],
      });
    }
  }
});

test("whole numbers of text keys may have zeros and a plus in front", () => {
  const fields = [field("id", { kind: "long" }), field("n", { kind: "long" })];
  const decoder = makeDecoder({ rowKey: { columns: ["id"], format: "string" }, fields });
  const builder = decoder.builder();
  const records = ["0042", "+42"].map((key) => ({ key, value: '{"n":1}' }));
  expect(builder.tryDecode(recordBatch(records))?.rejected).toEqual([]);
});
