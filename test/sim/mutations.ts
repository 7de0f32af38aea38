/**
 * Deliberate mistakes in the writer's rules, one text each. The simulation must find every one; the
 * shipped code has no switch for them.
 *
 * Left out, because other lines make up for them (the exhaustive model says so too): looking for the
 * commit id on the chain only (the sequence numbers decide alike), and keeping the rows of a revoked
 * feed (the next start drops them, rule 3 fences them).
 */

import { COMMIT_MUTATIONS } from "./commitMutations.ts";
import { LATE_MUTATIONS } from "./lateMutations.ts";
import { MAINTENANCE_MUTATIONS } from "./maintenanceMutations.ts";
import { MODE_MUTATIONS } from "./modeMutations.ts";
import type { Mutation } from "./mutation.ts";
import { PIPELINE_MUTATIONS } from "./pipelineMutations.ts";
import { PROGRESS_MUTATIONS } from "./progressMutations.ts";
import { REPLAY_MUTATIONS } from "./replayMutations.ts";
import { REWRITE_MUTATIONS } from "./rewriteMutations.ts";
import { SIDE_MUTATIONS } from "./sideMutations.ts";
import { UPSERT_MUTATIONS } from "./upsertMutations.ts";

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
        find: "const { admitted, fenced } = admit(progress.document, this.#advances);",
        replace:
          "const again = 'again' in this; Object.assign(this, { again: true });" +
          "const { admitted, fenced } = again ? admit(progress.document, this.#advances) " +
          ": { admitted: this.#advances, fenced: [] as Advance[] };",
      },
    ],
  },
  {
    name: "an unknown outcome is taken for a conflict, the same files are rebased",
    rule: "2.4",
    sim: "writer",
    edits: [
      {
        find: 'pending.phase = { kind: "unanswered", attempt: sent };',
        replace: "pending.ledger.refuse();",
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
        find: "ledger.#sent = { first: first ?? attempt.baseSequenceNumber, last, parentless };",
        replace:
          "ledger.#sent = { first: first ?? attempt.baseSequenceNumber, last: first, parentless };",
      },
    ],
  },
  {
    name: "files of an attempt without an answer are removed at once",
    rule: "2.4",
    sim: "writer",
    edits: [
      {
        find: "mayRemove(head.metadata, ledger.commitId, ledger.sent, traits)",
        replace: "mayRemove(head.metadata, ledger.commitId, null, traits)",
      },
    ],
  },
  {
    name: "a commit that landed is forgotten when its log entry cannot be written",
    rule: "2.4",
    sim: "writer",
    edits: [
      {
        find: "const { change, phase } = pending;",
        replace:
          "const { change } = pending; const phase: CommitPhase = " +
          "pending.phase.kind === 'landed' ? { kind: 'open' } : pending.phase;",
      },
      { find: "pending.ledger.land(snapshotId);", replace: "pending.ledger.refuse();" },
      { find: "if (files.has(path)) return true;", replace: "" },
    ],
  },
  {
    name: "the files of a commit that landed are taken for strays",
    rule: "2.4",
    sim: "writer",
    edits: [{ find: "pending.ledger.land(snapshotId);", replace: "pending.ledger.landAs([]);" }],
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
    edits: [{ find: "await logAttempt(table.parts, head, sent, manifests);", replace: "" }],
  },
  {
    name: "the files of fenced feeds are committed with the others",
    rule: "2.3",
    sim: "writer",
    edits: [
      {
        find: "this.#units = this.#units.filter((unit) => !unit.feeds.some((feed) => out.has(feed)));",
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
  ...COMMIT_MUTATIONS,
  ...PROGRESS_MUTATIONS,
  ...PIPELINE_MUTATIONS,
  ...SIDE_MUTATIONS,
  ...LATE_MUTATIONS,
  ...MAINTENANCE_MUTATIONS,
  ...REWRITE_MUTATIONS,
  ...UPSERT_MUTATIONS,
  ...MODE_MUTATIONS,
  ...REPLAY_MUTATIONS,
];
