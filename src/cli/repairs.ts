/**
 * The commands that mend rows: `dead-letter` and `replay`.
 */
import { C, CONFIG, type CommandSpec, DRY_RUN, JSON_FLAG, TABLE } from "./flags.ts";

/** Both, as `commands.ts` lists them. */
export const REPAIRS: readonly CommandSpec[] = [
  {
    name: "dead-letter",
    summary: "shows dead letters, and brings them in after their cause was mended",
    about:
      "list counts the dead letters of a table by their reason; show prints one with its bytes, escaped; " +
      "retry decodes them by the configuration and the table's schema as they are now, and adds those " +
      "that fit: each once, whatever is killed meanwhile, and while the process runs. Those that do not " +
      "fit yet stay. A letter that was brought in and is missing in the table since (a person rolled it " +
      "back, or deleted the row) needs --again.",
    arguments: [
      {
        name: "action",
        kind: "positional",
        words: ["list", "show", "retry"],
        help: "list, show or retry",
      },
      TABLE,
      ...CONFIG,
      JSON_FLAG,
      { name: "reason", kind: "value", hint: "REASON", help: "only letters of this reason" },
      {
        name: "record",
        kind: "value",
        hint: "TOPIC:PARTITION:OFFSET",
        help: "only the letter of this record",
      },
      { name: "limit", kind: "value", hint: "N", help: "so many at most; show: 1 unless given" },
      { name: "again", kind: "flag", help: "retry: also letters that were brought in before" },
      DRY_RUN,
    ],
    examples: [
      [`dead-letter list events ${C}`, "how many there are of each reason"],
      [`dead-letter show events --record events:0:17 ${C}`, "what is wrong with this one?"],
      [`dead-letter retry events --reason type_conflict ${C}`, "the column is wider now"],
    ],
  },
  {
    name: "replay",
    summary: "reads a range of a topic again and replaces its rows",
    about:
      "Reads the records of a range of one partition from Kafka once more, decodes them by the configuration " +
      "and the table's schema as they are now, and replaces the rows that the table has of them, in one " +
      "snapshot; offsets stay where they are, and running processes go on. Each record of the range is " +
      "then a row once, whatever stood there twice, was deleted, or was skipped; dead letters stay dead letters. " +
      "Nothing is replaced, and the record is named, where a row would go that is not written again. " +
      "Refused: tables that follow changes, or whose rows do not hold partition and offset; ranges that the " +
      "table has not committed, or was never given; records that Kafka no longer has. It may be killed and " +
      "repeated at any time.",
    arguments: [
      TABLE,
      ...CONFIG,
      {
        name: "topic",
        kind: "value",
        hint: "TOPIC",
        help: "whose records (default: the only one)",
      },
      { name: "partition", kind: "value", hint: "N", help: "of the topic (default: the only one)" },
      { name: "from", kind: "value", hint: "OFFSET", help: "the first record" },
      {
        name: "to",
        kind: "value",
        hint: "OFFSET",
        help: "behind the last one (default: all that is committed)",
      },
      {
        name: "from-time",
        kind: "value",
        hint: "TIME|AGE",
        help: "in place of --from: the first record as young as this",
      },
      {
        name: "to-time",
        kind: "value",
        hint: "TIME|AGE",
        help: "in place of --to: up to the first record as young as this",
      },
      DRY_RUN,
      {
        name: "yes",
        kind: "flag",
        help: "the offsets were set by a person, but the topic is the same as ever",
      },
      JSON_FLAG,
    ],
    examples: [
      [`replay events --from 1200 --to 1500 ${C} --dry-run`, "what would it do?"],
      [`replay events --partition 0 --from-time 2h ${C}`, "the last two hours, after a mend"],
    ],
  },
];
