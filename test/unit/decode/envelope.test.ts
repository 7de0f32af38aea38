/** Debezium's envelopes: the kernel and the reader beside it say the same of each. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { CHANGE } from "#columns/changes.ts";
import type { DecoderOptions } from "#decode/options.ts";
import type { RecordInput } from "../../support/records.ts";
import { effects } from "./changeEffects.ts";
import { CDC, envelope, record } from "./envelopes.ts";
import { field } from "./support.ts";

const PLACEHOLDER = "__debezium_unavailable_value";

/** As Java's `UUID.nameUUIDFromBytes` makes it. */
function uuidOfName(name: string): string {
  const bytes = createHash("md5").update(name).digest();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x30;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Another value of the same type. */
function other(value: unknown): unknown {
  if (typeof value === "string") return "x";
  if (!Array.isArray(value)) return { x: "x" };
  return typeof value[0] === "number" ? [1] : ["x"];
}

const withSchema = (text: string): string =>
  `{"schema":{"type":"struct","fields":[{"field":"op","type":"string"}]},"payload":${text}}`;

for (const kernel of [false, "always"] as const) {
  const options: Partial<DecoderOptions> = { kernel, changes: CDC };
  const run = (records: readonly RecordInput[], more: Partial<DecoderOptions> = {}) =>
    effects({ ...options, ...more }, records, ["id"]);

  describe(`kernel ${kernel}`, () => {
    test("inserts, snapshots and updates put the row after them, deletes remove the one before", () => {
      const records = [
        record(envelope("r", null, { id: 1, n: 1 })),
        record(envelope("c", null, { id: 2, n: 2 })),
        record(envelope("u", { id: 2, n: 2 }, { id: 2, n: 3 })),
        record(envelope("d", { id: 1, n: null }, null)),
        record(null, 1),
      ];
      const { done, reasons } = run(records);
      expect(done).toEqual([
        ["+", { id: 1n, n: 1n }],
        ["+", { id: 2n, n: 2n }],
        ["+", { id: 2n, n: 3n }],
        ["-", { id: 1n }],
        ["-", { id: 1n }],
      ]);
      expect(reasons).toEqual([]);
    });

    test("an envelope may stand in payload, beside Connect's schemas, and in any order", () => {
      const records = [
        record(withSchema(envelope("c", null, { id: 1, n: 1 }))),
        record('{"op":"c","after":{"n":2,"id":2},"before":null}', 2),
        record('{"op":"d","after":null,"before":{"id":3}}', 3),
      ];
      expect(run(records).done).toEqual([
        ["+", { id: 1n, n: 1n }],
        ["+", { n: 2n, id: 2n }],
        ["-", { id: 3n }],
      ]);
    });

    test("of a member that is there twice the last one counts", () => {
      const twice = '{"op":"d","op":"c","after":{"id":1},"after":{"id":2,"n":1},"before":null}';
      expect(run([record(twice)]).done).toEqual([["+", { id: 2n, n: 1n }]]);
      const gone = '{"after":{"id":1},"op":"d","before":{"id":7},"before":{"id":8},"after":null}';
      expect(run([record(envelope("c", null, { id: 1 })), record(gone)]).done.at(-1)).toEqual([
        "-",
        { id: 8n },
      ]);
    });

    test("what is no envelope is rejected, and messages are passed over", () => {
      const records = [
        record(envelope("c", null, { id: 1 })),
        record('{"id":1}'),
        record(envelope("c", null, null)),
        record(envelope("d", null, null)),
        record(envelope("x", null, { id: 1 })),
        record(envelope("m", null, null)),
        record("[1]"),
        record('{"op":"c"'),
        record('{"op":"c","after":[],"before":null}'),
        record('{"op":1,"after":{"id":1},"before":null}'),
        record(envelope("c", null, { id: null })),
      ];
      const { reasons, skipped } = run(records);
      expect(reasons).toEqual([
        "1 bad_envelope",
        "2 bad_envelope",
        "3 bad_envelope",
        "4 bad_envelope",
        "6 not_an_object",
        "7 bad_json",
        "8 bad_envelope",
        "9 bad_envelope",
        "10 missing_field",
      ]);
      expect(skipped).toBe(1);
    });

    test("a truncate where rows are marked stops the table; a value that the source did not log makes its row a partial one", () => {
      const first = record(envelope("c", null, { id: 1, s: "x" }));
      const unavailable = { id: 1, s: PLACEHOLDER };
      const marking = { changes: { ...CDC, onDelete: "mark" } } as const;
      expect(() => run([first, { value: envelope("t", null, null) }], marking)).toThrow("truncate");
      const update = record(envelope("u", null, unavailable));
      expect(run([first, update]).done).toEqual([
        ["+", { id: 1n, s: "x" }],
        ["~", { id: 1n, s: PLACEHOLDER }],
      ]);
      // Where rows stay when they are deleted, no column says that a row is partial.
      for (const onDelete of ["mark", "ignore"] as const) {
        const changes = { ...CDC, onDelete };
        expect(() => run([first, update], { changes })).toThrow("REPLICA IDENTITY");
      }
      expect(run([first, record(envelope("d", unavailable, null))]).done).toHaveLength(2);
    });

    test("a value that the source did not log is known in the form of each type, and what only mentions it is a value", () => {
      const pretty = (after: object) =>
        envelope("u", null, after).replaceAll(/(?<=\d),(?=\d)/g, ", ");
      const numbers = [...Buffer.from(PLACEHOLDER)];
      const forms = {
        text: PLACEHOLDER,
        "text[]": [PLACEHOLDER],
        bytea: Buffer.from(PLACEHOLDER).toString("base64"),
        "hstore as a text": JSON.stringify({ [PLACEHOLDER]: PLACEHOLDER }),
        "a text in a text": JSON.stringify({ a: JSON.stringify({ b: PLACEHOLDER }) }),
        "int[]": numbers,
        "uuid[]": [uuidOfName(PLACEHOLDER)],
      };
      const first = record(envelope("c", null, { id: 1 }));
      for (const s of Object.values(forms)) {
        const known = record(envelope("c", null, { id: 1, s: other(s) }));
        for (const value of [envelope("u", null, { id: 1, s }), pretty({ id: 1, s })]) {
          // Whether the column is there, or is learned.
          for (const each of [first, known]) {
            expect(run([each, record(value)]).done[1]?.[0]).toBe("~");
          }
        }
      }
      // A member that is called like the placeholder would become a column.
      const hstore = record(envelope("u", null, { id: 1, s: { [PLACEHOLDER]: PLACEHOLDER } }));
      expect(() => run([first, hstore])).toThrow("REPLICA IDENTITY");
      const mentions = [`see ${PLACEHOLDER}`, `${PLACEHOLDER}s`, `"${PLACEHOLDER} "`];
      const lists = [numbers.slice(1), [...numbers, 1], [1, ...numbers]];
      for (const s of [...mentions, ...lists]) {
        expect(run([first, record(envelope("u", null, { id: 1, s }))]).done).toHaveLength(2);
      }
    });

    test("changes without a Kafka key are refused, but a truncate, which never has one", () => {
      const first = record(envelope("c", null, { id: 1 }));
      const records = [
        first,
        { value: envelope("u", null, { id: 1 }) },
        { value: envelope("d", { id: 1 }, null) },
        { value: envelope("m", null, null) },
      ];
      const { done, reasons, skipped } = run(records);
      expect([done.length, skipped]).toEqual([1, 1]);
      expect(reasons).toEqual(["1 null_key", "2 null_key"]);
      expect(run([first, { value: envelope("t", null, null) }]).done).toHaveLength(2);
    });

    test("new fields of the row become columns; nothing of the envelope does", () => {
      const records = [
        record(envelope("c", null, { id: 1 })),
        record(envelope("c", null, { id: 2, more: { a: [1] } }, { ts_us: 1, more: { x: 1 } })),
      ];
      const { names, done } = run(records);
      expect(names).toEqual(["id", "more"]);
      expect(done.at(-1)).toEqual(["+", { id: 2n, more: { a: [1n] } }]);
    });

    test("operation, time, position and table of the source may be columns", () => {
      const metadataColumns = ["op", "source_ts", "source_lsn", "source_table"] as const;
      const records = [
        record(envelope("c", null, { id: 1 })),
        record('{"op":"u","after":{"id":2},"before":null}'),
      ];
      const { done, names } = run(records, { metadataColumns });
      expect(names).toEqual([
        "id",
        "_kafka_op",
        "_kafka_source_ts",
        "_kafka_source_lsn",
        "_kafka_source_table",
      ]);
      expect(done).toEqual([
        [
          "+",
          {
            id: 1n,
            _kafka_op: "c",
            _kafka_source_ts: 1_700_000_000_123_000n,
            _kafka_source_lsn: 99n,
            _kafka_source_table: "orders",
          },
        ],
        [
          "+",
          {
            id: 2n,
            _kafka_op: "u",
            _kafka_source_ts: null,
            _kafka_source_lsn: null,
            _kafka_source_table: null,
          },
        ],
      ]);
    });

    test("by the Kafka key a delete needs no image", () => {
      const changes = { ...CDC, keyFields: [], keyFormat: "string" } as const;
      const records = [
        record(envelope("c", null, { id: 1, n: 1 })),
        record(envelope("d", null, null)),
      ];
      const { done, reasons } = effects({ kernel, changes, metadataColumns: ["key"] }, records, [
        "_kafka_key",
      ]);
      expect(reasons).toEqual([]);
      expect(done.map(([sign]) => sign)).toEqual(["+", "-"]);
    });

    test("a marked row keeps its last image, and the tombstone behind it says nothing more", () => {
      const changes = { ...CDC, onDelete: "mark" } as const;
      const records = [
        record(envelope("c", null, { id: 1, n: 1 })),
        record(envelope("d", { id: 1, n: 1 }, null)),
        record(null),
      ];
      const { done, skipped } = run(records, { changes });
      expect(done).toEqual([
        ["+", { id: 1n, n: 1n, _kafka_deleted: false }],
        ["+", { id: 1n, n: 1n, _kafka_deleted: true }],
      ]);
      expect(skipped).toBe(1);
      const ignored = run(records, { changes: { ...CDC, onDelete: "ignore" } });
      expect([ignored.done.length, ignored.skipped]).toEqual([1, 2]);
    });

    test("a required column that a deleted row does not show does not keep it alive", () => {
      const fields = [
        field("id", "long", true),
        field("n", "int", true),
        field("s", "string", true),
      ];
      const records = [
        record(envelope("c", null, { id: 1, n: 1, s: "x" })),
        record(envelope("d", { id: 1, n: null, s: null }, null)),
      ];
      const { done, reasons } = run(records, { fields });
      expect([done.map(([sign]) => sign), reasons]).toEqual([["+", "-"], []]);
    });

    test("flattened objects of the row stay the row's", () => {
      const records = [record(envelope("c", null, { id: 1, a: { b: 1, c: "x" } }))];
      expect(run(records, { flattenSeparator: "_" }).done).toEqual([
        ["+", { id: 1n, a_b: 1n, a_c: "x" }],
      ]);
    });

    test("a bare row may say itself what was done, in a member that is no column", () => {
      const bare = (opField: string) => ({
        changes: { ...CDC, opField },
        metadataColumns: ["op"] as const,
      });
      const words = [
        record('{"id":1,"n":1,"__op":"c"}'),
        record('{"__op":"u","n":2,"id":1}'),
        record('{"id":2,"n":3,"__op":"INSERT"}', 2),
        record('{"id":1,"n":null,"__op":"d"}'),
        record('{"id":2,"n":null,"__op":"Delete"}', 2),
        record(null, 2),
        record('{"id":3,"__op":"m"}', 3),
        record('{"id":3,"__op":"x"}', 3),
        record('{"id":3}', 3),
        record('{"id":3,"__op":null}', 3),
        record('{"id":3,"__op":["c"]}', 3),
        record("3", 3),
      ];
      const { done, names, reasons, skipped } = run(words, bare("__op"));
      expect(names).toEqual(["id", "n", "_kafka_op"]);
      expect(done).toEqual([
        ["+", { id: 1n, n: 1n, _kafka_op: "c" }],
        ["+", { id: 1n, n: 2n, _kafka_op: "u" }],
        ["+", { id: 2n, n: 3n, _kafka_op: "INSERT" }],
        ["-", { id: 1n }],
        ["-", { id: 2n }],
        ["-", { id: 2n }],
      ]);
      expect(reasons).toEqual([
        "7 bad_operation",
        "8 bad_operation",
        "9 bad_operation",
        "10 bad_operation",
        "11 not_an_object",
      ]);
      expect(skipped).toBe(1);
      const flags = [
        record('{"id":1,"__deleted":"false"}'),
        record('{"id":2,"__deleted":false}', 2),
        record('{"id":1,"__deleted":"true"}'),
        record('{"id":2,"__deleted":true}', 2),
        record('{"id":3,"__deleted":falsy}', 3),
      ];
      const flagged = run(flags, bare("__deleted"));
      expect(flagged.done).toEqual([
        ["+", { id: 1n, _kafka_op: "false" }],
        ["+", { id: 2n, _kafka_op: "false" }],
        ["-", { id: 1n }],
        ["-", { id: 2n }],
      ]);
      expect(flagged.reasons).toEqual(["4 bad_json"]);
      const truncate = [record('{"id":1,"__op":"c"}'), { value: '{"__op":"TRUNCATE"}' }];
      expect(run(truncate, bare("__op")).control).toEqual([CHANGE.put, CHANGE.truncate]);
    });

    test("dates and times of no zone may end with Z, as Debezium's isostring writes them; elsewhere not", () => {
      const fields = [
        field("id", "long", true),
        field("day", "date"),
        field("at", { kind: "timestamp", zone: false }),
        field("clock", "time"),
      ];
      const row = { id: 1, day: "1970-01-03Z", at: "1970-01-01T00:00:01.5Z", clock: "00:00:02Z" };
      const plain = { id: 1, day: "1970-01-03", at: "1970-01-01T00:00:01.5", clock: "00:00:02" };
      const east = { ...row, at: "1970-01-01T00:00:01+01:00" };
      const { done, reasons } = run(
        [row, plain, east].map((after) => record(envelope("c", null, after))),
        { fields },
      );
      const read = { id: 1n, day: 2, at: 1_500_000n, clock: 2_000_000n };
      expect(done).toEqual([
        ["+", read],
        ["+", read],
      ]);
      expect(reasons).toEqual(["2 type_conflict"]);
      const bare = { changes: { ...CDC, mode: "ktable" } as const, fields };
      expect(run([record(JSON.stringify(row))], bare).reasons).toEqual(["0 type_conflict"]);
    });
  });
}
