/**
 * The program's entry behind `main.ts`: finds the command, runs it, and turns errors into one
 * sentence on standard error and an exit code (SPEC section 3).
 */
import { describe, EXIT, type ExitCode, fail, kindOf, policyOf } from "#base/errors.ts";
import { nearest } from "#config/problems.ts";
import type { Actions, Build, Terminal } from "./actions.ts";
import { type ParsedArguments, parseArguments } from "./arguments.ts";
import { checkCommand } from "./check.ts";
import { COMMANDS, type CommandSpec, commandOf } from "./commands.ts";
import { commandHelp, programHelp } from "./help.ts";
import { showFiles, showHistory, showSnapshots, showTables } from "./inspect.ts";
import { loadTestCommand } from "./loadTest.ts";
import { logCommand } from "./log.ts";
import { offsetsCommand } from "./offsets.ts";
import { openConfig } from "./open.ts";
import { pauseCommand } from "./pause.ts";

/** What the program is given. */
export interface ProgramParts {
  readonly actions: Actions;
  readonly terminal: Terminal;
  readonly build: Build;
  /** Ends `log --follow` and `load-test`. */
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
  if (first === "--help" || first === "help") {
    const about = commandOf(words[1] ?? "");
    terminal.out(about === undefined ? programHelp() : commandHelp(about));
    return EXIT.ok;
  }
  if (first === "--version") {
    terminal.out(`kafka-iceberg ${build.version} (${build.commit}, Bun ${Bun.version})\n`);
    return EXIT.ok;
  }
  const isRun = first.startsWith("-");
  const command = commandOf(isRun ? "run" : first);
  if (command === undefined) throw unknownCommand(first);
  const rest = isRun ? words : words.slice(1);
  if (rest.includes("--help")) {
    terminal.out(commandHelp(command));
    return EXIT.ok;
  }
  return RUNNERS[command.name]?.(parseArguments(rest, command.arguments), parts) ?? EXIT.usage;
}

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
    return actions.run(config, environment, { untilEnd: parsed.flag("until-end"), ...build });
  },
  check: (parsed, { actions, terminal }) => checkCommand(parsed, actions, terminal),
  tables: inspection(showTables),
  snapshots: inspection(showSnapshots),
  files: inspection(showFiles),
  history: inspection(showHistory),
  offsets: (parsed, { actions, terminal }) => offsetsCommand(parsed, actions, terminal),
  pause: (parsed, { terminal }) => pauseCommand(parsed, true, terminal),
  resume: (parsed, { terminal }) => pauseCommand(parsed, false, terminal),
  log: (parsed, { terminal, stop }) => logCommand(parsed, terminal, stop),
  "load-test": loadTestCommand,
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
