/**
 * References inside strings: `${NAME}`, `${NAME:-default}`, `${file:PATH}`, `${credential:NAME}`
 * (SPEC section 3). `$${` stands for a plain `${`. What a reference gives is not searched again.
 */
import { join } from "node:path";
import { describe } from "#base/errors.ts";
import type { Environment } from "./environment.ts";

/** A string with its references put in. */
export interface Substituted {
  readonly text: string;
  /** True when something came from outside: such values are never quoted in messages. */
  readonly foreign: boolean;
  /** One clause per reference that could not be resolved. */
  readonly problems: readonly string[];
}

const REFERENCE = /\$\$\{|\$\{([^}]*)\}/g;

/** Resolves all references of one string. */
export async function substitute(text: string, environment: Environment): Promise<Substituted> {
  const problems: string[] = [];
  const parts: string[] = [];
  let foreign = false;
  let at = 0;
  for (const match of text.matchAll(REFERENCE)) {
    parts.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[1] === undefined) {
      parts.push("${");
      continue;
    }
    foreign = true;
    const resolved = await resolve(match[1], environment);
    if ("problem" in resolved) problems.push(resolved.problem);
    else parts.push(resolved.value);
  }
  parts.push(text.slice(at));
  return { text: parts.join(""), foreign, problems };
}

type Resolved = { readonly value: string } | { readonly problem: string };

async function resolve(reference: string, environment: Environment): Promise<Resolved> {
  const file = /^file:(.+)$/.exec(reference)?.[1];
  if (file !== undefined) return fromFile(environment, file);
  const credential = /^credential:(.+)$/.exec(reference)?.[1];
  if (credential !== undefined) return fromCredential(environment, credential);
  const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/.exec(reference);
  const name = match?.[1];
  if (name === undefined) return { problem: `\${${reference}} is not a reference` };
  const value = await environment.reference(name);
  // As in shells, `:-` also stands in for an empty variable.
  if (match?.[2] !== undefined) return { value: value || match[2] };
  return value === undefined ? { problem: `the variable ${name} is not set` } : { value };
}

async function fromCredential(environment: Environment, name: string): Promise<Resolved> {
  const folder = environment.variable("CREDENTIALS_DIRECTORY");
  if (folder === undefined) {
    return { problem: `\${credential:${name}} needs systemd's $CREDENTIALS_DIRECTORY` };
  }
  if (name.includes("/")) return { problem: `\${credential:${name}} is not a credential's name` };
  return fromFile(environment, join(folder, name));
}

async function fromFile(environment: Environment, path: string): Promise<Resolved> {
  try {
    return { value: await environment.file(path) };
  } catch (error) {
    return { problem: describe(error) };
  }
}
