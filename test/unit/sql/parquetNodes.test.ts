/** Which files' columns the SQL engine remembers. */
import { expect, test } from "bun:test";
import { columnsOfFiles, KnownColumns, type ParquetNode } from "#sql/parquetNodes.ts";

test("columns of files are read once, and forgotten when more than enough others were asked for since", async () => {
  const known = new KnownColumns(2);
  const columnsOf = async (...paths: string[]): Promise<{ reads: string[]; names: string[] }> => {
    const reads: string[] = [];
    const found = await known.of(paths, async (unknown) => {
      reads.push(...unknown);
      return new Map(unknown.map((path) => [path, [column(`in ${path}`)]]));
    });
    return { reads, names: paths.map((path) => found.get(path)?.[0]?.name ?? "") };
  };
  expect(await columnsOf("a", "b")).toEqual({ reads: ["a", "b"], names: ["in a", "in b"] });
  expect(await columnsOf("a")).toEqual({ reads: [], names: ["in a"] });
  // More at once than stay are all answered.
  expect(await columnsOf("a", "c", "d")).toEqual({
    reads: ["c", "d"],
    names: ["in a", "in c", "in d"],
  });
  expect(await columnsOf("b")).toEqual({ reads: ["b"], names: ["in b"] });
  expect(await columnsOf("a")).toEqual({ reads: ["a"], names: ["in a"] });
});

test("files of the same columns share one object, whichever call read them, and however it was sent here", async () => {
  const known = new KnownColumns(10);
  const read = async (paths: readonly string[]): Promise<Map<string, ParquetNode[]>> =>
    new Map(paths.map((path) => [path, [column(path === "c" ? "other" : "same")]]));
  const first = await known.of(["a"], read);
  const then = await known.of(["a", "b", "c"], read);
  expect(then.get("b")).toBe(first.get("a"));
  expect(then.get("c")).not.toBe(first.get("a"));
  const rows = ["a", "b"].flatMap((path) => [
    [path, "root", "", "1", null],
    [path, "same", "INT32", "0", "1"],
  ]);
  const once = columnsOfFiles(() => rows, ["a", "b"]);
  expect(once.get("a")).toEqual([column("same")]);
  expect(once.get("b")).toBe(once.get("a"));
});

function column(name: string): ParquetNode {
  return { name, type: "INT32", fieldId: 1, children: [] };
}
