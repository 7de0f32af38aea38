/** Deliberate mistakes in maintenance (`mutations.ts`). */
import type { Mutation } from "./mutation.ts";

/** The mistakes of expiry. */
export const MAINTENANCE_MUTATIONS: readonly Mutation[] = [
  {
    name: "expiry removes manifests that remaining snapshots list",
    rule: "4",
    sim: "writer",
    edits: [{ find: "for (const path of kept.keys()) candidates.delete(path);", replace: "" }],
  },
  {
    name: "expiry removes data files that remaining snapshots list in other manifests",
    rule: "4",
    sim: "writer",
    edits: [{ find: "for (const { path } of files) names.delete(comparable(path));", replace: "" }],
  },
  {
    name: "expiry compares with the newest remaining snapshot only",
    rule: "4",
    sim: "writer",
    edits: [
      {
        find: "const kept = await knownManifests(storage, after.snapshots);",
        replace: "const kept = await knownManifests(storage, after.snapshots.slice(-1));",
      },
    ],
  },
  {
    name: "expiry forgets the manifest lists",
    rule: "4",
    sim: "writer",
    edits: [
      {
        find: 'if (files.length > 0) yield { role: "manifest-list", files };',
        replace: "",
      },
    ],
  },
  {
    name: "expiry does not demand the refs as they were",
    rule: "2.2",
    sim: "writer",
    shownIn: "ancestors: true, people: true",
    edits: [
      {
        find: "...Object.entries(metadata.refs).map(",
        replace: "...Object.entries({} as typeof metadata.refs).map(",
      },
    ],
  },
  {
    name: "expiry removes snapshots that hold the head's offsets",
    rule: "2.2",
    sim: "writer",
    edits: [
      {
        find: ".flatMap(({ name, line }) => offsetsOf(metadata, name, line))",
        replace: ".flatMap(({ name, line }) => offsetsOf(metadata, name, line).slice(0, 1))",
      },
      {
        find: "if (progress.headIsOurs && heldForOffsets.length === 0) return;",
        replace: "if (heldForOffsets.length === 0) return;",
      },
    ],
  },
  {
    name: "expiry asks neither gc.enabled",
    rule: "4",
    sim: "writer",
    shownIn: "ancestors: true, people: true",
    edits: [
      {
        find: "if (!forbidsRemoval(metadata)) return;",
        replace: "if (Number.isFinite(1)) return;",
      },
      {
        find: "if (forbidsRemoval(metadata)) return { snapshots: [], refs: [], heldForOffsets: [] };",
        replace: "",
      },
    ],
  },
  {
    name: "expiry does not heed a pause",
    rule: "3",
    sim: "writer",
    shownIn: "ancestors: true, people: true",
    edits: [
      { find: "if (!isPaused(head)) return;", replace: "if (Number.isFinite(1)) return;" },
      {
        find: 'if (isPaused(head)) return drop("a person paused the table");',
        replace: "",
      },
    ],
  },
  {
    name: "expiry takes snapshots that another engine may still need",
    rule: "4",
    sim: "writer",
    shownIn: "ancestors: true",
    edits: [
      {
        find: "return Math.max(policy.keepAllMs, wanted ?? policy.retentionMs);",
        replace: "return wanted ?? policy.retentionMs;",
      },
    ],
  },
  {
    name: "the orphan cleaner takes files of any age",
    rule: "10l",
    sim: "writer",
    shownIn: "ancestors: true",
    edits: [{ find: "object.modifiedMs >= olderThanMs ||", replace: "" }],
  },
  {
    name: "a commit is sent however old its files are, which an orphan cleaner has taken",
    rule: "10l",
    sim: "writer",
    shownIn: "ancestors: true",
    edits: [
      {
        find: "return parts.clock.nowMs() - beganMs > filesAgeMsMax;",
        replace: "return parts.clock.nowMs() - beganMs > filesAgeMsMax * 1e6;",
      },
    ],
  },
  {
    name: "the orphan cleaner knows the files of the newest snapshot only",
    rule: "4",
    sim: "writer",
    shownIn: "ancestors: true",
    edits: [
      {
        find: "knownManifests(storage, metadata.snapshots)",
        replace: "knownManifests(storage, metadata.snapshots.slice(-1))",
      },
    ],
  },
];
