/** Deliberate mistakes in the rules of replays (CHANGE_RULES 13). */
import type { Mutation } from "./mutation.ts";

const LOOKS =
  "const there = await rowsOfRange(head, options.branch, range, witness);\n" +
  "    const aside = await this.#tools.aside();";

/** The mistakes that the simulation of replays must find. */
export const REPLAY_MUTATIONS: readonly Mutation[] = [
  {
    name: "a replay sends the offsets of its first attempt",
    rule: "2.13",
    sim: "replay",
    edits: [
      {
        find: "offset: endOf(document, feed),\n      rows: fresh,",
        replace:
          "offset: ((this as unknown as { at?: bigint }).at ??= endOf(document, feed)),\n      rows: fresh,",
      },
    ],
  },
  {
    name: "a replay compares its range with the offsets of its first head only",
    rule: "2.13",
    sim: "replay",
    shownIn: "foreign engines: true",
    edits: [
      {
        find: "const isPassed = endOf(progress.document, this.#range.feed) >= this.#range.end;",
        replace: "const isPassed = endOf(progress.document, this.#range.feed) >= 0n;",
      },
    ],
  },
  {
    name: "a row goes with a replay that does not write it again",
    rule: "2.13",
    sim: "replay",
    edits: [
      {
        find: "return lost === 0n && doubled === 0n;",
        replace: "return lost >= 0n && doubled === 0n;",
      },
    ],
  },
  {
    name: "a replay writes a record that only a side table has by now",
    rule: "2.13",
    sim: "replay",
    edits: [
      {
        find: "return lost === 0n && doubled === 0n;",
        replace: "return lost === 0n && doubled >= 0n;",
      },
    ],
  },
  {
    name: "a replay deletes the rows of its first head again",
    rule: "2.13",
    sim: "replay",
    edits: [
      {
        find: LOOKS,
        replace:
          "const first = this as unknown as { rows?: Awaited<ReturnType<typeof rowsOfRange>> };" +
          "first.rows ??= await rowsOfRange(head, options.branch, range, witness);" +
          "const there = first.rows; const aside = await this.#tools.aside();",
      },
    ],
  },
  {
    name: "rows that a delete hides are there for a replay",
    rule: "2.13",
    sim: "replay",
    shownIn: "foreign engines: true",
    edits: [
      {
        find: "if (!hidden.has(row)) offsets.add(found.offsets[at] ?? 0n);",
        replace: "void row; offsets.add(found.offsets[at] ?? 0n);",
      },
    ],
  },
  {
    name: "a replay whose outcome is not known is taken for done",
    rule: "2.4",
    sim: "replay",
    edits: [
      {
        find: "if (!isDone(result, this.#table.name)) return null;",
        replace: "void isDone(result, this.#table.name);",
      },
    ],
  },
  {
    name: "a replay begins before its table did",
    rule: "2.13",
    sim: "replay",
    shownIn: "foreign engines: false",
    edits: [
      {
        find: "if (wasBelow(head, branch, feed, start)) return true;",
        replace: "if (wasBelow(head, branch, feed, start) || start >= 0n) return true;",
      },
    ],
  },
];
