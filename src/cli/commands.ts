/**
 * The command line: every command with its flags, help and examples (SPEC section 3).
 */
import { C, CONFIG, type CommandSpec, DRY_RUN, JSON_FLAG, TABLE } from "./flags.ts";
import { MAINTENANCE } from "./maintenanceSpec.ts";
import { REPAIRS } from "./repairs.ts";

/** Shells that `completion` knows. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** All commands, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "run",
    summary: "reads the topics and keeps the tables (the default command)",
    about:
      "Runs every pipeline until it is stopped. SIGTERM or SIGINT: stop fetching, flush, commit, " +
      "leave the group, exit 0; a second signal exits at once, and nothing is lost by it. " +
      "Services that are away are waited for.",
    arguments: [
      ...CONFIG,
      {
        name: "until-end",
        kind: "flag",
        help: "stop with exit 0 once everything that the topics held at the start is committed",
      },
    ],
    examples: [
      [C, "run with a configuration file"],
      [`run ${C} --until-end`, "a backfill: commit what is there, then stop"],
      ["--kafka-topic events --warehouse-path /data/warehouse", "no file: one topic, defaults"],
    ],
  },
  {
    name: "check",
    summary: "validates the configuration and prints the plan; changes nothing",
    about:
      "Checks the configuration, connects to brokers, catalog and storage, and prints what a run " +
      "would do: tables to create, schema and partition differences, missing permissions, and the " +
      "data files expected per day. Exit 2: the configuration is wrong; 3: a service can't be " +
      "reached. With --suggest it reads a sample of each JSON topic instead (the newest " +
      "schema.infer_rows records, without joining the group) and prints a [schema] and a " +
      "[partitioning] section to paste.",
    arguments: [
      ...CONFIG,
      {
        name: "suggest",
        kind: "flag",
        help: "print columns and partitions that a sample of the topic suggests",
      },
      JSON_FLAG,
    ],
    examples: [
      [`check ${C}`, "before a deployment"],
      [`check ${C} --suggest >> config.toml`, "times, UUIDs and decimals as columns of their type"],
    ],
  },
  {
    name: "query",
    summary: "asks the tables with SQL",
    about:
      "Answers one SELECT of DuckDB's SQL over the Iceberg tables of the configuration, without a " +
      "running process, or by one (--url), with its rows that are not committed yet. A table is named as TABLE or DATABASE.TABLE; another time of it is " +
      "TABLE AT (VERSION => ID) or TABLE AT (TIMESTAMP => '2026-01-08 12:00:00'). Nothing is " +
      "written, and a statement reaches no file, network or setting.",
    arguments: [
      { name: "sql", kind: "positional", help: "the statement, in quotes" },
      ...CONFIG,
      {
        name: "format",
        kind: "value",
        hint: "table|json|csv|arrow",
        words: ["table", "json", "csv", "arrow"],
        help: "how the answer is written; arrow: an IPC stream; default: table",
      },
      {
        name: "url",
        kind: "value",
        hint: "URL",
        help: "ask the process at this address; server.query_token comes from the configuration",
      },
      { name: "snapshot", kind: "value", hint: "ID", help: "of each table: this snapshot" },
      {
        name: "as-of",
        kind: "value",
        hint: "TIME",
        help: "of each table: what it held at this time, UTC where no zone is named",
      },
    ],
    examples: [
      [`query "SELECT count(*) FROM events" ${C}`, "how many rows there are"],
      [`query "FROM events LIMIT 3" ${C} --format json`, "for scripts"],
      [`query "FROM events" ${C} --as-of "2026-01-08 12:00"`, "as the table was then"],
      [
        'query "SELECT max(ts) FROM events" --url http://127.0.0.1:8080',
        "with what the running process has not committed yet",
      ],
    ],
  },
  {
    name: "tables",
    summary: "lists the tables of the configured databases",
    about: "Lists every table of the pipelines' databases with its rows, files and last commit.",
    arguments: [...CONFIG, JSON_FLAG],
    examples: [[`tables ${C}`, "what is there"]],
  },
  {
    name: "snapshots",
    summary: "lists a table's snapshots, newest first",
    about: "Lists the snapshots that the table's metadata holds, with what each added.",
    arguments: [TABLE, ...CONFIG, JSON_FLAG],
    examples: [[`snapshots events ${C}`, "which commits the table has"]],
  },
  {
    name: "files",
    summary: "lists a table's live data files",
    about: "Lists the data files of the current snapshot, or of --snapshot.",
    arguments: [
      TABLE,
      ...CONFIG,
      { name: "snapshot", kind: "value", hint: "ID", help: "of this snapshot" },
      JSON_FLAG,
    ],
    examples: [[`files raw.events ${C} --json`, "for scripts"]],
  },
  {
    name: "history",
    summary: "lists which snapshot was current when",
    about:
      "Lists the table's snapshot log. A snapshot that is no ancestor of the current one was " +
      "rolled back.",
    arguments: [TABLE, ...CONFIG, JSON_FLAG],
    examples: [[`history events ${C}`, "was the table rolled back?"]],
  },
  {
    name: "offsets",
    summary: "shows or sets the offsets that a table has committed",
    about:
      "Offsets are kept in the table: each is the next one to read. Without --set and " +
      "--accept-topic they are shown. Setting them is one commit; running processes notice and " +
      "seek anew. Before anything is done, each partition's change is printed: how many offsets it " +
      "skips, how many Kafka no longer has, and how many are read again, whose rows the table then " +
      "has twice. Such a change needs --yes.",
    arguments: [
      TABLE,
      ...CONFIG.map((spec) =>
        spec.name === "set"
          ? {
              ...spec,
              hint: "TOPIC:PARTITION=OFFSET",
              help: "the next offset to read (or, as SECTION.KEY=VALUE, a configuration key)",
            }
          : spec,
      ),
      {
        name: "accept-topic",
        kind: "value",
        hint: "TOPIC",
        help: "take the topic as it is now: after retention passed the offsets, or it was re-created",
      },
      {
        name: "from",
        kind: "value",
        hint: "earliest|latest|OFFSET",
        help: "with --accept-topic: where to go on (default: earliest, or the end of a log that ends too early)",
      },
      DRY_RUN,
      { name: "yes", kind: "flag", help: "do it although records are skipped, lost or doubled" },
      JSON_FLAG,
    ],
    examples: [
      [`offsets events ${C}`, "where the table stands"],
      [`offsets events ${C} --set events:0=1200 --dry-run`, "what setting one would do"],
      [
        `offsets events ${C} --accept-topic events --dry-run`,
        "what taking the topic as it is would do",
      ],
    ],
  },
  {
    name: "pause",
    summary: "holds a table: every process stops committing to it",
    about: "Sets a property of the table. Rows are buffered up to the limit, then fetching pauses.",
    arguments: [TABLE, ...CONFIG, DRY_RUN],
    examples: [[`pause events ${C}`, "before changing the table by hand"]],
  },
  {
    name: "resume",
    summary: "lets a paused table go on",
    about: "Removes the property that `pause` has set.",
    arguments: [TABLE, ...CONFIG, DRY_RUN],
    examples: [[`resume events ${C}`, "afterwards"]],
  },
  {
    name: "log",
    summary: "prints the transaction log",
    about:
      "Prints the local audit trail, oldest first, also while a process is running. --verify " +
      "reads all of it and reports damage; exit 1 when there is any.",
    arguments: [
      ...CONFIG,
      { name: "follow", kind: "flag", help: "go on with entries as they are written" },
      { name: "type", kind: "list", hint: "TYPE", help: "only entries of this type" },
      {
        name: "since",
        kind: "value",
        hint: "TIME|AGE",
        help: "only later ones: 2026-01-08T00:00:00Z, 90s, 15m, 2h, 7d",
      },
      { name: "verify", kind: "flag", help: "check every frame and report damage" },
      JSON_FLAG,
    ],
    examples: [
      [`log ${C} --since 1h --type IcebergSnapshotCreated`, "the commits of the last hour"],
      [`log ${C} --verify`, "is the log whole?"],
    ],
  },
  MAINTENANCE,
  ...REPAIRS,
  {
    name: "load-test",
    summary: "measures what holds here: produces into a scratch topic and ingests it",
    about:
      "Produces JSON events at a steady rate into a scratch topic of the configured cluster, from a " +
      "process of its own, and ingests them with the ordinary pipeline and the configured store, " +
      "catalog type and commit settings; columns and partitions are the test's own. Prints the rates " +
      "that were reached, how old records were in the hot buffer and in snapshots (from their " +
      "timestamp), CPU and memory of the ingesting process, and whether every row is in the table " +
      "once. Topics, tables, groups and state of yours are not touched; what it makes is removed, " +
      "also after Ctrl-C. Exit 1 when the rate was not held: when production, ingest or commits took " +
      "longer than asked by more than 2 % and half a second.",
    arguments: [
      ...CONFIG.filter(({ name }) => name !== "kafka-topic"),
      { name: "rate", kind: "value", hint: "N", help: "rows a second (default 1000000)" },
      { name: "seconds", kind: "value", hint: "N", help: "how long (default 60)" },
      { name: "bytes", kind: "value", hint: "N", help: "bytes of an event, from 96 (default 270)" },
      { name: "partitions", kind: "value", hint: "N", help: "of the topic (default 6)" },
      { name: "pipeline", kind: "value", hint: "NAME", help: "whose settings (default the first)" },
      { name: "keep", kind: "flag", help: "leave topic, group, table and state" },
      JSON_FLAG,
    ],
    examples: [
      [`load-test ${C}`, "do a million rows a second hold for a minute?"],
      [`load-test ${C} --rate 50000 --bytes 1000 --seconds 300`, "the load that is expected"],
    ],
  },
  {
    name: "profile",
    summary: "says where a running process spends its CPU time",
    about:
      "Prints a CPU profile of the process's event loop for a bug report, in the form that Chrome's " +
      "developer tools and speedscope open. The process needs server.profile_enabled = true; it is a few " +
      "percent slower meanwhile. A profile names functions of this program, and no values.",
    arguments: [
      ...CONFIG,
      {
        name: "url",
        kind: "value",
        hint: "URL",
        help: "of the process; default: http://127.0.0.1:8080. server.query_token comes from the configuration",
      },
      { name: "seconds", kind: "value", hint: "N", help: "how long, 1 to 60 (default 10)" },
    ],
    examples: [[`profile ${C} --seconds 30 > busy.cpuprofile`, "while it is slow"]],
  },
  {
    name: "import-config",
    summary: "turns a Kafka Connect Iceberg sink's configuration into ours",
    about:
      "Reads the configuration of a sink (Apache's or Tabular's), as JSON or properties, and prints ours. " +
      "Each key without a counterpart is named in a comment and on standard error. Secrets become " +
      "references to variables, and are never printed. Connects to nothing.",
    arguments: [{ name: "file", kind: "positional", help: "connect.json or connect.properties" }],
    examples: [["import-config connect.json > config.toml", "then: check --config config.toml"]],
  },
  {
    name: "completion",
    summary: "prints what makes a shell complete these commands",
    about: "Prints a script for bash, zsh or fish that completes commands, flags and their words.",
    arguments: [{ name: "shell", kind: "positional", words: SHELLS, help: SHELLS.join(" | ") }],
    examples: [
      ["completion bash > /etc/bash_completion.d/kafka-iceberg", "for everybody, in bash"],
      ["completion zsh > ~/.zfunc/_kafka-iceberg", "in a folder of $fpath"],
      ["completion fish > ~/.config/fish/completions/kafka-iceberg.fish", "in fish"],
    ],
  },
];

/** The command of a name; undefined when there is none. */
export function commandOf(name: string): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name);
}
