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
    edits: [{ find: "          each.drop(key);\n", replace: "" }],
  },
  {
    name: "a table is committed before the log of its changes",
    rule: "2.8",
    sim: "pipeline",
    shownIn: "a log of changes",
    edits: [
      {
        find: '["dead_letter", "late", "changes", "main"]',
        replace: '["dead_letter", "late", "main", "changes"]',
      },
    ],
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
        find: "const bytes = decoderInput(batch, payload, end)",
        replace: "const bytes = decoderInput(batch, payload, batch.baseOffset)",
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
    shownIn: "a log that was lost",
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
  {
    name: "a feed is read from where its last table stands, not from the least of all",
    rule: "2.8",
    sim: "pipeline",
    shownIn: "two tables of a feed",
    edits: [
      {
        find: "if (least === null || at.offset < least.offset) least = at;",
        replace: "least = at;",
      },
    ],
  },
  {
    name: "what a table has already is taken again when its feed is read for another one",
    rule: "2.8",
    sim: "pipeline",
    shownIn: "two tables of a feed",
    edits: [
      { find: "batch.nextOffset <= outlet.end || ", replace: "" },
      {
        find: "const bytes = decoderInput(batch, payload, end)",
        replace: "const bytes = decoderInput(batch, payload, batch.wantedOffset)",
      },
      {
        find: "outlet.sink.buffer.advance(segment, end, leaderEpoch);\n    outlet.end = end;",
        replace:
          "if (end < outlet.end) return;\n    " +
          "outlet.sink.buffer.advance(segment, end, leaderEpoch);\n    outlet.end = end;",
      },
    ],
  },
  {
    name: "a fenced feed is dropped in its first table only",
    rule: "2.3",
    sim: "pipeline",
    shownIn: "two tables of a feed",
    edits: [
      {
        find: "for (const { sink, source, sides } of outlets) {\n        if (sink.state",
        replace:
          "for (const { sink, source, sides } of outlets.slice(0, 1)) {\n        if (sink.state",
      },
    ],
  },
  {
    name: "the main table is committed before its side tables",
    rule: "2.8",
    sim: "pipeline",
    shownIn: "dead letters",
    edits: [
      {
        find: '["dead_letter", "late", "changes", "main"];',
        replace: '["main", "changes", "late", "dead_letter"];',
      },
    ],
  },
  {
    name: "the main table is committed while a side table's commit is held",
    rule: "2.8",
    sim: "pipeline",
    shownIn: "dead letters",
    edits: [{ find: 'if (end === "waits") break;', replace: "" }],
  },
  {
    name: "of tables that were committed in one request each is told what became of the first",
    rule: "2.4",
    sim: "pipeline",
    shownIn: "committed in one request",
    edits: [{ find: "outcomes?.[index])", replace: "outcomes?.[0])" }],
  },
  {
    name: "a table is not moved behind batches without a row for it",
    rule: "2.8",
    sim: "pipeline",
    shownIn: "two tables of a feed",
    edits: [{ find: "if (!run.noted) for", replace: "if (run.noted) for" }],
  },
  {
    name: "a table that was set back to before it had a feed does not ask where it begins",
    rule: "2.5",
    sim: "pipeline",
    shownIn: "stand still.*two tables of a feed",
    edits: [{ find: "if (lost.length > 0) throw setBack(head, lost);", replace: "" }],
  },
];
