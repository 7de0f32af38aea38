/**
 * Log lines: one JSON object or one line of text each (SPEC section 9).
 *
 * A line has timestamp (UTC), level, message, trace_id and span_id where given, then the fields.
 * Warnings and errors that repeat (same message and table) within 10 s are counted, not repeated:
 * the next line tells `repeated`. Names that hold a UUID do not count: a try's file has another one. Fields whose name says secret are not written, at any depth.
 */
import type { Clock } from "#base/clock.ts";
import { AppError, describe } from "#base/errors.ts";
import { writePortableJson } from "#base/json.ts";
import type { LogFields, Logger, LogLevel } from "#base/log.ts";

/** How lines look and where they go. */
export interface LogOptions {
  /** The lowest level written. */
  readonly level: LogLevel;
  readonly format: "json" | "text";
  /** For terminals: text lines have a coloured level and are written over a status line. */
  readonly colour: boolean;
  /** Takes one line with its line break. */
  readonly write: (line: string) => void;
  readonly clock: Pick<Clock, "nowMs">;
}

/** A logger that counts repetitions. */
export interface AppLogger extends Logger {
  /** Writes the counts that are still held back; call before the process ends. */
  flush(): void;
  /** From now on lines of this level and above are written. */
  setLevel(level: LogLevel): void;
}

/** Items of a list or table in a line: a flush of 1,000 partitions would fill 21 KB otherwise. */
const ITEMS_MAX = 20;
const REPEAT_WINDOW_MS = 10_000;
/** A word with a UUID in it: every try to write a file gives it another name. */
const UUID_NAME = /\S*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\S*/g;
const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const SECRET_NAME =
  /(password|passwd|secret|token|credential|authorization|access_?key|private_?key|basic_auth)/i;
const COLOURS: Readonly<Record<LogLevel, number>> = { debug: 90, info: 36, warn: 33, error: 31 };

interface Repeat {
  readonly level: LogLevel;
  readonly message: string;
  fields: LogFields;
  since: number;
  held: number;
}

/** Creates the process's logger. */
export function createLogger(options: LogOptions): AppLogger {
  let levelMin = LEVELS.indexOf(options.level);
  const repeats = new Map<string, Repeat>();

  const emit = (level: LogLevel, message: string, fields: LogFields): void => {
    const line = { timestamp: new Date(options.clock.nowMs()).toISOString(), level, message };
    const { trace_id, span_id, ...others } = clean(fields) as Record<string, unknown>;
    const all = { ...line, trace_id, span_id, ...others };
    options.write(
      `${options.format === "json" ? writePortableJson(all) : text(all, options.colour)}\n`,
    );
  };
  const emitHeld = (key: string, repeat: Repeat): void => {
    repeats.delete(key);
    if (repeat.held === 0) return;
    emit(repeat.level, repeat.message, { ...repeat.fields, repeated: repeat.held });
  };
  const emitExpired = (nowMs: number): void => {
    // In the order in which they began: a flood of different lines costs no more for each.
    for (const [key, repeat] of repeats) {
      if (nowMs - repeat.since < REPEAT_WINDOW_MS) break;
      emitHeld(key, repeat);
    }
  };
  const log = (level: LogLevel, message: string, fields: LogFields): void => {
    if (LEVELS.indexOf(level) < levelMin) return;
    const nowMs = options.clock.nowMs();
    if (repeats.size > 0) emitExpired(nowMs);
    if (level === "debug" || level === "info") {
      emit(level, message, fields);
      return;
    }
    const key = `${level} ${message.replaceAll(UUID_NAME, "*")} ${String(fields["table"] ?? "")}`;
    const repeat = repeats.get(key);
    if (repeat === undefined) {
      repeats.set(key, { level, message, fields, since: nowMs, held: 0 });
      emit(level, message, fields);
    } else {
      repeat.held++;
      repeat.fields = fields;
    }
  };
  const withFields = (own: LogFields): Logger => ({
    log: (level, message, fields = {}) => log(level, message, { ...own, ...fields }),
    with: (more) => withFields({ ...own, ...more }),
  });
  return {
    ...withFields({}),
    flush: () => {
      for (const [key, repeat] of [...repeats]) emitHeld(key, repeat);
    },
    setLevel: (level) => {
      levelMin = LEVELS.indexOf(level);
    },
  };
}

/** A value without secrets, and errors as one line. */
function clean(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return withoutUrlSecrets(value);
  if (value instanceof Error) return withoutUrlSecrets(describeError(value));
  if (typeof value !== "object" || value === null || depth > 5) return value;
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (Array.isArray(value)) {
    const items: unknown[] = value.slice(0, ITEMS_MAX).map((item) => clean(item, depth + 1));
    return value.length > ITEMS_MAX ? [...items, more(value.length)] : items;
  }
  const entries = value instanceof Map ? [...value.entries()] : Object.entries(value);
  const cleaned = entries
    .slice(0, ITEMS_MAX)
    .map(([name, item]): [string, unknown] => [
      String(name),
      SECRET_NAME.test(String(name)) ? "***" : clean(item, depth + 1),
    ]);
  if (entries.length > ITEMS_MAX) cleaned.push(["…", more(entries.length)]);
  return Object.fromEntries(cleaned);
}

function more(count: number): string {
  return `${count - ITEMS_MAX} more`;
}

/** Errors that we did not make on purpose also show where they came from. */
function describeError(error: Error): string {
  const foreign = !(error instanceof AppError) || error.kind === "internal";
  return foreign ? `${describe(error)} ${error.stack ?? ""}`.trim() : describe(error);
}

function withoutUrlSecrets(value: string): string {
  return value.includes("://") ? value.replaceAll(/(:\/\/)[^/@\s]+@/g, "$1***@") : value;
}

function text(line: Readonly<Record<string, unknown>>, colour: boolean): string {
  const { timestamp, level, message, ...fields } = line;
  const word = String(level).toUpperCase().padEnd(5);
  const shown = colour ? `\u001B[${COLOURS[level as LogLevel]}m${word}\u001B[0m` : word;
  const parts = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${textValue(value)}`],
  );
  const joined = [String(timestamp), shown, String(message), ...parts].join(" ");
  // Erases what a status line has left to the right.
  return colour ? `${joined}\u001B[K` : joined;
}

function textValue(value: unknown): string {
  if (typeof value === "string") return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
  return writePortableJson(value);
}
