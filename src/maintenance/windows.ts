/**
 * The times of day at which scheduled runs may begin (`maintenance.windows`): `22:00-06:00`, UTC, its end not
 * included, over midnight where it ends before it begins. Pure.
 */

/** A time of every day, minutes since midnight. */
export interface DailyWindow {
  readonly from: number;
  readonly to: number;
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;

/** Null: the text is no window. */
export function parseWindow(text: string): DailyWindow | null {
  const [, ...parts] = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  const [fromHour, fromMinute, toHour, toMinute] = parts.map(Number);
  if (fromHour === undefined || fromMinute === undefined) return null;
  const from = 60 * fromHour + fromMinute;
  const to = 60 * (toHour ?? 0) + (toMinute ?? 0);
  return from === to ? null : { from, to };
}

/** How long until a run may begin, ms; 0: now. Without windows it always may. */
export function msUntilWindow(windows: readonly DailyWindow[], nowMs: number): number {
  if (windows.length === 0) return 0;
  const minute = Math.floor(nowMs / MINUTE_MS) % DAY_MINUTES;
  const waits = windows.map(({ from, to }) => {
    const length = (to - from + DAY_MINUTES) % DAY_MINUTES;
    const since = (minute - from + DAY_MINUTES) % DAY_MINUTES;
    if (since < length) return 0;
    return (DAY_MINUTES - since) * MINUTE_MS - (nowMs % MINUTE_MS);
  });
  return Math.min(...waits);
}
