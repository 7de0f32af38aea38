/**
 * Deliberate mistakes in what keeps late rows and their table together (SPEC 2.8, decision 0283).
 */
import type { Mutation } from "./mutation.ts";

const SHOWN = { rule: "2.8", sim: "pipeline", shownIn: "late rows" } as const;

/** One for each rule. */
export const LATE_MUTATIONS: readonly Mutation[] = [
  {
    ...SHOWN,
    name: "late rows are committed behind the table that they are not in",
    edits: [
      {
        find: 'readonly CommitRank[] = ["dead_letter", "late", "changes", "main"];',
        replace: 'readonly CommitRank[] = ["dead_letter", "changes", "main", "late"];',
      },
    ],
  },
  {
    ...SHOWN,
    name: "late rows of an earlier process are judged again",
    edits: [
      {
        find: "for (const [table, writer] of writers) {\n    await addTaken",
        replace:
          'for (const [table, writer] of writers) {\n    if (table.kind !== "late") await addTaken',
      },
    ],
  },
  {
    ...SHOWN,
    name: "late rows are moved without their table's buffer having passed them",
    edits: [{ find: "side.sink.buffer.advance(lateSegment, side.end, leaderEpoch);", replace: "" }],
  },
  {
    ...SHOWN,
    name: "late rows that lie below the late table's end are left out",
    edits: [
      {
        find: "const moved = aside === null ? 0 : lateSegment.rows.append({ ...bytes, ...aside }, topicId);",
        replace:
          "const moved = late.length;\n    if (aside !== null && bytes.baseOffset >= side.end) lateSegment.rows.append({ ...bytes, ...aside }, topicId);",
      },
    ],
  },
  {
    ...SHOWN,
    name: "a table goes on without the late rows that it has met first",
    edits: [
      {
        find: '    this.#rejects.beginSides(outlet);\n    return "later";',
        replace: '    return "later";',
      },
    ],
  },
];
