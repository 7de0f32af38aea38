/**
 * Loads the configuration: file, references, flags; all problems at once.
 *
 * Two passes: this one accepts every documented key and value, also of features that are not built
 * yet (so that any documented file loads); `built.ts` says what this release cannot run.
 */
import { describe } from "#base/errors.ts";
import { assemble } from "./assemble.ts";
import { checkPipelines } from "./betweenPipelines.ts";
import { requireBuilt } from "./built.ts";
import { checkCombinations } from "./combinations.ts";
import type { AppConfig } from "./config.ts";
import { type Document, type Locate, readDocument } from "./entries.ts";
import { type Environment, openEnvironment } from "./environment.ts";
import { type ConfigFlags, readFlags } from "./flags.ts";
import { lineOf, type Statement, scanStatements } from "./positions.ts";
import type { Problem } from "./problems.ts";

/** What to load, and for what. */
export interface LoadArguments {
  /** `--config`; null: flags and defaults only. */
  readonly file: string | null;
  /** `--env-file`. */
  readonly envFile: string | null;
  readonly flags: ConfigFlags;
  /** `run`: also everything that keeps this release from running it is a problem. */
  readonly purpose: "run" | "inspect";
  /** The process's variables; default: its own. */
  readonly variables?: Readonly<Record<string, string | undefined>>;
}

/** A configuration without problems, or all of its problems in the order of the file. */
export type Loaded =
  | { readonly config: AppConfig; readonly environment: Environment }
  | { readonly problems: readonly Problem[] };

/** Reads, resolves and checks a configuration. Never throws for what a person wrote. */
export async function loadConfig(args: LoadArguments): Promise<Loaded> {
  const shown = args.file ?? "(flags)";
  const whole = (problem: string): Loaded => ({
    problems: [{ where: shown, key: "", problem, near: null }],
  });
  let text = "";
  let environment: Environment;
  try {
    environment = await openEnvironment(args.file, args.envFile, args.variables);
    if (args.file !== null) text = await environment.file(args.file);
  } catch (error) {
    return whole(describe(error));
  }
  const statements = scanStatements(text);
  const parsed = parseToml(text, statements);
  if ("problem" in parsed) {
    const where = parsed.line === null ? shown : `${shown}:${parsed.line}`;
    return { problems: [{ where, key: "", problem: parsed.problem, near: null }] };
  }
  const locate: Locate = (path) => {
    const line = lineOf(statements, path);
    return line === null ? shown : `${shown}:${line}`;
  };
  const problems: Problem[] = [];
  const document: Document = await readDocument(parsed.value, environment, locate, problems);
  const config = assemble(shown, document, readFlags(args.flags, problems), problems);
  problems.push(...checkCombinations(config), ...checkPipelines(config));
  if (args.purpose === "run") problems.push(...requireBuilt(config));
  if (problems.length === 0) return { config, environment };
  return { problems: problems.sort((a, b) => lineNumber(a) - lineNumber(b)) };
}

function lineNumber({ where }: Problem): number {
  return Number(/:(\d+)$/.exec(where)?.[1] ?? Number.MAX_SAFE_INTEGER);
}

type Parsed =
  | { readonly value: Readonly<Record<string, unknown>> }
  | { readonly problem: string; readonly line: number | null };

/** Bun's errors carry no line: the first statement that does not parse has it. */
function parseToml(text: string, statements: readonly Statement[]): Parsed {
  try {
    return { value: Bun.TOML.parse(text) as Readonly<Record<string, unknown>> };
  } catch (error) {
    const bad = statements.find(({ end }) => !parses(text.slice(0, end)));
    return { problem: `is not valid TOML: ${tomlMessage(error)}`, line: bad?.line ?? null };
  }
}

function parses(text: string): boolean {
  try {
    Bun.TOML.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The parser's message without what it quotes from the file: that may be a secret. */
function tomlMessage(error: unknown): string {
  const message = describe(error).replace(/^TOML Parse error: /, "");
  const clause = message.replace(/(?: but found)? *:? *"[\s\S]*$/, "");
  return clause.charAt(0).toLowerCase() + clause.slice(1);
}
