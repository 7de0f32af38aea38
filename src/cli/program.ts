/**
 * The program's entry behind `command.ts`: finds the command, runs it, and turns errors into one
 * sentence on standard error and an exit code (SPEC section 3).
 */
import { describe, EXIT, type ExitCode, fail, kindOf, policyOf } from "#base/errors.ts";
import type { AppConfig } from "#config/config.ts";
import { nearest } from "#config/problems.ts";
import type { Actions, Build, Terminal } from "./actions.ts";
import { type ArgumentSpec, type ParsedArguments, parseArguments } from "./arguments.ts";
import { checkCommand } from "./check.ts";
import { COMMANDS, commandOf } from "./commands.ts";
import { completionCommand } from "./completion.ts";
import type { CommandSpec } from "./flags.ts";
import { commandHelp, programHelp } from "./help.ts";
import { importConfigCommand } from "./importConfig.ts";
import { showFiles, showHistory, showSnapshots, showTables } from "./inspect.ts";
import { logCommand } from "./log.ts";
import { maintenanceCommand } from "./maintenance.ts";
import { offsetsCommand } from "./offsets.ts";
import { openConfig } from "./open.ts";
import { pauseCommand } from "./pause.ts";
import { profileCommand } from "./profile.ts";
import { queryCommand } from "./query.ts";

/** What the program is given. */
export interface ProgramParts {
  readonly actions: Actions;
  readonly terminal: Terminal;
  readonly build: Build;
  /** Ends `log --follow`, `load-test` and `maintenance`. */
  readonly stop: AbortSignal;
}

/** Runs the command line; never throws. */
export async function runProgram(words: readonly string[], parts: ProgramParts): Promise<ExitCode> {
  try {
    return await dispatch(words, parts);
  } catch (error) {
    const isBug = kindOf(error) === "internal";
    const trace = isBug && error instanceof Error ? `\n${error.stack ?? ""}` : "";
    parts.terminal.err(`${describe(error)}${trace}\n`);
    return policyOf(error).exitCode;
  }
}

async function dispatch(words: readonly string[], parts: ProgramParts): Promise<ExitCode> {
  const { terminal, build } = parts;
  const [first = ""] = words;
  if (words.length === 0) {
    terminal.err(programHelp());
    return EXIT.usage;
  }
  if (isHelp(first) || first === "help") {
    const about = commandOf(words[1] ?? "");
    terminal.out(about === undefined ? programHelp() : commandHelp(about));
    return EXIT.ok;
  }
  if (first === "--version") {
    terminal.out(`kafka-iceberg ${build.version} (${build.commit}, Bun ${Bun.version})\n`);
    return EXIT.ok;
  }
  const { name, rest } = commandIn(words);
  const command = commandOf(name);
  if (command === undefined) throw unknownCommand(name);
  if (rest.some(isHelp)) {
    terminal.out(commandHelp(command));
    return EXIT.ok;
  }
  return RUNNERS[command.name]?.(parseArguments(rest, command.arguments), parts) ?? EXIT.usage;
}

function isHelp(word: string): boolean {
  return word === "--help" || word === "-h";
}

/** The command among the words, which flags may precede; without any it is `run`. */
function commandIn(words: readonly string[]): { name: string; rest: readonly string[] } {
  const run = { name: "run", rest: words };
  let at = 0;
  for (let word = words[at]; word?.startsWith("-"); word = words[at]) {
    const flag = FLAGS.get(word.replace(/=.*$/s, ""));
    // The word behind an unknown flag may be its value: `run` says which flag is wrong.
    if (flag === undefined && !isHelp(word)) return run;
    const isApart = flag !== undefined && flag.kind !== "flag" && !word.includes("=");
    at += isApart ? 2 : 1;
  }
  const name = words[at];
  return name === undefined ? run : { name, rest: words.toSpliced(at, 1) };
}

/** The flags of all commands, as they are written. */
const FLAGS: ReadonlyMap<string, ArgumentSpec> = new Map(
  COMMANDS.flatMap((command) => command.arguments)
    .filter(({ kind }) => kind !== "positional")
    .map((spec) => [`--${spec.name}`, spec]),
);

function unknownCommand(name: string): Error {
  const near = nearest(
    name,
    COMMANDS.map((command) => command.name),
  );
  const hint = near === null ? "; see kafka-iceberg --help" : `; did you mean ${near}?`;
  return fail("usage", `There is no command ${name}${hint}`);
}

type Runner = (parsed: ParsedArguments, parts: ProgramParts) => Promise<ExitCode>;

/** What each command of {@link COMMANDS} does. */
const RUNNERS: Readonly<Record<CommandSpec["name"], Runner>> = {
  run: async (parsed, { actions, build }) => {
    const { config, environment } = await openConfig(parsed, "run");
    const reload = async (): Promise<AppConfig> => (await openConfig(parsed, "run")).config;
    return actions.run(config, environment, {
      untilEnd: parsed.flag("until-end"),
      reload,
      ...build,
    });
  },
  check: (parsed, { actions, terminal }) => checkCommand(parsed, actions, terminal),
  query: (parsed, { terminal }) => queryCommand(parsed, terminal),
  tables: inspection(showTables),
  snapshots: inspection(showSnapshots),
  files: inspection(showFiles),
  history: inspection(showHistory),
  offsets: (parsed, { actions, terminal }) => offsetsCommand(parsed, actions, terminal),
  pause: (parsed, { terminal }) => pauseCommand(parsed, true, terminal),
  resume: (parsed, { terminal }) => pauseCommand(parsed, false, terminal),
  log: (parsed, { terminal, stop }) => logCommand(parsed, terminal, stop),
  maintenance: (parsed, { terminal, stop }) => maintenanceCommand(parsed, terminal, stop),
  "dead-letter": (parsed, { actions, terminal }) => actions.deadLetter(parsed, { terminal }),
  replay: (parsed, { actions, terminal }) => actions.replay(parsed, { terminal }),
  "load-test": (parsed, { actions, ...parts }) => actions.loadTest(parsed, parts),
  profile: (parsed, { terminal }) => profileCommand(parsed, terminal),
  "import-config": (parsed, { terminal }) => importConfigCommand(parsed, terminal),
  completion: (parsed, { terminal }) => completionCommand(parsed, terminal),
};

function inspection(
  show: (
    opened: Awaited<ReturnType<typeof openConfig>>,
    parsed: ParsedArguments,
    terminal: Terminal,
  ) => Promise<void>,
): Runner {
  return async (parsed, { terminal }) => {
    await show(await openConfig(parsed, "inspect"), parsed, terminal);
    return EXIT.ok;
  };
}
