/** Deliberate mistakes in deletes by equality. */
import type { Mutation } from "./mutation.ts";

/** The mistakes that the simulation of upserts must find. */
export const EQUALITY_MUTATIONS: readonly Mutation[] = [
  {
    name: "keys whose last change is a delete are not among the deletes by equality",
    rule: "6",
    sim: "upsert",
    shownIn: "by equality",
    edits: [
      {
        find: "const { changed } = folded;",
        replace: "const changed = folded.flushes;",
      },
    ],
  },
  {
    name: "deletes by equality stay when the feed of their rows is fenced",
    rule: "2.10 (10e)",
    sim: "upsert",
    shownIn: "by equality",
    edits: [
      {
        find: "const { files: gone = [] } = byNumber.get(number) ?? {};",
        replace:
          "void byNumber; const gone = number === 0 ? deletes.flatMap((unit) => unit.files) : [];",
      },
    ],
  },
];
