/** Deliberate mistakes in the commit loop, in what is written ahead of it, and in what is concluded from a catalog's traits (`mutations.ts`). */
import type { Mutation } from "./mutation.ts";

/** The mistakes of the loop and the traits. */
export const COMMIT_MUTATIONS: readonly Mutation[] = [
  {
    name: "a change is staged with the offsets of the first head",
    rule: "2.3",
    sim: "writer",
    edits: [
      {
        find: "stage(attempt: Attempt): Promise<StagedSnapshot> {\n    const { head, progress } = attempt;",
        replace:
          "stage(attempt: Attempt): Promise<StagedSnapshot> {\n" +
          "    const { head } = attempt; const first = this as { first?: Progress };" +
          "const progress = (first.first ??= attempt.progress);",
      },
    ],
  },
  {
    name: "a change of columns is applied whatever came first",
    rule: "2.9",
    sim: "writer",
    edits: [
      { find: '{ type: "assert-current-schema-id", id: currentSchemaId },', replace: "" },
      { find: '{ type: "assert-last-assigned-field-id", id: lastColumnId },', replace: "" },
    ],
  },
  {
    name: "where snapshots are hidden, the property is believed as if they were not",
    rule: "2.2",
    sim: "writer",
    shownIn: "ancestors: false",
    edits: [
      {
        find: ": fromHiddenAncestor(metadata, branch, chain[0]);",
        replace: ": fromProperty(metadata, branch, chain.at(-1));",
      },
    ],
  },
  {
    name: "the property is believed by sequence number where ancestors are shown",
    rule: "2.2",
    sim: "writer",
    edits: [{ find: "return showsAncestors", replace: "return (showsAncestors as unknown) === 0" }],
  },
  {
    name: "files that were sent are removed where snapshots are hidden",
    rule: "2.4",
    sim: "writer",
    shownIn: "ancestors: false, people: true",
    edits: [
      {
        find: 'if (!traits.showsAncestors) return { kind: "never", reason: "the catalog hides snapshots" };',
        replace: "",
      },
    ],
  },
  {
    name: "files of a request without an answer are removed where nothing ends it",
    rule: "2.4",
    sim: "writer",
    shownIn: "nothing, ancestors: true, people: true",
    edits: [
      {
        find: 'if (mayComeLate(sent, traits)) return { kind: "never", reason: "the request may come late" };',
        replace: "",
      },
    ],
  },
  {
    name: "a flush goes on with what was written ahead of it, whatever has become of the feed meanwhile",
    rule: "2.3",
    sim: "pipeline",
    shownIn: "rows are written before their commit is due",
    edits: [
      {
        find: "const isFirst = feed.held.every(({ segment }, at) => segment === theirs[at]);",
        replace: "const isFirst = theirs.length > 0;",
      },
      {
        find: 'if (this.#next !== null && this.#next !== "off") await this.#next.drop(key);',
        replace: "void key;",
      },
      {
        find: 'assert(feed.range.start === flush.start, "what came ahead begins where its flush begins");',
        replace: "",
      },
    ],
  },
];
