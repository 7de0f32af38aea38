/** Changes in the formats of a registry: the kernel and the reader beside it say the same of each. */
import { describe, expect, test } from "bun:test";
import { CHANGE, splitChanges } from "#columns/changes.ts";
import type { Field } from "#columns/schema.ts";
import type { ChangeOptions, DecoderOptions } from "#decode/options.ts";
import { NO_SHAPING } from "#decode/shaping.ts";
import { avroBytes, framed } from "../../../support/avroRows.ts";
import { rowsOf } from "../../../support/columnValues.ts";
import { recordBatch } from "../../../support/records.ts";
import { CHANGE_FORMATS, registered, type SourceChange } from "../../../support/registryChanges.ts";
import { type RegistryRig, registryRig } from "../../../support/registryRig.ts";
import { rejection } from "../../../support/rejection.ts";

const CDC: ChangeOptions = {
  mode: "cdc",
  keyFields: ["id"],
  keyFormat: "json",
  onDelete: "delete",
  opField: null,
};
const PLACEHOLDER = "__debezium_unavailable_value";
const SOURCE = { ts_ms: 1_700_000_000_123, lsn: 99, table: "t" };

const change = (
  op: string,
  before: SourceChange["before"],
  after: SourceChange["after"],
): SourceChange => ({ op, before, after, source: SOURCE });

/**
 * What records do: `+` and a row that is put, `-` and the key of one that goes; and why others did nothing.
 * @param keyless the value whose records have no key; default: none
 */
async function effects(
  rig: RegistryRig,
  values: readonly (Uint8Array | null)[],
  keyless?: Uint8Array,
) {
  const { decoder } = rig;
  const keyOf = (value: Uint8Array | null): string | null =>
    value === keyless ? null : '{"id":7}';
  const batch = recordBatch(values.map((value) => ({ key: keyOf(value), value })));
  for (let next = decoder.prepare?.(batch); next; next = decoder.prepare?.(batch)) await next;
  if (decoder.needsSample) decoder.sample([batch]);
  const segment = decoder.builder();
  const { rejected, skipped } = segment.decode(batch);
  const { rows, changes } = splitChanges(segment.seal());
  const done = rowsOf(rows).map((row, index) => {
    const change = changes?.[index];
    if (change === CHANGE.delete) return ["-", row["id"]];
    return [change === CHANGE.partial ? "~" : "+", row];
  });
  const control = [...(changes ?? [])];
  return {
    done,
    skipped,
    control,
    reasons: rejected.map((each) => `${each.offset} ${each.reason}`),
  };
}

test("in Avro a list of numbers holds what is lacking, whether its items may be null or not", async () => {
  for (const items of ["int", "long", ["null", "int"], ["null", "long"]]) {
    const row = {
      type: "record",
      name: "Value",
      fields: [
        { name: "id", type: "long" },
        { name: "list", type: { type: "array", items } },
      ],
    };
    const schema = {
      type: "record",
      name: "Envelope",
      fields: [
        { name: "after", type: row },
        { name: "op", type: "string" },
      ],
    };
    const rig = registryRig("avro", { kernel: "always", changes: CDC });
    const id = rig.server.register("t-value", JSON.stringify(schema), "AVRO");
    const update = (bytes: readonly number[]): Uint8Array => {
      const list = bytes.map((byte) =>
        typeof items === "string" ? byte : { [items[1] ?? ""]: byte },
      );
      return framed(id, avroBytes(schema, { op: "u", after: { id: 1, list } }));
    };
    const bytes = [...Buffer.from(PLACEHOLDER)];
    const { done } = await effects(rig, [update(bytes.slice(1)), update(bytes)]);
    expect(done.map(([sign]) => sign)).toEqual(["+", "~"]);
  }
});

