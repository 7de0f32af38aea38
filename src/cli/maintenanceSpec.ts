/** The command `maintenance` with its arguments (`commands.ts`). */
import { MAINTENANCE_OPERATIONS } from "#base/events.ts";
import { C, CONFIG, type CommandSpec, DRY_RUN, JSON_FLAG, TABLE } from "./flags.ts";

/** Runs of a table, here or in another engine. */
export const MAINTENANCE: CommandSpec = {
  name: "maintenance",
  summary: "keeps a table small: compact, expire, orphans, manifests, statistics",
  about:
    "Does one maintenance run of a table now, also of a table that no topic feeds. `compact` puts small " +
    "files of a partition together and leaves deleted rows out, by maintenance.compact_*. `expire` takes " +
    "snapshots out of the table by age and number, as [maintenance] and the table's own settings " +
    "(history.expire.*, those of its branches and tags, gc.enabled) say, and removes the files " +
    "that only they could reach. `orphans` removes files in the table's folder that it cannot reach " +
    "and that are older than maintenance.orphan_retention_days, and what killed writers left of " +
    "uploads. `manifests` writes manifests anew by partition, where there are more than their bytes " +
    "need. `statistics` counts different values and partitions for the planners of query engines. " +
    "A run may be stopped and repeated at any time. With --engine the same is done by your own Spark or Trino.",
  arguments: [
    {
      name: "operation",
      kind: "positional",
      words: MAINTENANCE_OPERATIONS,
      help: MAINTENANCE_OPERATIONS.join(" | "),
    },
    TABLE,
    ...CONFIG,
    DRY_RUN,
    {
      name: "older-than",
      kind: "value",
      hint: "AGE",
      help: "orphans: files of this age (36h, 7d) instead of maintenance.orphan_retention_days",
    },
    {
      name: "yes",
      kind: "flag",
      help: "orphans by the engine inside: also files of the last 24 hours, also more than 10,000 or half of all files",
    },
    {
      name: "engine",
      kind: "value",
      hint: "ENGINE",
      words: ["embedded", "spark", "trino"],
      help: "embedded (the default) | spark | trino: what does the work",
    },
    {
      name: "z-order",
      kind: "value",
      hint: "COLUMN,...",
      help: "compact by Spark: sorts rows by these columns alike, for filters by any of them",
    },
    {
      name: "engine-catalog",
      kind: "value",
      hint: "NAME",
      help: "spark, trino: what the engine calls the table's catalog",
    },
    {
      name: "engine-command",
      kind: "value",
      hint: "WORDS",
      help: 'spark: what runs a Python program in it (spark-submit), e.g. "spark-submit --remote sc://host:15002"',
    },
    {
      name: "engine-url",
      kind: "value",
      hint: "URL",
      help: "trino: where it is",
    },
    JSON_FLAG,
  ],
  examples: [
    [`maintenance expire events ${C} --dry-run`, "what would go"],
    [`maintenance expire events ${C} --json`, "expire, for scripts"],
    [`maintenance orphans events ${C} --dry-run`, "files that nobody knows"],
    [`maintenance compact events ${C} --engine spark --engine-catalog lake`, "by your own Spark"],
  ],
};
