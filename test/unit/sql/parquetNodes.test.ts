/** Which files' columns the SQL engine remembers. */
import { expect, test } from "bun:test";
import { KnownColumns } from "#sql/parquetNodes.ts";

test("columns of files are read once, and forgotten when more than enough others were asked for since", () => {
  const known = new KnownColumns(2);
  const columnsOf = (...paths: string[]): { reads: string[]; names: string[] } => {
    const reads: string[] = [];
    const found = known.of(paths, (sql) => {
      const read = paths.filter((path) => sql.includes(`'${path}'`));
      reads.push(...read);
      return read.flatMap((path) => [
        [path, "root", "", "1", null],
        [path, `in ${path}`, "INT32", "0", "1"],
      ]);
    });
    return { reads, names: paths.map((path) => found.get(path)?.[0]?.name ?? "") };
  };
  expect(columnsOf("a", "b")).toEqual({ reads: ["a", "b"], names: ["in a", "in b"] });
  expect(columnsOf("a")).toEqual({ reads: [], names: ["in a"] });
  // More at once than stay are all answered.
  expect(columnsOf("a", "c", "d")).toEqual({ reads: ["c", "d"], names: ["in a", "in c", "in d"] });
  expect(columnsOf("b")).toEqual({ reads: ["b"], names: ["in b"] });
  expect(columnsOf("a")).toEqual({ reads: ["a"], names: ["in a"] });
});
