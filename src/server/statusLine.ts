/**
 * The live status line of a terminal: state, rows per second, lag, buffered, last commit. On anything
 * else than a terminal there is none.
 *
 * The cursor is left at the line's beginning, so that a log line is written over it (`log.ts` erases
 * what is left to its right); the status line comes back below with the next drawing.
 */
import type { Clock } from "#base/clock.ts";
import type { StatusReport, StatusSource } from "./status.ts";

const EVERY_MS = 500;

/** Where the line goes: a stream of a terminal or of something else. */
export interface LineStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** What the line is made from. */
export interface StatusLineParts {
  readonly status: Pick<StatusSource, "status">;
  readonly clock: Pick<Clock, "sleep">;
  readonly stream: LineStream;
}

/** A status line that is being shown. */
export interface StatusLine {
  /** Takes the line away for good. */
  stop(): void;
}

/** Shows the line twice a second until stopped; does nothing off a terminal. */
export function startStatusLine({ status, clock, stream }: StatusLineParts): StatusLine {
  if (stream.isTTY !== true) return { stop: () => undefined };
  const stopping = new AbortController();
  const clear = (): void => {
    stream.write("\r\u001B[2K");
  };
  const draw = async (): Promise<void> => {
    let before = status.status();
    for (;;) {
      await clock.sleep(EVERY_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      const now = status.status();
      clear();
      const width = Math.max(0, (stream.columns || 80) - 1);
      stream.write(`${statusText(before, now).slice(0, width)}\r`);
      before = now;
    }
  };
  void draw();
  return {
    stop: () => {
      stopping.abort();
      clear();
    },
  };
}

/** The line's text, rates from two reports. */
export function statusText(before: StatusReport, now: StatusReport): string {
  const seconds = Math.max(0.001, (now.nowMs - before.nowMs) / 1000);
  const rate = Math.round((now.rowsConsumed - before.rowsConsumed) / seconds);
  const partitions = now.pipelines.flatMap((pipeline) => pipeline.partitions);
  const tables = now.pipelines.flatMap((pipeline) => pipeline.tables);
  const lag = partitions.reduce((sum, { lag: each }) => sum + Number(each ?? 0n), 0);
  const buffered = tables.reduce((sum, { bufferedRows }) => sum + bufferedRows, 0);
  const bytes = tables.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0);
  const committed = tables.reduce((sum, { rowsCommitted }) => sum + rowsCommitted, 0);
  const last = Math.max(0, ...tables.map(({ lastCommitMs }) => lastCommitMs ?? 0));
  const error = [...now.pipelines, ...tables].find(({ lastError }) => lastError !== null);
  return [
    stateText(now),
    `${short(rate)} rows/s`,
    `lag ${short(lag)}`,
    `buffered ${short(buffered)} (${short(bytes)}B)`,
    `committed ${short(committed)}`,
    last === 0 ? "no commit yet" : `last commit ${ago(now.nowMs - last)} ago`,
    ...(error?.lastError ? [error.lastError] : []),
  ].join("  ");
}

function stateText({ pipelines }: StatusReport): string {
  const states = new Map<string, number>();
  for (const { state } of pipelines) states.set(state, (states.get(state) ?? 0) + 1);
  if (states.size === 1 && pipelines.length === 1) return pipelines[0]?.state ?? "";
  return [...states].map(([state, count]) => `${count} ${state}`).join(", ");
}

/** 1234567 -> "1.2M". */
function short(value: number): string {
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (value >= size) return `${(value / size).toFixed(1)}${unit}`;
  }
  return String(value);
}

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
