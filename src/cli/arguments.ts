/**
 * The words behind a command: positionals and flags, parsed by citty and checked by us. citty takes
 * any flag and keeps the last of repeated ones; we refuse unknown flags and keep all.
 */
import { type ArgsDef, parseArgs } from "citty";
import { fail } from "#base/errors.ts";
import { nearest } from "#config/problems.ts";

/** One flag or positional of a command. */
export interface ArgumentSpec {
  readonly name: string;
  /** `list`: may be given several times. */
  readonly kind: "flag" | "value" | "list" | "positional";
  readonly help: string;
  /** Shown for the value: `--set KEY=VALUE`. */
  readonly hint?: string;
  /** All values that there are, for completion. */
  readonly words?: readonly string[];
}

/** Parsed words of a command. */
export interface ParsedArguments {
  /** True when the flag was given. */
  flag(name: string): boolean;
  /** The value of a flag or positional; undefined when not given. */
  value(name: string): string | undefined;
  /** All values of a repeatable flag. */
  list(name: string): readonly string[];
}

/**
 * Parses the words behind a command.
 * Throws `usage` for unknown flags, missing values and positionals, and words too many.
 */
export function parseArguments(
  words: readonly string[],
  specs: readonly ArgumentSpec[],
): ParsedArguments {
  const { rest, lists } = takeLists(words, specs);
  const parsed = parseArgs<ArgsDef>(rest, definitionsOf(specs));
  const positionals = specs.filter(({ kind }) => kind === "positional");
  const extra = parsed._[positionals.length];
  if (extra !== undefined) throw fail("usage", `There is one word too many: ${extra}`);
  for (const { name } of positionals) {
    if (parsed[name] === undefined) throw fail("usage", `${name.toUpperCase()} is missing`);
  }
  return {
    flag: (name) => parsed[name] === true,
    value: (name) => (typeof parsed[name] === "string" ? parsed[name] : undefined),
    list: (name) => lists.get(name) ?? [],
  };
}

function definitionsOf(specs: readonly ArgumentSpec[]): ArgsDef {
  const definitions: ArgsDef = {};
  for (const { name, kind } of specs) {
    if (kind === "flag") definitions[name] = { type: "boolean" };
    else if (kind === "positional") definitions[name] = { type: "positional", required: false };
    else definitions[name] = { type: "string" };
  }
  return definitions;
}

/** Takes repeatable flags out; the others come back as `--name=value`. */
function takeLists(
  words: readonly string[],
  specs: readonly ArgumentSpec[],
): { rest: string[]; lists: Map<string, string[]> } {
  const lists = new Map<string, string[]>();
  const rest: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const spec = word.startsWith("-") ? flagOf(word, specs) : null;
    if (spec === null || spec.kind === "flag") {
      rest.push(word);
      continue;
    }
    if (!word.includes("=")) at++;
    const value = flagValue(spec, word, words[at]);
    if (spec.kind === "list") lists.set(spec.name, [...(lists.get(spec.name) ?? []), value]);
    else rest.push(`--${spec.name}=${value}`);
  }
  return { rest, lists };
}

function flagValue(spec: ArgumentSpec, word: string, next: string | undefined): string {
  if (word.includes("=")) return word.slice(word.indexOf("=") + 1);
  if (next === undefined) throw fail("usage", `--${spec.name} wants ${spec.hint ?? "a value"}`);
  return next;
}

function flagOf(word: string, specs: readonly ArgumentSpec[]): ArgumentSpec {
  const name = word.replace(/=.*$/s, "").replace(/^--?/, "");
  const flags = specs.filter(({ kind }) => kind !== "positional");
  const found = flags.find((flag) => flag.name === name && word.startsWith("--"));
  if (found === undefined) {
    const near = nearest(
      name,
      flags.map((flag) => flag.name),
    );
    const hint = near === null ? "" : `; did you mean --${near}?`;
    throw fail("usage", `There is no flag ${word.replace(/=.*$/s, "")}${hint}`);
  }
  if (found.kind === "flag" && word.includes("=")) {
    throw fail("usage", `--${found.name} takes no value`);
  }
  return found;
}
