/** The name mapping of a table whose files have no field ids: kept current, and read. */
import { describe, expect, test } from "bun:test";
import type { Field, Type } from "#columns/schema.ts";
import { columnsChange } from "#commit/columns.ts";
import { columnNamesInFiles, nameMappingUpdates } from "#iceberg/metadata/nameMapping.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";

const NAME = "schema.name-mapping.default";
const long: Type = { kind: "long" };
const field = (id: number, name: string, type: Type = long): Field => ({
  id,
  name,
  required: false,
  type,
});
const struct = (...fields: Field[]): Type => ({ kind: "struct", fields });

/** The mapping after a change of columns; null: it is not changed. */
function grown(mapping: unknown, before: readonly Field[], after: readonly Field[]): unknown {
  const text = typeof mapping === "string" ? mapping : JSON.stringify(mapping);
  const [update] = nameMappingUpdates({ [NAME]: text }, before, after);
  if (update === undefined) return null;
  if (update.action !== "set-properties") throw new Error(update.action);
  return JSON.parse(update.properties[NAME] ?? "");
}

describe("the name mapping of a table", () => {
  test("takes in new columns, those in structs, lists and maps with them", () => {
    const before = [field(1, "a"), field(2, "s", struct(field(3, "x")))];
    const list: Type = { kind: "list", element: field(6, "element", struct(field(7, "z"))) };
    const after = [
      field(1, "a"),
      field(2, "s", struct(field(3, "x"), field(4, "y"))),
      field(5, "l", list),
    ];
    const mapping = [
      { "field-id": 1, names: ["a", "alias"] },
      { "field-id": 2, names: ["s"], fields: [{ "field-id": 3, names: ["x"] }] },
    ];
    expect(grown(mapping, before, after)).toEqual([
      { "field-id": 1, names: ["a", "alias"] },
      {
        "field-id": 2,
        names: ["s"],
        fields: [
          { "field-id": 3, names: ["x"] },
          { "field-id": 4, names: ["y"] },
        ],
      },
      {
        "field-id": 5,
        names: ["l"],
        fields: [{ "field-id": 6, names: ["element"], fields: [{ "field-id": 7, names: ["z"] }] }],
      },
    ]);
  });

  test("gives a name that another field had in files to the new column of that name", () => {
    const mapping = [{ "field-id": 1, names: ["a", "b"] }];
    expect(grown(mapping, [field(1, "a")], [field(1, "a"), field(2, "b")])).toEqual([
      { "field-id": 1, names: ["a"] },
      { "field-id": 2, names: ["b"] },
    ]);
  });

  test("leaves out what its owner has left out, and keeps what is no column any more", () => {
    const mapping = [{ "field-id": 9, names: ["gone"] }, { names: ["of nobody"] }];
    const before = [field(1, "a")];
    expect(grown(mapping, before, before)).toBeNull();
    expect(grown(mapping, before, [...before, field(2, "b")])).toEqual([
      ...mapping,
      { "field-id": 2, names: ["b"] },
    ]);
  });

  test("that no table has, or that is none, is not made and not touched", () => {
    const [before, after] = [[field(1, "a")], [field(1, "a"), field(2, "b")]];
    expect(nameMappingUpdates({}, before, after)).toEqual([]);
    for (const text of ["", "{", "{}", "[1]", '[{"names":[1]}]', '[{"field-id":"x","names":[]}]'])
      expect(grown(text, before, after)).toBeNull();
  });

  test("goes with the commit that adds the column, and with no other table's", () => {
    const staged = (properties: Readonly<Record<string, string>>) => {
      const metadata = { ...sampleTable("/wh/db/t"), properties };
      const [schema] = metadata.schemas;
      const fields = [...(schema?.fields ?? []), field(99, "new")];
      const storage = createMemoryStorage();
      const name = { namespace: ["db"], table: "t" };
      const head = { name, metadata, metadataLocation: "v1", storage };
      const parts = { catalog: { traits: {} } } as unknown as Parameters<typeof columnsChange>[0];
      const change = columnsChange(parts, () => ({
        kind: "columns",
        fields,
        lastColumnId: 99,
        awaited: [],
      }));
      return JSON.stringify(change.stage(head));
    };
    expect(staged({ [NAME]: "[]" })).toContain('{\\"field-id\\":99,\\"names\\":[\\"new\\"]}');
    expect(staged({})).not.toContain(NAME);
  });

  test("says by which names a file without ids has a field", () => {
    const text = '[{"field-id": 4, "names": ["p", "part"]}, {"names": ["x"]}]';
    expect([...columnNamesInFiles({ [NAME]: text })]).toEqual([[4, ["p", "part"]]]);
    expect(columnNamesInFiles({}).size).toBe(0);
  });
});