for (const format of CHANGE_FORMATS) {
  for (const kernel of [false, "always"] as const) {
    const rigOf = (changes: ChangeOptions, more: Partial<DecoderOptions> = {}): RegistryRig =>
      registryRig(format.name, { kernel, changes, ...more });
    const none = { n: null, s: null, tags: format.name === "protobuf" ? [] : null };

    describe(`${format.name}, kernel ${kernel}`, () => {
      test("inserts, snapshots and updates put the row after them, deletes remove the one before", async () => {
        const rig = rigOf(CDC);
        const write = registered(rig, format);
        const { done, reasons, skipped } = await effects(rig, [
          write(change("r", null, { id: 1, n: 1 })),
          write(change("c", null, { id: 2, s: "two", tags: ["a", "b"] })),
          write(change("u", { id: 2, tags: ["a"] }, { id: 2, n: 3 })),
          write(change("d", { id: 1, n: 9, tags: ["x"] }, null)),
          null,
          write(change("m", null, null)),
          write(change("c", { id: 8 }, { id: 3 })),
        ]);
        expect(done).toEqual([
          ["+", { ...none, id: 1n, n: 1 }],
          ["+", { ...none, id: 2n, s: "two", tags: ["a", "b"] }],
          ["+", { ...none, id: 2n, n: 3 }],
          ["-", 1n],
          ["-", 7n],
          ["+", { ...none, id: 3n }],
        ]);
        expect([reasons, skipped]).toEqual([[], 1]);
      });

      test("the operation and the source of a change have columns where they are asked for", async () => {
        const rig = rigOf(CDC, {
          metadataColumns: ["op", "source_ts", "source_lsn", "source_table"],
        });
        const write = registered(rig, format);
        const first = { ...change("c", null, { id: 1 }), source: { ...SOURCE, lsn: null } };
        const { done } = await effects(rig, [write(first), write(change("u", null, { id: 2 }))]);
        const source = { _kafka_source_ts: 1_700_000_000_123_000n, _kafka_source_table: "t" };
        expect(done).toEqual([
          ["+", { ...none, id: 1n, _kafka_op: "c", ...source, _kafka_source_lsn: null }],
          ["+", { ...none, id: 2n, _kafka_op: "u", ...source, _kafka_source_lsn: 99n }],
        ]);
      });

      test("a change without the order by which it would be judged is rejected", async () => {
        const ordered = { ...CDC, onDelete: "mark", orderColumn: "_kafka_source_lsn" } as const;
        const rig = rigOf(ordered, { metadataColumns: ["source_lsn"] });
        const write = registered(rig, format);
        const without = { ...change("c", null, { id: 2 }), source: { ...SOURCE, lsn: null } };
        const { done, reasons } = await effects(rig, [
          write(change("c", null, { id: 1 })),
          write(without),
          write(change("d", { id: 3, n: 5 }, null)),
        ]);
        expect(done.map(([, row]) => row)).toMatchObject([
          { id: 1n, _kafka_source_lsn: 99n, _kafka_deleted: false },
          { id: 3n, n: 5, _kafka_source_lsn: 99n, _kafka_deleted: true },
        ]);
        expect(reasons).toEqual(["1 missing_field"]);
      });

      test("what is no change is rejected, and a truncate where rows are marked and a value that was not logged stop the table", async () => {
        const rig = rigOf(CDC);
        const write = registered(rig, format);
        const first = write(change("c", null, { id: 1 }));
        const { done, reasons } = await effects(rig, [
          first,
          write(change("c", null, null)),
          write(change("d", null, null)),
          write(change("x", null, { id: 1 })),
          write(change("c", null, { id: null })),
        ]);
        expect(done).toHaveLength(1);
        expect(reasons).toEqual([
          "1 bad_envelope",
          "2 bad_envelope",
          "3 bad_envelope",
          "4 missing_field",
        ]);
        const truncate = write(change("t", null, null));
        const marking = rigOf({ ...CDC, onDelete: "mark" });
        const unmarked = registered(marking, format)(change("t", null, null));
        const marked = effects(marking, [unmarked], unmarked);
        expect(String(await rejection(marked))).toContain("truncate");
        const ofRow = await effects(rig, [first, truncate]);
        expect([ofRow.control, ofRow.reasons]).toEqual([[CHANGE.put], ["1 keyed_truncate"]]);
        const emptied = await effects(rig, [first, truncate, first], truncate);
        expect([emptied.done.length, emptied.reasons]).toEqual([3, []]);
        expect(emptied.control).toEqual([CHANGE.put, CHANGE.truncate, CHANGE.put]);
        for (const lacking of [{ s: PLACEHOLDER }, { tags: ["a", PLACEHOLDER] }]) {
          const update = write(change("u", { id: 1 }, { id: 1, ...lacking }));
          expect((await effects(rig, [first, update])).done[1]?.[0]).toBe("~");
          const removal = write(change("d", { id: 1, ...lacking }, null));
          expect((await effects(rig, [first, removal])).done).toHaveLength(2);
        }
        const mentioned = write(change("u", null, { id: 1, s: `8${PLACEHOLDER}` }));
        expect((await effects(rig, [first, mentioned])).done).toHaveLength(2);
      });

      test("a value that is lacking where its column cannot say so stops the table; a text that mentions it does not", async () => {
        const fields: Field[] = [
          { id: 1, name: "id", required: true, type: { kind: "long" } },
          { id: 2, name: "s", required: false, type: { kind: "int" } },
        ];
        const masking = rigOf(CDC, { shaping: { ...NO_SHAPING, mask: ["s"] } });
        const narrow = rigOf(CDC, { fields, infer: false });
        for (const [rig, wanted] of [
          [masking, []],
          [narrow, ["0 type_conflict"]],
        ] as const) {
          const write = registered(rig, format);
          const update = (s: string): Uint8Array => write(change("u", null, { id: 1, s }));
          for (const mention of ["__debezium", `see ${PLACEHOLDER}`, PLACEHOLDER.slice(0, -1)]) {
            const { reasons } = await effects(rig, [update(mention)]);
            expect([mention, reasons]).toEqual([mention, [...wanted]]);
          }
          const lacking = effects(rig, [update(PLACEHOLDER)]);
          expect(String(await rejection(lacking))).toContain("lacks a value");
        }
      });

      test("a bare row says in a member of its own what was done, which is no column", async () => {
        const rig = rigOf({ ...CDC, opField: "__op" });
        const write = registered(rig, format, format.bare());
        const { done, reasons } = await effects(rig, [
          write({ id: 1, n: 1, __op: "c" }),
          write({ id: 1, n: 2, s: "x", tags: ["t"], __op: "d" }),
          write({ id: 2, __op: "false" }),
          write({ id: 3, n: null, __op: "true" }),
          write({ id: 4, __op: "INSERT" }),
          write({ id: 5, __op: "what" }),
        ]);
        expect(done).toEqual([
          ["+", { ...none, id: 1n, n: 1 }],
          ["-", 1n],
          ["+", { ...none, id: 2n }],
          ["-", 3n],
          ["+", { ...none, id: 4n }],
        ]);
        expect(reasons).toEqual(["5 bad_operation"]);
      });

      test("deletes may mark their row, or be passed over", async () => {
        const marking = rigOf({ ...CDC, onDelete: "mark" });
        const removal = change("d", { id: 1, n: 2, tags: ["x"] }, null);
        const { done } = await effects(marking, [registered(marking, format)(removal)]);
        expect(done).toEqual([["+", { ...none, id: 1n, n: 2, tags: ["x"], _kafka_deleted: true }]]);
        const ignoring = rigOf({ ...CDC, onDelete: "ignore" });
        const { done: ignored } = await effects(ignoring, [registered(ignoring, format)(removal)]);
        expect(ignored).toEqual([]);
      });

      test("in a log of changes each change is a row, and so is a tombstone", async () => {
        const logging = rigOf({ ...CDC, onDelete: "log" }, { metadataColumns: ["op"] });
        const write = registered(logging, format);
        const { done, reasons } = await effects(logging, [
          write(change("c", null, { id: 1, n: 1 })),
          write(change("d", { id: 1, n: 2, tags: ["x"] }, null)),
          null,
        ]);
        const row = { ...none, id: 1n, _kafka_op: "c", _kafka_deleted: false };
        expect(reasons).toEqual([]);
        expect(done).toEqual([
          ["+", { ...row, n: 1 }],
          ["+", { ...row, n: 2, tags: ["x"], _kafka_op: "d", _kafka_deleted: true }],
          ["+", { ...row, tags: null, id: 7n, n: null, _kafka_op: null, _kafka_deleted: true }],
        ]);
      });

      test("rows are found by the Kafka key where no column is the key", async () => {
        const rig = rigOf({ ...CDC, keyFields: [] }, { metadataColumns: ["key"] });
        const write = registered(rig, format);
        const { done } = await effects(rig, [
          write(change("c", null, { id: 1 })),
          write(change("d", { id: 1 }, null)),
        ]);
        expect(done.map(([sign]) => sign)).toEqual(["+", "-"]);
      });

      test("a new version of the envelope's schema brings the row's new column, and old ones are still read", async () => {
        const rig = rigOf(CDC);
        const old = registered(rig, format);
        await effects(rig, [old(change("c", null, { id: 1 }))]);
        const next = registered(rig, format, format.envelope(2));
        const { done, reasons } = await effects(rig, [
          old(change("c", null, { id: 2 })),
          next(change("u", null, { id: 1, later: "here" })),
          next(change("d", { id: 2, later: "gone" }, null)),
        ]);
        expect(reasons).toEqual([]);
        expect(done).toEqual([
          ["+", { ...none, id: 2n, later: null }],
          ["+", { ...none, id: 1n, later: "here" }],
          ["-", 2n],
        ]);
      });

      test("in a table that keeps the last row of each key values are rows, and a tombstone is a delete", async () => {
        const rig = rigOf({ ...CDC, mode: "ktable" });
        const schema = format.bare();
        const write = registered(rig, format, schema);
        const { done } = await effects(rig, [write({ id: 1, n: 1, __op: "x" }), null]);
        expect(done).toEqual([
          ["+", { ...none, id: 1n, n: 1, __op: "x" }],
          ["-", 7n],
        ]);
      });
    });
  }
}
