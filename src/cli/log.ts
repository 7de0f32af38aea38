/**
 * `log`: the transaction log for people, also while a process writes it (SPEC section 8). It only
 * reads: the directory's lock is not needed.
 */
import { EXIT, type ExitCode, fail } from "#base/errors.ts";
import { writeJson } from "#base/json.ts";
import { folders } from "#config/buildProcess.ts";
import { LOG_ENTRY_TYPES } from "#txlog/entries.ts";
import type { FrameScan } from "#txlog/frames.ts";
import type { LoggedEntry } from "#txlog/log.ts";
import { listSegments, readClosedSegment, readLiveSegment, type Segment } from "#txlog/segments.ts";
import type { Terminal } from "./actions.ts";
import type { ParsedArguments } from "./arguments.ts";
import { openConfig, systemParts } from "./open.ts";
import { timeText } from "./output.ts";

const FOLLOW_EVERY_MS = 300;
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
  const isWanted = filterOf(parsed);
  const print = (entries: readonly LoggedEntry[]): void => {
    for (const entry of entries) if (isWanted(entry)) terminal.out(lineOf(entry, parsed));
  };
  const segments = await listSegments(systemParts.disk, dir);
  if (segments.length === 0 && !parsed.flag("follow")) {
    throw fail("usage", `There is no transaction log in ${dir} (transaction_log.log_dir)`);
  }
  if (parsed.flag("verify")) return verify(segments, dir, terminal);
  let at: { segment: Segment | null; end: number } = { segment: null, end: 0 };
  for (const segment of segments) {
    const scan = await read(segment, segment === segments.at(-1), 0);
    print(scan.entries);
    at = { segment, end: scan.end };
  }
  while (parsed.flag("follow") && !stop.aborted) {
    await systemParts.clock.sleep(FOLLOW_EVERY_MS, stop);
    at = await readOn(dir, at, print);
  }
  return EXIT.ok;
}

/** Prints what was written since; goes on into segments that were begun since. */
async function readOn(
  dir: string,
  from: { segment: Segment | null; end: number },
  print: (entries: readonly LoggedEntry[]) => void,
): Promise<{ segment: Segment | null; end: number }> {
  let at = from;
  const first = from.segment?.number ?? 0;
  for (const segment of await listSegments(systemParts.disk, dir)) {
    if (segment.number < first) continue;
    const start = segment.number === at.segment?.number ? at.end : 0;
    const scan = await read(segment, true, start);
    print(scan.entries);
    at = { segment, end: scan.end };
  }
  return at;
}

function read(segment: Segment, isLive: boolean, from: number): Promise<FrameScan> {
  const { disk } = systemParts;
  return isLive ? readLiveSegment(disk, segment, from) : readClosedSegment(disk, segment);
}

/** Reads everything; the tail of the newest segment may be a frame that is just being written. */
async function verify(
  segments: readonly Segment[],
  dir: string,
  terminal: Terminal,
): Promise<ExitCode> {
  const findings: string[] = [];
  let entries = 0;
  let last: bigint | null = null;
  for (const segment of segments) {
    const isLive = segment === segments.at(-1);
    const scan = await read(segment, isLive, 0);
    entries += scan.entries.length;
    findings.push(...damagesOf(scan, isLive).map((text) => `${segment.path}: ${text}`));
    const gap = gapBefore(scan, last);
    if (gap !== null) findings.push(`${segment.path}: ${gap}`);
    if (isLive && scan.tail !== null) {
      terminal.out(`${segment.path}: ends in an unfinished entry, cut off at the next start\n`);
    }
    last = scan.entries.at(-1)?.sequence ?? last;
  }
  for (const finding of findings) terminal.out(`${finding}\n`);
  const found = findings.length === 0 ? "no damage" : `${findings.length} damaged places`;
  terminal.out(`${dir}: ${segments.length} segments, ${entries} entries, ${found}\n`);
  return findings.length === 0 ? EXIT.ok : EXIT.failed;
}

function damagesOf(scan: FrameScan, isLive: boolean): string[] {
  const all = [...scan.damages, ...(scan.tail === null || isLive ? [] : [scan.tail])];
  return all.map(({ bytes, position, reason }) => {
    return `${bytes} bytes at ${position} are not used: ${reason}`;
  });
}

/** Sequence numbers go on without a gap from segment to segment. */
function gapBefore(scan: FrameScan, last: bigint | null): string | null {
  const first = scan.entries[0]?.sequence ?? null;
  if (first === null || last === null || first === last + 1n) return null;
  return `entries ${last + 1n} to ${first - 1n} are missing`;
}

function filterOf(parsed: ParsedArguments): (entry: LoggedEntry) => boolean {
  const types = parsed.list("type");
  const unknown = types.find((type) => !LOG_ENTRY_TYPES.includes(type));
  if (unknown !== undefined) {
    const sentence = `--type ${unknown}: must be one of ${LOG_ENTRY_TYPES.join(", ")}`;
    throw fail("usage", sentence);
  }
  const since = parsed.value("since");
  const sinceMs = since === undefined ? 0 : sinceTime(since);
  return ({ timeMs, entry }) =>
    timeMs >= sinceMs && (types.length === 0 || types.includes(entry.type));
}

function sinceTime(text: string): number {
  const age = /^(\d+)([smhd])$/.exec(text);
  if (age !== null) {
    return systemParts.clock.nowMs() - Number(age[1]) * (UNITS_MS[age[2] ?? "s"] ?? 1);
  }
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return time;
  throw fail("usage", `--since ${text}: must be a time (2026-01-08T00:00:00Z) or an age (15m)`);
}

function lineOf({ sequence, timeMs, entry }: LoggedEntry, parsed: ParsedArguments): string {
  const { type, ...fields } = entry;
  const time = timeText(timeMs);
  if (parsed.flag("json")) return `${writeJson({ sequence, timestamp: time, type, ...fields })}\n`;
  return `${time} ${sequence} ${type} ${writeJson(fields)}\n`;
}
