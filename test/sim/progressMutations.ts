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
    name: "earlier metadata files are not read",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: "const files = metadata.metadataLog.slice(-METADATA_FILES_MAX).reverse();",
        replace: "const files = metadata.metadataLog.slice(0, 0);",
      },
    ],
  },
  {
    name: "a row past the offset refutes nothing",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: "if (!foreign.some(addsRows)) return null;",
        replace: "if (foreign.length > 0) return null;",
      },
    ],
  },
  {
    name: "rows that were rewritten after they were added are not looked at",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: "const added = new Set(foreign.map(",
        replace: "const added = new Set(foreign.filter(addsRows).map(",
      },
    ],
  },
  {
    name: "rows of partitions that the document does not know refute nothing",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: "if (byPartition === undefined || offset < (byPartition.get(partition) ?? 0n)) continue;",
        replace:
          "if (byPartition === undefined || offset < (byPartition.get(partition) ?? 1_000_000n)) continue;",
      },
    ],
  },
  {
    name: "rows of topics that only the property knows refute nothing",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: "if (!sources.has(key)) sources.set(key, { ...NOTHING_READ, topicId });",
        replace: "if (sources.has(key)) sources.set(key, { ...NOTHING_READ, topicId });",
      },
    ],
  },
  {
    name: "rows below the offset need not be as many as were given",
    rule: "2.2",
    sim: "writer",
    edits: [
      { find: "if (below === rows) return doubts;", replace: "if (below <= rows) return doubts;" },
    ],
  },
  {
    name: "rows past the offset of a property are no surplus",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: "const past = set.ranges(end, set.end, true, RANGES_MAX);",
        replace: "const past = set.ranges(end, end, true, RANGES_MAX);",
      },
    ],
  },
  {
    name: "without a document in sight nothing is proven by rows",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: "if (against.length === 0) {",
        replace: "if (against.length === 0 && head === 0n) {",
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
