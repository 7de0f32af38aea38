/**
 * The event time column: a number or text of a stated format becomes a timestamptz (SPEC section 4,
 * `source.event_time_field`). Text without a zone is taken as UTC, because the column has one.
 *
 * A pattern is made of `yyyy MM dd HH mm ss`, a run of `S` (fraction digits), a run of `X` (zone),
 * and literal text, quoted with `'` where it has letters.
 */

import { fail } from "#base/errors.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { appendInstant, instantOf, scaledInteger, type TextParser } from "./json/values.ts";

/** How the event time field is read. */
export interface EventTime {
  /** Appends from the text of a JSON number or string. */
  readonly parse: TextParser;
  /** Microseconds per unit of a plain JSON integer, for the fast way; 0: there is none. */
  readonly microsPerUnit: number;
  /** Text in ISO 8601, UTC when it names no zone. */
  readonly isIso: boolean;
}

const EPOCH_SCALES: Readonly<Record<string, number>> = {
  epoch_seconds: 9,
  epoch_millis: 6,
  epoch_micros: 3,
  epoch_nanos: 0,
};

/**
 * The reader of an event time format.
 * @param unitNanos nanoseconds per unit of the column: 1000, or 1 for timestamptz_ns
 * Throws `usage` for a pattern without year, month and day.
 */
export function eventTime(format: string, unitNanos: bigint): EventTime {
  const scale = EPOCH_SCALES[format];
  if (scale !== undefined) {
    const parse = (text: string, column: ColumnBuilder): boolean => {
      const nanos = scaledInteger(text, scale, true);
      return nanos !== null && appendInstant(nanos, unitNanos, column);
    };
    const perUnit = scale >= 3 && unitNanos === 1000n ? 10 ** (scale - 3) : 0;
    return { parse, microsPerUnit: perUnit, isIso: false };
  }
  const toIso = format === "iso8601" ? (text: string) => text : patternToIso(format);
  const parse = (text: string, column: ColumnBuilder): boolean => {
    const instant = instantOf(toIso(text));
    return instant !== null && appendInstant(instant.nanos, unitNanos, column);
  };
  return { parse, microsPerUnit: 0, isIso: format === "iso8601" };
}

const TOKENS: readonly (readonly [token: RegExp, group: string, pattern: string])[] = [
  [/^yyyy/, "year", "\\d{4}"],
  [/^MM/, "month", "\\d\\d"],
  [/^dd/, "day", "\\d\\d"],
  [/^HH/, "hour", "\\d\\d"],
  [/^mm/, "minute", "\\d\\d"],
  [/^ss/, "second", "\\d\\d"],
  [/^S{1,9}/, "fraction", "\\d{1,9}"],
  [/^X{1,3}/, "zone", "Z|[+-]\\d\\d(?::?\\d\\d)?"],
];

/** A function that rewrites text of a pattern as ISO 8601; other text becomes empty. */
function patternToIso(pattern: string): (text: string) => string {
  const regex = new RegExp(`^${patternSource(pattern)}$`);
  return (text) => {
    const parts = regex.exec(text)?.groups as PatternParts | undefined;
    if (parts === undefined) return "";
    const { year, month, day, hour = "00", minute = "00", second = "00", zone = "Z" } = parts;
    const fraction = parts.fraction === undefined ? "" : `.${parts.fraction}`;
    return `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}${zone}`;
  };
}

type PatternParts = Partial<
  Record<"year" | "month" | "day" | "hour" | "minute" | "second" | "fraction" | "zone", string>
>;

function patternSource(pattern: string): string {
  let rest = pattern;
  let source = "";
  const groups = new Set<string>();
  while (rest !== "") {
    const token = TOKENS.find(([regex]) => regex.test(rest));
    const literal = /^'([^']*)'|^[^A-Za-z']/.exec(rest);
    if (token !== undefined && !groups.has(token[1])) {
      groups.add(token[1]);
      source += `(?<${token[1]}>${token[2]})`;
      rest = rest.replace(token[0], "");
    } else if (literal !== null) {
      source += RegExp.escape(literal[1] ?? literal[0]);
      rest = rest.slice(literal[0].length);
    } else throw badPattern(pattern);
  }
  if (!["year", "month", "day"].every((group) => groups.has(group))) throw badPattern(pattern);
  return source;
}

function badPattern(pattern: string): Error {
  return fail(
    "usage",
    `event_time_format "${pattern}" is not epoch_seconds, epoch_millis, epoch_micros, ` +
      "epoch_nanos, iso8601 or a pattern like yyyy-MM-dd HH:mm:ss.SSS",
  );
}
