/** Deliberate mistakes in deletes by equality, and in files that are written anew without rows. */
import type { Mutation } from "./mutation.ts";

/** The mistakes that the simulation of upserts must find. */
export const MODE_MUTATIONS: readonly Mutation[] = [
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
  {
    name: "a copy brings rows back that others deleted by equality",
    rule: "2.10 (10h)",
    sim: "upsert",
    shownIn: "by copies.*engines: true",
    edits: [{ find: "    deletes: equality,\n", replace: "    deletes: equality.slice(0, 0),\n" }],
  },
  {
    name: "the index believes rows to be in the files that they were copied from",
    rule: "2.10 (10b)",
    sim: "upsert",
    shownIn: "by copies",
    edits: [
      {
        find: "this.#staged = isMoved ? null : {",
        replace: "void isMoved; this.#staged = {",
      },
    ],
  },
];
