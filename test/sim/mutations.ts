/**
 * Deliberate mistakes in the writer's rules, one text each. The simulation must find every one; the
 * shipped code has no switch for them.
 *
 * Left out, because other lines make up for them (the exhaustive model says so too): looking for the
 * commit id on the chain only (the sequence numbers decide alike), and keeping the rows of a revoked
 * feed (the next start drops them, rule 3 fences them).
 */

import { PIPELINE_MUTATIONS } from "./pipelineMutations.ts";

/** One mistake. */
export interface Mutation {
  /** What the mistaken program does. */
  readonly name: string;
  /** Rule of SPEC section 2, or section 10 of it. */
  readonly rule: string;
  readonly sim: "writer" | "pipeline";
  /** Texts that `src/` holds exactly once; two where one line would make up for the other. */
  readonly edits: readonly { readonly find: string; readonly replace: string }[];
}

/** The mistakes that the simulation must find. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: "the fence ignores the offset",
    rule: "2.3",
    sim: "writer",
    edits: [
      {
        find: "offsetOf(document, advance.feed) === advance.expect",
        replace: "offsetOf(document, advance.feed) !== undefined",
      },
    ],
  },
  {
    name: "the fence is checked after a conflict only",
    rule: "2.3",
    sim: "writer",
    edits: [
      {
        find: "const { admitted, fenced } = admit(progress.document, job.advances);",
        replace:
          "const { admitted, fenced } = job.attemptCount === 0 " +
          "? { admitted: job.advances, fenced: [] as Advance[] } " +
          ": admit(progress.document, job.advances);",
      },
    ],
  },
  {
    name: "an unknown outcome is taken for a conflict, the same files are rebased",
    rule: "2.4",
    sim: "writer",
    edits: [
      {
        find: "job.unanswered = sent;",
        replace: "if (job.sent !== null) job.sent = { ...job.sent, last: null };",
      },
    ],
  },
  {
    name: "progress is read from the head's summary only",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: "const index = chain.findIndex(",
        replace: "const index = chain.slice(0, 1).findIndex(",
      },
    ],
  },
  {
    name: "the property is trusted without looking at the oldest ancestor's parent",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: "written === null || oldest.parentSnapshotId !== written",
        replace: "written === null",
      },
    ],
  },
  {
    name: "files are removed before the sequence number has passed their request",
    rule: "2.4",
    sim: "writer",
    edits: [
      {
        find: 'if (metadata.lastSequenceNumber <= sent.last) return { kind: "later" };',
        replace: "",
      },
    ],
  },
  {
    name: "a restart waits for the first of its requests, not for the last",
    rule: "2.4",
    sim: "writer",
    edits: [
      {
        find: "return { first: first ?? attempt.baseSequenceNumber, last };",
        replace: "return { first: first ?? attempt.baseSequenceNumber, last: first };",
      },
    ],
  },
  {
    name: "files of an attempt without an answer are removed at once",
    rule: "2.4",
    sim: "writer",
    edits: [
      {
        find: "await this.#leftovers.add(this.#table, { commitId, files, sent: job?.sent ?? null });",
        replace: "await this.#leftovers.add(this.#table, { commitId, files, sent: null });",
      },
    ],
  },
  {
    name: "a commit that landed is forgotten when its log entry cannot be written",
    rule: "2.4",
    sim: "writer",
    edits: [
      { find: "job.landed = snapshotId;", replace: "" },
      { find: "noteSent(job, attempt.baseSequenceNumber);", replace: "" },
    ],
  },
  {
    name: "files that a visible snapshot lists are removed, since the log knows of no request",
    rule: "2.4",
    sim: "writer",
    edits: [{ find: "if (files.has(path)) return true;", replace: "" }],
  },
  {
    name: "an attempt is sent before it is in the log",
    rule: "2.4",
    sim: "writer",
    edits: [{ find: "await logAttempt(parts, head, attempt, staged.writtenFiles);", replace: "" }],
  },
  {
    name: "the files of fenced feeds are committed with the others",
    rule: "2.3",
    sim: "writer",
    edits: [
      {
        find: "job.units = job.units.filter((unit) => !unit.feeds.some((feed) => out.has(feed)));",
        replace: "",
      },
    ],
  },
  {
    name: "a feed that shares a file with a fenced one goes on without its rows",
    rule: "2.3",
    sim: "writer",
    edits: [
      {
        find: "if (!unit.feeds.some((feed) => out.has(feed))) continue;",
        replace: "if (unit.feeds.length > 0) continue;",
      },
    ],
  },
  {
    name: "the offsets of other feeds are not copied",
    rule: "2.1",
    sim: "writer",
    edits: [
      {
        find: "const sources = new Map(document.sources);",
        replace: "const sources = new Map<string, SourceProgress>();",
      },
    ],
  },
  {
    name: "an attempt is sent again although the sequence number has moved",
    rule: "2.4",
    sim: "writer",
    edits: [
      {
        find: "return metadata.lastSequenceNumber === attempt.baseSequenceNumber",
        replace: "return metadata.lastSequenceNumber >= attempt.baseSequenceNumber",
      },
    ],
  },
  {
    name: "a first position replaces the offset that somebody else has committed",
    rule: "2.5",
    sim: "writer",
    edits: [
      {
        find: "const sameOffset = offsetOf",
        replace: "const sameOffset = advance.expect === null || offsetOf",
      },
    ],
  },
  {
    name: "the topic's id is not compared: rows of a re-created topic follow those of the old one",
    rule: "2.5",
    sim: "writer",
    edits: [
      {
        find: "const sameTopic = source === undefined || source.topicId === advance.feed.topicId;",
        replace: "const sameTopic = true;",
      },
    ],
  },
  {
    name: "a re-created topic is sought without a question",
    rule: "2.5",
    sim: "writer",
    edits: [
      {
        find: "if (source === undefined || source.topicId === feed.topicId) return;",
        replace: "if (source !== null) return;",
      },
    ],
  },
  {
    name: "a commit that landed when sent again is thought to have thinned snapshots",
    rule: "2.4",
    sim: "writer",
    edits: [
      {
        find: "thinned.filter(({ snapshotId }) => !visible.has(snapshotId))",
        replace: "thinned",
      },
    ],
  },
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
  ...PIPELINE_MUTATIONS,
];
