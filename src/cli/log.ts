/**
 * `log`: the transaction log for people, also while a process writes it (SPEC section 8).
 */
import { EXIT, type ExitCode, fail } from "#base/errors.ts";
import { writePortableJson } from "#base/json.ts";
import { folders } from "#config/buildProcess.ts";
import { LOG_ENTRY_TYPES } from "#txlog/entries.ts";
import type { LogEntry, LoggedEntry } from "#txlog/log.ts";
import { type LogItem, type ReadLogOptions, readTransactionLog } from "#txlog/read.ts";
import type { Terminal } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { openConfig, systemParts } from "./open.ts";
import { timeText } from "./output.ts";

/** Of a list or table in a line for people: each entry of a flush of 1,000 partitions has as many. */
const ITEMS_MAX = 10;

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Runs the command; `stop` ends `--follow`. */
export async function logCommand(
  parsed: ParsedArguments,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<ExitCode> {
  const { config, environment } = await openConfig(parsed, "inspect");
  const { dir } = folders(config, environment).txlog;
  const options = { ...filterOf(parsed), follow: parsed.flag("follow") ? stop : null };
  const isThere = (await systemParts.disk.stat(dir)) !== null;
  if (!isThere && !parsed.flag("follow")) {
    throw fail("usage", `There is no transaction log in ${dir} (transaction_log.log_dir)`);
  }
  if (parsed.flag("verify")) return verify(dir, terminal);
  for await (const item of readTransactionLog(dir, systemParts, options)) {
    if (item.kind === "entry") terminal.out(lineOf(item.logged, parsed));
    else terminal.err(damageText(item));
  }
  return EXIT.ok;
}

/** Reads everything; the end of the newest segment may be an entry that is just being written. */
async function verify(dir: string, terminal: Terminal): Promise<ExitCode> {
  let entries = 0;
  let damages = 0;
  for await (const item of readTransactionLog(dir, systemParts)) {
    if (item.kind === "entry") {
      entries++;
      continue;
    }
    if (!item.isTail) damages++;
    terminal.out(damageText(item));
  }
  const found = damages === 0 ? "no damage" : `${damages} damaged places`;
  terminal.out(`${dir}: ${entries} entries, ${found}\n`);
  return damages === 0 ? EXIT.ok : EXIT.failed;
}

function damageText({ path, damage, isTail }: Extract<LogItem, { kind: "damage" }>): string {
  if (isTail) return `${path}: ends in an unfinished entry, cut off at the next start\n`;
  const { bytes, position, reason } = damage;
  const what = bytes === 0 ? "" : `${bytes} bytes at ${position} are not used: `;
  return `${path}: ${what}${reason}\n`;
}

function filterOf(parsed: ParsedArguments): ReadLogOptions {
  const types = parsed.list("type");
  const unknown = types.find((type) => !LOG_ENTRY_TYPES.includes(type));
  if (unknown !== undefined) {
    const sentence = `--type ${unknown}: must be one of ${LOG_ENTRY_TYPES.join(", ")}`;
    throw fail("usage", sentence);
  }
  const since = parsed.value("since");
  return {
    sinceMs: since === undefined ? 0 : parseTime("since", since),
    ...(types.length === 0 ? {} : { types: new Set(types as LogEntry["type"][]) }),
  };
}

/** A flag's time or age as ms since epoch. @throws AppError `usage` */
export function parseTime(flag: string, text: string): number {
  const ageMs = parseAgeMs(text);
  if (ageMs !== null) return systemParts.clock.nowMs() - ageMs;
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return time;
  throw fail("usage", `--${flag} ${text}: must be a time (2026-01-08T00:00:00Z) or an age (15m)`);
}

/** An age such as `90s`, `15m`, `2h`, `7d` in ms; null for other text. */
export function parseAgeMs(text: string): number | null {
  const [, count, unit = ""] = /^(\d+)([smhd])$/.exec(text) ?? [];
  return count === undefined ? null : Number(count) * (UNITS_MS[unit] ?? 1);
}

function lineOf({ sequence, timeMs, entry }: LoggedEntry, parsed: ParsedArguments): string {
  const { type, ...fields } = entry;
  const time = timeText(timeMs);
  if (parsed.flag("json"))
    return `${writePortableJson({ sequence, timestamp: time, type, ...fields })}\n`;
  return `${time} ${sequence} ${type} ${writePortableJson(shortened(fields))}\n`;
}

/** Long lists and tables with their first items, for people; `--json` has them all. */
function shortened(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items: unknown[] = value.slice(0, ITEMS_MAX).map(shortened);
    const left = value.length - items.length;
    return left === 0 ? items : [...items, `${left} more`];
  }
  const entries = Object.entries(value);
  const kept = entries.slice(0, ITEMS_MAX).map(([name, item]) => [name, shortened(item)]);
  const left = entries.length - kept.length;
  return Object.fromEntries(left === 0 ? kept : [...kept, ["…", `${left} more`]]);
}
