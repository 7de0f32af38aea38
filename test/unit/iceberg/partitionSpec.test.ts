import { describe, expect, test } from "bun:test";
import { type Field, type PrimitiveType, primitiveName } from "#columns/schema.ts";
import { freshSchema } from "#iceberg/metadata/newTable.ts";
import { partitionSpecOf, strategyForms } from "#iceberg/partition/partitionSpec.ts";

const column = (name: string, type: Field["type"]): Field => ({
  id: 0,
  name,
  required: false,
  type,
});

const COLUMNS = freshSchema([
  column("id", { kind: "long" }),
  column("ts", { kind: "timestamp", zone: true }),
  column("day", { kind: "date" }),
  column("name", { kind: "string" }),
  column("name_trunc", { kind: "string" }),
  column("odd, (name)", { kind: "int" }),
  column("device", { kind: "struct", fields: [column("os", { kind: "string" })] }),
  column("tags", { kind: "list", element: column("element", { kind: "string" }) }),
  column("price", { kind: "decimal", precision: 2, scale: 0 }),
]).fields;

function short(...forms: string[]): string[] {
  return partitionSpecOf(COLUMNS, forms).fields.map(
    (field) => `${field.fieldId} ${field.name} = ${field.transform} of ${field.sourceId}`,
  );
}

describe("partitionSpecOf", () => {
  test("gives Iceberg's default names, and ids from 1000", () => {
    expect(
      short("day(ts)", "bucket(16, id)", "truncate(odd, (name), 4)", "name", "month(day)"),
    ).toEqual([
      "1000 ts_day = day of 2",
      "1001 id_bucket = bucket[16] of 1",
      "1002 odd, (name)_trunc = truncate[4] of 6",
      "1003 name = identity of 4",
      "1004 day_month = month of 3",
    ]);
  });

  test("takes the number on either side, plural names, capitals and spaces", () => {
    expect(short("bucket(id,16)")).toEqual(short(" BUCKET ( 16 ,  id ) "));
    expect(short("years(ts)")).toEqual(short("year(ts)"));
    expect(short("hours(ts)")).toEqual(short("date_hour(ts)"));
    expect(short("identity(name)")).toEqual(short("name"));
  });

  test("finds columns inside structs by their path", () => {
    expect(short("device.os")).toEqual(["1000 device.os = identity of 10"]);
  });

  test("no form: unpartitioned", () => {
    expect(partitionSpecOf(COLUMNS, [])).toEqual({ specId: 0, fields: [] });
  });

  const REFUSED: readonly (readonly [forms: string[], reason: string])[] = [
    [["day(time)"], "there is no column time"],
    [["day(TS)"], "did you mean ts?"],
    [["day(name)"], "name is string; day takes date, timestamp"],
    [["hour(day)"], "day is date; hour takes timestamp"],
    [["device"], "device is a struct"],
    [["tags.element"], "there is no column tags.element"],
    [["bucket(id)"], "write bucket(16, column)"],
    [["bucket(0, id)"], "a number above 0"],
    [["truncate(4, ts)"], "ts is timestamptz; truncate takes"],
    [["weekly(ts)"], "weekly is none of identity, year"],
    [["  "], "it is empty"],
    [["day()"], "it names no column"],
    [["day("], "its parentheses do not match"],
    [["day(ts"], "its parentheses do not match"],
    [["ts)"], "its parentheses do not match"],
    [["day(ts)", "day(ts)"], "the partition name ts_day is taken"],
    [["day(ts)", "hour(ts)"], "an earlier one partitions the same way"],
    [["truncate(100, price)"], "price is decimal(2, 0); a width above 29 has results beyond it"],
    [["truncate(4, name)"], "the table has a column name_trunc"],
  ];
  for (const [forms, reason] of REFUSED) {
    test(`refuses ${JSON.stringify(forms)}: ${reason}`, () => {
      expect(() => partitionSpecOf(COLUMNS, forms)).toThrow(reason);
      try {
        partitionSpecOf(COLUMNS, forms);
      } catch (error) {
        expect(error).toMatchObject({ kind: "usage", context: { partition: forms.at(-1) } });
      }
    });
  }

  test("each transform takes exactly the types of the specification", () => {
    const types: PrimitiveType[] = [
      { kind: "boolean" },
      { kind: "int" },
      { kind: "long" },
      { kind: "float" },
      { kind: "double" },
      { kind: "decimal", precision: 9, scale: 2 },
      { kind: "date" },
      { kind: "time" },
      { kind: "timestamp", zone: false },
      { kind: "timestamp_ns", zone: true },
      { kind: "string" },
      { kind: "uuid" },
      { kind: "fixed", length: 4 },
      { kind: "binary" },
    ];
    const takes = (form: string): string =>
      types
        .filter((type) => {
          try {
            return (
              partitionSpecOf(freshSchema([column("x", type)]).fields, [form]).fields.length === 1
            );
          } catch {
            return false;
          }
        })
        .map(primitiveName)
        .join(" ");
    expect(takes("identity(x)")).toBe(types.map(primitiveName).join(" "));
    expect(takes("bucket(4, x)")).toBe(
      "int long decimal(9, 2) date time timestamp timestamptz_ns string uuid fixed[4] binary",
    );
    expect(takes("truncate(4, x)")).toBe("int long decimal(9, 2) string binary");
    for (const form of ["year(x)", "month(x)", "day(x)"]) {
      expect(takes(form)).toBe("date timestamp timestamptz_ns");
    }
    expect(takes("hour(x)")).toBe("timestamp timestamptz_ns");
  });
});

describe("strategyForms", () => {
  test("each strategy has a general form that is understood", () => {
    expect(strategyForms({ strategy: "none" })).toEqual([]);
    expect(short(...strategyForms({ strategy: "hourly", field: "ts" }))).toEqual([
      "1000 ts_hour = hour of 2",
    ]);
    expect(short(...strategyForms({ strategy: "daily", field: "ts" }))).toEqual([
      "1000 ts_day = day of 2",
    ]);
    expect(short(...strategyForms({ strategy: "monthly", field: "ts" }))).toEqual([
      "1000 ts_month = month of 2",
    ]);
    expect(short(...strategyForms({ strategy: "yearly", field: "ts" }))).toEqual([
      "1000 ts_year = year of 2",
    ]);
    expect(short(...strategyForms({ strategy: "identity", field: "name" }))).toEqual([
      "1000 name = identity of 4",
    ]);
    expect(short(...strategyForms({ strategy: "bucket", field: "id", buckets: 8 }))).toEqual([
      "1000 id_bucket = bucket[8] of 1",
    ]);
    expect(short(...strategyForms({ strategy: "truncate", field: "id", width: 10 }))).toEqual([
      "1000 id_trunc = truncate[10] of 1",
    ]);
  });
});
