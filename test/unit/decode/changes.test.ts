import { describe, expect, test } from "bun:test";
import type { ChangeOptions } from "#decode/options.ts";
import { recordBatch } from "../../support/records.ts";
import { effects } from "./changeEffects.ts";
import { field, makeDecoder } from "./support.ts";

const KERNELS = [false, "always"] as const;
const KTABLE: ChangeOptions = {
  mode: "ktable",
  keyFields: [],
  keyFormat: "string",
  onDelete: "delete",
  opField: null,
};

for (const kernel of KERNELS) {
  describe(`kernel ${kernel}`, () => {
    const byKafkaKey = {
      kernel,
      metadataColumns: ["key"],
      changes: KTABLE,
    } as const;

    test("a record without a value deletes the row of its Kafka key, one with a value puts it", () => {
      const records = [
        { key: "a", value: '{"n":1}' },
        { key: "b", value: '{"n":2}' },
        { key: "a", value: null },
      ];
      const { done, names } = effects(byKafkaKey, records, ["_kafka_key"]);
      expect(done).toEqual([
        ["+", { n: 1n, _kafka_key: "61" }],
        ["+", { n: 2n, _kafka_key: "62" }],
        ["-", { _kafka_key: "61" }],
      ]);
      expect(names).toEqual(["n", "_kafka_key"]);
    });

    test("a record whose row could never be found again is rejected, with a value or without", () => {
      const records = [{ value: '{"n":1}' }, { value: null }, { key: "a", value: '{"n":3}' }];
      const { done, reasons } = effects(byKafkaKey, records, []);
      expect(done).toHaveLength(1);
      expect(reasons).toEqual(["0 missing_field", "1 null_key"]);
    });

    const byFields = {
      kernel,
      changes: { ...KTABLE, keyFields: ["id"], keyFormat: "json" },
    } as const;

    test("columns of the key come from the value, and without one from the JSON of the Kafka key", () => {
      const schema = '{"type":"struct","fields":[{"field":"id","type":"int64"}]}';
      const records = [
        { key: '{"id":7}', value: '{"id":7,"name":"x"}' },
        { key: '{"id":7,"more":[1]}', value: null },
        { key: `{"schema":${schema},"payload":{"id":8}}`, value: null },
        { key: '{"name":"y"}', value: null },
        { key: "8", value: null },
        { key: '{"id":null}', value: null },
        { key: '{"id":9}', value: '{"name":"z"}' },
        { key: '{"id":9}', value: '{"id":null}' },
      ];
      const { done, reasons } = effects(byFields, records, ["id"]);
      expect(done).toEqual([
        ["+", { id: 7n, name: "x" }],
        ["-", { id: 7n }],
        ["-", { id: 8n }],
      ]);
      expect(reasons).toEqual([
        "3 bad_key",
        "4 bad_key",
        "5 bad_key",
        "6 missing_field",
        "7 missing_field",
      ]);
    });

    test("a change without a Kafka key is refused, whatever deletes do: nothing orders it behind earlier ones", () => {
      const records = [
        { key: '{"id":1}', value: '{"id":1}' },
        { value: '{"id":1}' },
        { key: "", value: '{"id":2}' },
        { value: '{"id":1,"id":' },
        ...Array.from({ length: 40 }, () => ({ key: '{"id":3}', value: '{"id":3}' })),
        { value: '{"id":4}' },
      ];
      for (const onDelete of ["delete", "mark", "ignore"] as const) {
        const changes = { ...byFields.changes, onDelete };
        const { done, reasons } = effects({ kernel, changes }, records, ["id"]);
        expect(done).toHaveLength(42);
        expect(reasons).toEqual(["1 null_key", "3 bad_json", "44 null_key"]);
      }
    });

    test("a text is a key of one column, by the column's type", () => {
      const of = (type: "string" | "long" | "uuid") => {
        const uuid = "5b0b7a5e-0c1d-4c3b-9a63-4a5a1b0f9f11";
        const keys = ["12", "x", uuid];
        const changes = { ...KTABLE, keyFields: ["id"] };
        const fields = [field("id", type, true), field("n", "long")];
        const records = keys.map((key) => ({ key, value: null }));
        const { done, reasons } = effects({ kernel, changes, fields }, records, ["id"]);
        return [done.map(([, row]) => (row as { id: unknown }).id), reasons];
      };
      expect(of("string")[0]).toEqual(["12", "x", "5b0b7a5e-0c1d-4c3b-9a63-4a5a1b0f9f11"]);
      expect(of("long")).toEqual([[12n], ["1 bad_key", "2 bad_key"]]);
      expect(of("uuid")[1]).toEqual(["0 bad_key", "1 bad_key"]);
    });

    test("a deleted row needs no other column, be it required in the table", () => {
      const fields = [field("id", "long"), field("n", "int", true), field("s", "string", true)];
      const records = [
        { key: '{"id":1}', value: '{"id":1,"n":2,"s":"x"}' },
        { key: '{"id":1}', value: null },
      ];
      const { done, reasons } = effects({ ...byFields, fields }, records, ["id"]);
      expect(done.map(([sign]) => sign)).toEqual(["+", "-"]);
      expect(reasons).toEqual([]);
    });

    test("deletes may mark their row, or be passed over", () => {
      const records = [
        { key: '{"id":1}', value: '{"id":1,"n":2}' },
        { key: '{"id":1}', value: null },
      ];
      const mark = { ...byFields.changes, onDelete: "mark" } as const;
      expect(effects({ kernel, changes: mark }, records, []).done).toEqual([
        ["+", { id: 1n, n: 2n, _kafka_deleted: false }],
        ["+", { id: 1n, n: null, _kafka_deleted: true }],
      ]);
      const ignore = { ...byFields.changes, onDelete: "ignore" } as const;
      const ignored = effects({ kernel, changes: ignore }, records, []);
      expect([ignored.done.length, ignored.skipped]).toEqual([1, 1]);
    });

    test("a column of the key that no record has shown yet is waited for, not made up", () => {
      const decoder = makeDecoder(byFields);
      decoder.sample([recordBatch([{ key: '{"id":1}', value: '{"n":1}' }])]);
      const segment = decoder.builder();
      const batch = recordBatch([
        { key: '{"id":1}', value: null },
        { key: '{"id":1}', value: '{"n":1}' },
        { key: '{"id":1}', value: '{"id":1,"n":2}' },
      ]);
      const { rows, rejected } = segment.decode(batch);
      expect([rows, rejected.map(({ offset, reason }) => `${offset} ${reason}`)]).toEqual([
        2,
        ["1 missing_field"],
      ]);
    });
  });
}
