/** Deliberate mistakes in what replaces files by others with the same rows (`mutations.ts`). */
import type { Mutation } from "./mutation.ts";

/** The mistakes of compaction (CHANGE_RULES 10h). */
export const REWRITE_MUTATIONS: readonly Mutation[] = [
  {
    name: "a rewrite does not ask whether its inputs are live",
    rule: "10h(1)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "if (place === undefined || more.length > 0) return null;",
        replace: "if (place === undefined) continue;",
      },
    ],
  },
  {
    name: "a rewrite does not ask whether what was hidden is hidden still",
    rule: "10h(2)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "positionsThen.symmetricDifference(keysOf(now, false)).size === 0",
        replace: "positionsThen.size >= 0",
      },
      { find: "if (!equalityThen.isSubsetOf(equalityNow)) return null;", replace: "" },
    ],
  },
  {
    name: "a rewrite takes deletes by position that came meanwhile for applied",
    rule: "10h(3)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "positionsThen.symmetricDifference(keysOf(now, false)).size === 0",
        replace: "positionsThen.isSubsetOf(keysOf(now, false))",
      },
    ],
  },
  {
    name: "a rewrite does not ask whether deletes by equality still apply",
    rule: "10h(2)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [{ find: "if (!equalityThen.isSubsetOf(equalityNow)) return null;", replace: "" }],
  },
  {
    name: "rewritten files are newer than deletes by equality that came meanwhile",
    rule: "10h(3)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [{ find: "dataSequenceNumber: this.#sequenceNumber,", replace: "" }],
  },
  {
    name: "a rewrite removes deletes that apply to other files",
    rule: "10h(4)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "if (places === undefined) pairs += use(used, deletes.index.of(file));",
        replace: "",
      },
      { find: "else places.push(file);", replace: "places?.push(file);" },
    ],
  },
  {
    name: "a rewrite removes the deletes of groups that it leaves out",
    rule: "10h(4)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "for (const { path } of group.inputs) useAll(used, deletes.index, found.get(path));",
        replace: "",
      },
    ],
  },
  {
    name: "the files of a rewrite leave the table without a word about their rows' new place",
    rule: "10h",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "const outputs = this.#groups.flatMap(({ output }) => output ?? []);",
        replace: "const outputs = this.#groups.slice(0, 1).flatMap(({ output }) => output ?? []);",
      },
    ],
  },
  {
    name: "a rewrite has the offsets of the first head that it met",
    rule: "10h(5)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "return stageSnapshot(attempt, files, progress.document, progress.document, {",
        replace:
          "const first = this as { first?: typeof progress.document }; first.first ??= progress.document; " +
          "return stageSnapshot(attempt, files, null, first.first, {",
      },
    ],
  },
  {
    name: "a rewrite leaves its inputs in the table",
    rule: "10h(4)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "return { standing, removed: [...removed, ...dangling(deletes.all, used)] };",
        replace: "return { standing, removed: dangling(deletes.all, used) };",
      },
    ],
  },
  {
    name: "rows that were deleted while their files were rewritten live in the new file",
    rule: "10h(3)",
    sim: "upsert",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "const located = standing.flatMap((each) => this.#located(each));",
        replace: "const located = standing.slice(0, 0).flatMap((each) => this.#located(each));",
      },
    ],
  },
  {
    name: "rows that were deleted while their files were sorted are looked for in another row's place",
    rule: "10h(3)",
    sim: "upsert",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "placeOf(places, nth)).sort()",
        replace: "placeOf(places, places.length - 1 - nth)).sort()",
      },
    ],
  },
  {
    name: "a rewrite carries over only what was deleted until its first attempt",
    rule: "10h(3)",
    sim: "upsert",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "const located = standing.flatMap((each) => this.#located(each));",
        replace:
          "const first = this as { first?: LocatedRows[] }; " +
          "first.first ??= standing.flatMap((each) => this.#located(each)); const located = first.first;",
      },
    ],
  },
  {
    name: "a rewrite does not ask whether rows that were hidden have come back",
    rule: "10h(2)",
    sim: "upsert",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "return isWithin(then, hiddenNow) ?",
        replace: "return isWithin(new RowSet(0), hiddenNow) ?",
      },
      {
        find: 'import type { RowSet } from "#iceberg/deletes/rowSet.ts";\nimport { appliedDeletes',
        replace: 'import { RowSet } from "#iceberg/deletes/rowSet.ts";\nimport { appliedDeletes',
      },
    ],
  },
  {
    name: "rows of one word are sought in the new file as if none of it had been left out",
    rule: "10h, position map",
    sim: "upsert",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "found.push(before + bitCount(~gone & (lowest - 1)));",
        replace: "found.push(before + bitCount(lowest - 1));",
      },
    ],
  },
  {
    name: "the rows of every file are sought at the begin of the new one",
    rule: "10h, position map",
    sim: "upsert",
    shownIn: "while files are rewritten",
    edits: [{ find: "(nth) => places + nth", replace: "(nth) => places * 0 + nth" }],
  },
  {
    name: "rows that were hidden when they were read are deleted in the new file",
    rule: "10h(3)",
    sim: "upsert",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "for (let bits = (rows.words[index] ?? 0) & ~gone; bits",
        replace: "for (let bits = rows.words[index] ?? 0; bits",
      },
    ],
  },
];
