/**
 * Deliberate mistakes in `src/pipeline/`, one text each: the simulation of whole pipelines must find
 * every one.
 */
import type { Mutation } from "./mutation.ts";

/** The mistakes. */
export const PIPELINE_MUTATIONS: readonly Mutation[] = [
  {
    name: "batches of an older epoch are taken",
    rule: "2.7",
    sim: "pipeline",
    edits: [{ find: "run.epoch === 0 || run.epoch !== batch.epoch", replace: "run.epoch === 0" }],
  },
  {
    name: "rows of a feed that is sought anew are kept",
    rule: "2.7",
    sim: "pipeline",
    edits: [{ find: "source.drop(key);\n        sink.drop(key);", replace: "source.drop(key);" }],
  },
  {
    name: "an older start of a feed takes effect",
    rule: "2.7",
    sim: "pipeline",
    edits: [
      {
        find: ".get(run.key) === run && run.starts === ticket",
        replace: ".get(run.key) === run && run.starts >= ticket",
      },
      {
        find: "const { consumer } = this.#parts;\n    this.#sinks.drop(runs);",
        replace: "const { consumer } = this.#parts;",
      },
    ],
  },
  {
    name: "records below the wanted offset are taken",
    rule: "2.6",
    sim: "pipeline",
    edits: [
      {
        find: "partition, wantedOffset: end }",
        replace: "partition, wantedOffset: batch.baseOffset }",
      },
    ],
  },
  {
    name: "fenced feeds go on reading where they were",
    rule: "2.3",
    sim: "pipeline",
    edits: [
      { find: "this.#follow.fenced(result.fenced);", replace: "" },
      { find: "if (fenced.length > 0) this.#follow.seekAnew(fenced);", replace: "" },
    ],
  },
  {
    name: "the table's leader epoch is not asked about at the start",
    rule: "2.5",
    sim: "pipeline",
    edits: [
      {
        find: "begin.push({ ...least, feed: run.feed });",
        replace: "begin.push({ feed: run.feed, offset: least.offset });",
      },
    ],
  },
  {
    name: "an offset whose leader epoch is not known keeps that of an earlier one",
    rule: "2.5",
    sim: "pipeline",
    edits: [
      {
        find: "if (leaderEpoch === undefined) maps.leaderEpochs.delete(partition);",
        replace: "if (leaderEpoch === undefined) maps.leaderEpochs.size;",
      },
    ],
  },
  {
    name: "what was read of a topic that is gone is thrown away",
    rule: "10",
    sim: "pipeline",
    edits: [
      {
        find: 'return { kind: "draining", error: event.error };',
        replace: 'return { kind: "stopped", error: event.error };',
      },
    ],
  },
];
