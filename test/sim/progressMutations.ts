/** Deliberate mistakes in how progress is written and in what thinning removes (`mutations.ts`). */
import type { Mutation } from "./mutation.ts";

/** The mistakes of progress and thinning. */
export const PROGRESS_MUTATIONS: readonly Mutation[] = [
  {
    name: "snapshots between a delta and its full document are thinned",
    rule: "2.1",
    sim: "writer",
    edits: [
      {
        find: "summary[OFFSETS_KEY] !== undefined && summary[BASE_KEY] === undefined",
        replace: "summary[OFFSETS_KEY] !== undefined",
      },
    ],
  },
  {
    name: "a delta is added to whatever the property holds",
    rule: "2.1",
    sim: "writer",
    edits: [
      {
        find: "if (propertySnapshotId(text) !== snapshot.snapshotId) continue;",
        replace: "",
      },
    ],
  },
  {
    name: "deltas are folded without the ones between",
    rule: "2.1",
    sim: "writer",
    edits: [
      {
        find: "deltas.reduceRight(withDelta, full)",
        replace: "deltas.slice(0, 1).reduceRight(withDelta, full)",
      },
    ],
  },
  {
    name: "a delta names the head as its base, whoever wrote it",
    rule: "2.1",
    sim: "writer",
    edits: [
      {
        find: "if (wanted !== null && snapshot.snapshotId !== wanted) return null;",
        replace: "",
      },
      {
        find: "snapshotId: chain[0]?.snapshotId ?? snapshot.snapshotId",
        replace: "snapshotId: metadata.currentSnapshotId ?? snapshot.snapshotId",
      },
    ],
  },
  {
    name: "first positions are left out of deltas",
    rule: "2.1",
    sim: "writer",
    edits: [
      {
        find: "old.topicId !== source.topicId || old.offsets.size !== source.offsets.size",
        replace: "old.topicId !== source.topicId",
      },
      {
        find: "if (!partitionDelta(change, old, source, partition)) return null;",
        replace: "partitionDelta(change, old, source, partition);",
      },
    ],
  },
  {
    name: "foreign snapshots are thinned, too",
    rule: "4 [maintenance]",
    sim: "writer",
    edits: [
      {
        find: 'return summary[COMMIT_KEY] !== undefined && summary["operation"] === "append";',
        replace: 'return summary["operation"] === "append";',
      },
    ],
  },
  {
    name: "rewrites of ours are thinned, too",
    rule: "4 [maintenance]",
    sim: "writer",
    edits: [
      {
        find: 'return summary[COMMIT_KEY] !== undefined && summary["operation"] === "append";',
        replace: "return summary[COMMIT_KEY] !== undefined;",
      },
    ],
  },
  {
    name: "snapshots are thinned within the window of others",
    rule: "4 [maintenance]",
    sim: "writer",
    edits: [
      { find: "&& ageOf(snapshot) > windowMs", replace: "&& ageOf(snapshot) > windowMs / 2" },
    ],
  },
  {
    name: "gc.enabled is not heeded",
    rule: "4 [maintenance]",
    sim: "writer",
    edits: [
      {
        find: 'if (properties["gc.enabled"]?.toLowerCase() === "false") return null;',
        replace: "",
      },
    ],
  },
  {
    name: "the snapshot that names what a rewrite replaced is thinned",
    rule: "4 [maintenance]",
    sim: "writer",
    edits: [
      {
        find: 'children.some(({ summary }) => summary["operation"] !== "append")',
        replace: "children.length === 0",
      },
    ],
  },
  {
    name: "rolled-back snapshots are thinned",
    rule: "4 [maintenance]",
    sim: "writer",
    edits: [
      {
        find: "for (const child of beside) yield* this.#lineOf(child);",
        replace: "",
      },
    ],
  },
  {
    name: "a manifest is thought to be unlisted when the head does not list it",
    rule: "4 [maintenance]",
    sim: "writer",
    edits: [
      {
        find: "snapshotId === head || !answered.has(snapshotId)",
        replace: "snapshotId === head",
      },
    ],
  },
];
