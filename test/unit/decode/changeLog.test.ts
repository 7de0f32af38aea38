/** Changes as rows of a log, and what empties a table: the kernel and the reader beside it say the same of each. */
import { describe, expect, test } from "bun:test";
import { CHANGE } from "#columns/changes.ts";
import type { Field } from "#columns/schema.ts";
import type { DecoderOptions } from "#decode/options.ts";
import type { RecordInput } from "../../support/records.ts";
import { effects } from "./changeEffects.ts";
import { CDC, envelope, record } from "./envelopes.ts";
import { field } from "./support.ts";

for (const kernel of [false, "always"] as const) {
  const run = (records: readonly RecordInput[], more: Partial<DecoderOptions> = {}) =>
    effects({ kernel, changes: CDC, ...more }, records, ["id"]);

  describe(`kernel ${kernel}`, () => {
    test("in a log of changes each change is a row, and so is a tombstone, with what is known of it", () => {
      const changes = { ...CDC, onDelete: "log" } as const;
      const metadataColumns = ["op", "source_lsn"] as const;
      const records = [
        record(envelope("c", null, { id: 1, n: 1 })),
        record(envelope("u", { id: 1, n: 1 }, { id: 1, n: 2 })),
        record(envelope("d", { id: 1, n: 2 }, null)),
        record(null),
        record(envelope("m", null, null)),
      ];
      const { done, reasons, skipped } = run(records, { changes, metadataColumns });
      const of = (n: bigint | null, op: string | null, deleted = false) => [
        "+",
        { id: 1n, n, _kafka_op: op, _kafka_source_lsn: op && 99n, _kafka_deleted: deleted },
      ];
      expect(done as unknown).toEqual([
        of(1n, "c"),
        of(2n, "u"),
        of(2n, "d", true),
        of(null, null, true),
      ]);
      expect([reasons, skipped]).toEqual([[], 1]);
      const byKey = { ...changes, keyFields: [], keyFormat: "string" } as const;
      const gone = [records[0] as RecordInput, record(envelope("d", null, null))];
      const keyed = run(gone, { changes: byKey, metadataColumns: ["key", "op"] });
      expect([keyed.done.length, keyed.reasons]).toEqual([2, []]);
    });

    test("a value that the source did not log is null in the log, and stops nothing", () => {
      const s = "__debezium_unavailable_value";
      const records = [
        record(envelope("c", null, { id: 1, s: "x" })),
        record(envelope("u", null, { id: 1, s })),
      ];
      const { done, reasons } = run(records, { changes: { ...CDC, onDelete: "log" } });
      expect([done[1]?.[1], reasons]).toEqual([{ id: 1n, s: null, _kafka_deleted: false }, []]);
    });

    test("of a record in a record only that value is null; where it takes no null, what is around it", () => {
      const s = "__debezium_unavailable_value";
      const doc = { a: s, b: 7, c: { d: s, e: "x" }, l: [s, "y"] };
      const changes = { ...CDC, onDelete: "log" } as const;
      const learned = [
        record(envelope("c", null, { id: 1, doc: { ...doc, a: "x", c: { d: "x", e: "x" } } })),
        record(envelope("u", null, { id: 1, doc })),
      ];
      const cleared = { a: null, b: 7n, c: { d: null, e: "x" }, l: null };
      const row = { id: 1n, doc: cleared, _kafka_deleted: false };
      expect(run(learned, { changes }).done[1]?.[1]).toEqual(row);
      const bare = [record(JSON.stringify({ op: "u", id: 1, doc: { a: s, b: 7 } }))];
      const flagged = { changes: { ...changes, opField: "op" } };
      expect(run(bare, flagged).done[0]?.[1]).toMatchObject({ doc: { a: null, b: 7n } });
      const inner = [field("a", "string", true), field("b", "long")];
      const columns = (isRequired: boolean): Field[] => [
        field("id", "long"),
        field("doc", { kind: "struct", fields: inner }, isRequired),
      ];
      const given = { changes: flagged.changes, infer: false };
      const loose = run(bare, { ...given, fields: columns(false) });
      expect([loose.done[0]?.[1], loose.reasons]).toMatchObject([{ doc: null }, []]);
      expect(() => run(bare, { ...given, fields: columns(true) })).toThrow("did not log");
    });

    test("a truncate empties the table of what came before it, is passed over, or is a row of the log", () => {
      const metadataColumns = ["op", "source_lsn"] as const;
      const records = [
        record(envelope("c", null, { id: 1, n: 1 })),
        { value: envelope("t", null, null) },
        record(envelope("c", null, { id: 2, n: 2 })),
      ];
      const { control, reasons } = run(records, { metadataColumns });
      expect([control, reasons]).toEqual([[CHANGE.put, CHANGE.truncate, CHANGE.put], []]);
      const byKey = { ...CDC, keyFields: [], keyFormat: "string" } as const;
      const keyed = { metadataColumns: ["key"] } as const;
      const found = run([...records, { value: envelope("c", null, { id: 3 }) }], {
        ...keyed,
        changes: byKey,
      });
      expect(found.control).toEqual([CHANGE.put, CHANGE.truncate, CHANGE.put]);
      expect(found.reasons).toEqual(["3 missing_field"]);
      const ignored = run(records, { changes: { ...CDC, onDelete: "ignore" } });
      expect([ignored.done.length, ignored.skipped]).toEqual([2, 1]);
      const log = run(records, { metadataColumns, changes: { ...CDC, onDelete: "log" } });
      expect(log.done[1]).toEqual([
        "+",
        {
          ...{ id: null, n: null, _kafka_op: "t", _kafka_source_lsn: 99n },
          _kafka_deleted: true,
        },
      ]);
      const logByKey = { ...keyed, changes: { ...byKey, onDelete: "log" } } as const;
      expect(run(records, logByKey).done[1]?.[1]).toMatchObject({ _kafka_key: null, id: null });
    });

    test("no record with a key empties a table, whatever it says: it is refused alone, wherever deletes go", () => {
      const flags = [
        record('{"id":1,"deleted":false}'),
        record('{"id":1,"deleted":"t"}'),
        record('{"id":2,"deleted":"TRUNCATE"}', 2),
        record('{"id":3,"deleted":false}', 3),
      ];
      const envelopes = [
        record(envelope("c", null, { id: 1 })),
        record(envelope("t", null, null)),
        record(envelope("t", { id: 2 }, { id: 2 }), 2),
        record(envelope("c", null, { id: 3 }), 3),
      ];
      for (const onDelete of ["delete", "mark", "ignore", "log"] as const) {
        const enveloped = run(envelopes, { changes: { ...CDC, onDelete } });
        const bare = run(flags, { changes: { ...CDC, onDelete, opField: "deleted" } });
        for (const { done, reasons, control } of [enveloped, bare]) {
          expect(done.map(([, { id }]) => id)).toEqual([1n, 3n]);
          expect(reasons).toEqual(["1 keyed_truncate", "2 keyed_truncate"]);
          expect(control).not.toContain(CHANGE.truncate);
        }
      }
    });
  });
}
