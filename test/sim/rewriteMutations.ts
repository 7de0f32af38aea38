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
        find: "if (place === undefined || more.length > 0) return false;",
        replace: "if (place === undefined) return true;",
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
        find: "byPosition.symmetricDifference(still.byPosition).size === 0 &&",
        replace: "still.byPosition.isSupersetOf(new Set()) &&",
      },
      { find: "byEquality.isSubsetOf(still.byEquality) &&", replace: "" },
    ],
  },
  {
    name: "a rewrite takes deletes by position that came meanwhile for applied",
    rule: "10h(3)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [
      {
        find: "byPosition.symmetricDifference(still.byPosition).size === 0 &&",
        replace: "byPosition.isSubsetOf(still.byPosition) &&",
      },
    ],
  },
  {
    name: "a rewrite does not ask whether deletes by equality still apply",
    rule: "10h(2)",
    sim: "writer",
    shownIn: "while files are rewritten",
    edits: [{ find: "byEquality.isSubsetOf(still.byEquality) &&", replace: "" }],
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
      { find: "if (places === undefined) use(used, deletes.index.of(file));", replace: "" },
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
        find: "} else for (const { path } of group.inputs) useAll(used, deletes.index, found.get(path));",
        replace: "}",
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
        find: "const files = standing.flatMap(({ outputs }) => outputs);",
        replace: "const files = standing.slice(0, 1).flatMap(({ outputs }) => outputs);",
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
];
