/**
 * The text of `--help`, for the program and for each command.
 */
import { COMMANDS } from "./commands.ts";
import type { CommandSpec } from "./flags.ts";

const PROGRAM = "kafka-iceberg";
const WIDTH = 96;

/** Help of the program. */
export function programHelp(): string {
  return [
    "Keeps Apache Iceberg tables from Apache Kafka topics, exactly once, in one process.",
    "",
    `Usage: ${PROGRAM} [COMMAND] [FLAGS]`,
    "",
    "Commands:",
    ...columns(COMMANDS.map(({ name, summary }) => [name, summary])),
    "",
    `\`${PROGRAM} COMMAND --help\` says more. Keys of the configuration: docs/CONFIG.md.`,
    "",
    "Exit codes: 0 done or stopped on request; 1 failed while running; 2 wrong usage or",
    "configuration; 3 a required service can't be reached; 4 stopped by a data error or a question",
    "only a person can answer.",
    "",
  ].join("\n");
}

/** Help of one command. */
export function commandHelp(command: CommandSpec): string {
  const positionals = command.arguments.filter(({ kind }) => kind === "positional");
  const flags = command.arguments.filter(({ kind }) => kind !== "positional");
  const usage = [PROGRAM, command.name, ...positionals.map(({ name }) => name.toUpperCase())];
  return [
    ...wrap(command.about, WIDTH),
    "",
    `Usage: ${usage.join(" ")} [FLAGS]`,
    "",
    ...(positionals.length === 0
      ? []
      : [...columns(positionals.map(({ name, help }) => [name.toUpperCase(), help])), ""]),
    "Flags:",
    ...columns([
      ...flags.map(({ name, hint, help }): [string, string] => [
        `--${name}${hint === undefined ? "" : ` ${hint}`}`,
        help,
      ]),
      ["-h, --help", "this text"],
    ]),
    "",
    "Examples:",
    ...command.examples.flatMap(([words, what]) => [`  # ${what}`, `  ${PROGRAM} ${words}`]),
    "",
  ].join("\n");
}

/** Two columns, the second wrapped. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(34, Math.max(...rows.map(([first]) => first.length)));
  return rows.flatMap(([first, second]) => {
    const lines = wrap(second, WIDTH - width - 4);
    const isLong = first.length > width;
    const head = isLong ? [`  ${first}`] : [];
    return [
      ...head,
      ...lines.map((line, at) => {
        const left = at === 0 && !isLong ? first : "";
        return `  ${left.padEnd(width)}  ${line}`;
      }),
    ];
  });
}

/** Text in lines of at most `width` characters, broken at spaces. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
