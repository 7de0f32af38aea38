/**
 * The only place that reads the process's environment: variables, `.env` files, credentials of
 * systemd, and files named in the configuration.
 *
 * A reference in the configuration is looked up in the process's variables first, then in
 * `--env-file`, then in `.env` beside the configuration file, which is read only when it is needed.
 * `.env` files never change the process's own variables. Values are handed out by name only.
 */
import { dirname, join } from "node:path";
import { fail } from "#base/errors.ts";

/** Where values outside the configuration file come from. */
export interface Environment {
  /** A variable of the process. */
  variable(name: string): string | undefined;
  /** What `${NAME}` in the configuration stands for. */
  reference(name: string): Promise<string | undefined>;
  /** The text of a file without its last line break. Throws `usage` with a sentence. */
  file(path: string): Promise<string>;
  /** The bytes of a file. Throws as `file`. */
  bytes(path: string): Promise<Uint8Array>;
}

/**
 * Opens the environment of a configuration file.
 * @param configFile null: no `.env`
 * @param envFile `--env-file`; unlike `.env` it must exist
 * @param own the process's variables
 */
export async function openEnvironment(
  configFile: string | null,
  envFile: string | null,
  own: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Environment> {
  const named = envFile === null ? {} : parseEnvFile(await readText(envFile));
  let beside: Promise<Readonly<Record<string, string>>> | null = null;
  return {
    variable: (name) => own[name],
    reference: async (name) => {
      const found = own[name] ?? named[name];
      if (found !== undefined || configFile === null) return found;
      beside ??= readDotEnv(join(dirname(configFile), ".env"));
      return (await beside)[name];
    },
    file: async (path) => (await readText(path)).replace(/\r?\n$/, ""),
    bytes: (path) => read(path, (file) => file.bytes()),
  };
}

/**
 * The folder of this user for what can be made again: systemd's, else the desktop standard's; null
 * when the process has none.
 */
export function cacheFolder({ variable }: Environment): string | null {
  const own = variable("CACHE_DIRECTORY")?.split(":")[0];
  if (own) return own;
  const shared = variable("XDG_CACHE_HOME");
  if (shared?.startsWith("/")) return join(shared, "kafka-iceberg", "lib");
  const home = variable("HOME");
  return home ? join(home, ".cache", "kafka-iceberg", "lib") : null;
}

async function readDotEnv(path: string): Promise<Readonly<Record<string, string>>> {
  return (await Bun.file(path).exists()) ? parseEnvFile(await readText(path)) : {};
}

/** A variable of the process, for the clouds, whose libraries have names of their own for it. */
export function processVariable(name: string): string | undefined {
  return process.env[name];
}

/** `NAME=value` lines; `export`, quotes and comments as shells have them, no expansion. */
export function parseEnvFile(text: string): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line);
    if (match?.[1] !== undefined) variables[match[1]] = unquote(match[2] ?? "");
  }
  return variables;
}

function unquote(value: string): string {
  const double = /^"((?:[^"\\]|\\.)*)"/.exec(value)?.[1];
  if (double !== undefined) {
    return double.replaceAll(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
  }
  return /^'([^']*)'/.exec(value)?.[1] ?? value.replace(/\s+#.*$/, "");
}

function readText(path: string): Promise<string> {
  return read(path, (file) => file.text());
}

async function read<T>(path: string, as: (file: Bun.BunFile) => Promise<T>): Promise<T> {
  try {
    return await as(Bun.file(path));
  } catch (cause) {
    // The code says it all; the cause would repeat the path.
    const code = errorCode(cause);
    if (code === "ENOENT") throw fail("usage", `there is no file ${path}`);
    throw fail("usage", `cannot read ${path} (${code})`);
  }
}

function errorCode(cause: unknown): string {
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "error";
}
