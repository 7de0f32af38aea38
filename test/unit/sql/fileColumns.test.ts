/**
 * Data files that hold values which would be read as nulls, or as another column's.
 */
import { expect, test } from "bun:test";
import { checkColumns } from "#sql/fileColumns.ts";
import type { ParquetNode } from "#sql/parquetNodes.ts";

const node = (name: string, fieldId: number | null, ...children: ParquetNode[]): ParquetNode => ({
  name,
  type: "INT32",
  fieldId,
  children,
});

function sentence(nodes: readonly ParquetNode[], partitionColumns: readonly number[] = []): string {
  try {
    checkColumns({ location: "s3://b/f.parquet", partitionColumns }, nodes, [1, 2, 3]);
    return "";
  } catch (error) {
    return String(error);
  }
}

test("a file whose columns have names only is refused; one that lacks the ids of some columns is not", () => {
  expect(sentence([node("a", null), node("b", null, node("c", null))])).toContain(
    "s3://b/f.parquet cannot be read here: its columns have no field ids",
  );
  expect(sentence([])).toContain("no field ids");
  expect(sentence([node("a", 1), node("extra", null)])).toBe("");
  expect(sentence([node("s", null, node("c", 3))])).toBe("");
});

test("names that differ by case only are refused at any depth: the engine finds the first by both", () => {
  expect(sentence([node("ID", 1), node("id", 2)])).toContain("two of its columns are named id");
  expect(sentence([node("s", 1, node("x", 2), node("X", 3))])).toContain("are named X");
  expect(sentence([node("s", 1, node("x", 2)), node("x", 3)])).toBe("");
});

test("a column whose value is in the partition only is refused, unless nobody reads it", () => {
  expect(sentence([node("a", 1)], [2])).toContain("column 2 is not in it, only in its partition");
  expect(sentence([node("s", 1, node("b", 2))], [2])).toBe("");
  expect(sentence([node("a", 1)], [7])).toBe("");
});
