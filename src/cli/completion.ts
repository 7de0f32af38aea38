/**
 * `completion bash|zsh|fish`: a script that completes commands, flags and their words, made from the
 * commands themselves. It asks the program for nothing, so that a key press costs no start.
 */
import { EXIT, type ExitCode, fail } from "#base/errors.ts";
import type { Terminal } from "./actions.ts";
import type { ArgumentSpec, ParsedArguments } from "./arguments.ts";
import { COMMANDS, SHELLS } from "./commands.ts";
import type { CommandSpec } from "./flags.ts";

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], () => string>> = { bash, zsh, fish };

/** Prints the script of a shell. */
export async function completionCommand(
  parsed: ParsedArguments,
  terminal: Terminal,
): Promise<ExitCode> {
  const wanted = parsed.value("shell");
  const shell = SHELLS.find((each) => each === wanted);
  if (shell === undefined) {
    throw fail("usage", `There is no completion for ${wanted}: it is one of ${SHELLS.join(", ")}`);
  }
  terminal.out(SCRIPTS[shell]());
  return EXIT.ok;
}

const NAMES = COMMANDS.map(({ name }) => name);
/** Flags of all commands, each once, that take a value. */
const VALUES = [
  ...new Map(
    COMMANDS.flatMap((command) => flagsOf(command))
      .filter(({ kind }) => kind !== "flag")
      .map((spec) => [spec.name, spec]),
  ).values(),
];

function flagsOf(command: CommandSpec): readonly ArgumentSpec[] {
  return command.arguments.filter(({ kind }) => kind !== "positional");
}

/** The words that a command's first positional may be; none where it may be any. */
function wordsOf(command: CommandSpec): readonly string[] {
  return command.arguments.find(({ kind }) => kind === "positional")?.words ?? [];
}

function isFile({ hint }: ArgumentSpec): boolean {
  return hint === "FILE" || hint === "PATH";
}

function bash(): string {
  const cases = COMMANDS.map((command) => {
    const words = [...wordsOf(command), ...flagsOf(command).map(({ name }) => `--${name}`)];
    return `    ${command.name}) words="${[...words, "--help"].join(" ")}" ;;`;
  });
  const values = VALUES.map(({ name, words }) => {
    const choice = words === undefined ? "" : `${bashWords(words.join(" "))}; `;
    return `    --${name}) ${choice}return ;;`;
  });
  return `# bash completion of kafka-iceberg
_kafka_iceberg() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  local command="" word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
    ${NAMES.join(" | ")}) command="$word"; break ;;
    esac
  done
  case "$previous" in
${values.join("\n")}
  esac
  case "$command" in
${cases.join("\n")}
    *) words="${[...NAMES, "--config", "--help", "--version"].join(" ")}" ;;
  esac
  ${bashWords("$words")}
}
complete -o bashdefault -o default -F _kafka_iceberg kafka-iceberg
`;
}

/** What is left empty, bash completes as files. Without mapfile, which macOS's bash does not have. */
function bashWords(words: string): string {
  return `COMPREPLY=($(compgen -W "${words}" -- "$current"))`;
}

function zsh(): string {
  const commands = COMMANDS.map(({ name, summary }) => quoted(`${name}:${summary}`));
  const cases = COMMANDS.map((command) => {
    const flags = flagsOf(command).map((spec) => quoted(zshFlag(spec)));
    const words = wordsOf(command);
    const rest = words.length > 0 ? [quoted(`1:${command.name}:(${words.join(" ")})`)] : [];
    const all = [...flags, "'--help[this text]'", ...rest, "'*:file:_files'"];
    return `    ${command.name}) _arguments ${all.join(" ")} ;;`;
  });
  return `#compdef kafka-iceberg
_kafka_iceberg() {
  local -a commands=(${commands.join(" ")})
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join("\n")}
    *) _files ;;
  esac
}
if [ "$funcstack[1]" = _kafka_iceberg ]; then _kafka_iceberg; else compdef _kafka_iceberg kafka-iceberg; fi
`;
}

function zshFlag(spec: ArgumentSpec): string {
  const many = spec.kind === "list" ? "*" : "";
  const head = `${many}--${spec.name}[${spec.help.replaceAll(/[[\]]/g, "")}]`;
  if (spec.kind === "flag") return head;
  const action = isFile(spec) ? "_files" : spec.words ? `(${spec.words.join(" ")})` : "";
  return `${head}:${(spec.hint ?? spec.name).replaceAll(":", " ")}:${action}`;
}

function fish(): string {
  const program = "complete -c kafka-iceberg";
  const commands = COMMANDS.map(
    ({ name, summary }) =>
      `${program} -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
  );
  const flags = COMMANDS.flatMap((command) => {
    const inside = `${program} -n ${quoted(`__fish_seen_subcommand_from ${command.name}`)}`;
    const words = wordsOf(command);
    return [
      ...(words.length > 0 ? [`${inside} -f -a ${quoted(words.join(" "))}`] : []),
      ...flagsOf(command).map((spec) => {
        const value = spec.kind === "flag" ? "" : isFile(spec) ? " -r -F" : " -x";
        const choice = spec.words === undefined ? "" : ` -a ${quoted(spec.words.join(" "))}`;
        return `${inside} -l ${spec.name} -d ${quoted(spec.help)}${value}${choice}`;
      }),
    ];
  });
  return ["# fish completion of kafka-iceberg", ...commands, ...flags, ""].join("\n");
}

/** A word in single quotes, as all three shells read it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}
