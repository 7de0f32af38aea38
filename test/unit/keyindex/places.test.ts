import { expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { rowsByFile } from "#keyindex/places.ts";

test("places file by file are the rows of each, ascending and each once, and no file without rows", () => {
  const random = seededRandom(5);
  const int = (below: number): number => Math.floor(random.unit() * below);
  for (let round = 0; round < 400; round++) {
    // Of a table of many commits: more numbers than memory could have a place for.
    const step = round % 2 === 0 ? 7 : 2 ** 30 - 1;
    const places = Array.from({ length: int(60) }, () => ({
      file: 1 + step * int(5),
      row: int(20),
    }));
    const wanted = new Map<number, number[]>();
    for (const { file, row } of places) wanted.set(file, [...(wanted.get(file) ?? []), row]);
    for (const [file, rows] of wanted) {
      wanted.set(
        file,
        [...new Set(rows)].sort((a, b) => a - b),
      );
    }
    const found = rowsByFile({
      files: Uint32Array.from(places, ({ file }) => file),
      rows: Uint32Array.from(places, ({ row }) => row),
    });
    expect(new Map([...found].map(([file, rows]) => [file, [...rows]]))).toEqual(wanted);
  }
});
