/**
 * Which times a timestamp column may hold: those that every partition transform can take. The `hour`
 * transform gives 32 bits (Iceberg spec, "Partition Transforms"), so that a time beyond them could be
 * stored, but never partitioned: about the years -243,000 to 247,000. A timestamp_ns column holds less.
 */

/** Microseconds of the last hour that has 32 bits. */
export const TIMESTAMP_MICROS_MAX: bigint = 2n ** 31n * 3_600_000_000n - 1n;
/** Microseconds of the first hour that has 32 bits. */
export const TIMESTAMP_MICROS_MIN: bigint = -(2n ** 31n) * 3_600_000_000n;

const MS_MAX = Number(TIMESTAMP_MICROS_MAX / 1000n);
const MS_MIN = Number(TIMESTAMP_MICROS_MIN / 1000n);

/** True for milliseconds that a timestamp column holds exactly. */
export function isTimestampMs(ms: number): boolean {
  return Number.isSafeInteger(ms) && ms >= MS_MIN && ms <= MS_MAX;
}
