/**
 * Randomness comes in through this port, so that the simulator can repeat a run from its seed.
 */

/** Sources of random values. */
export interface Random {
  /** Uniform in [0, 1). */
  unit(): number;
  /** A random positive 63-bit integer, never 0 (Iceberg snapshot ids). */
  id63(): bigint;
  /** A version-4 UUID in lower case. */
  uuid(): string;
}

/** The machine's randomness. */
export const systemRandom: Random = {
  unit: () => Math.random(),
  id63: () => {
    const words = crypto.getRandomValues(new BigUint64Array(1));
    return (words[0] ?? 1n) & 0x7fff_ffff_ffff_ffffn || 1n;
  },
  uuid: () => crypto.randomUUID(),
};

/**
 * Repeatable randomness from a 32-bit seed (mulberry32).
 * @param seed any integer; the same seed gives the same values
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const hex = (digits: number): string => next32().toString(16).padStart(8, "0").slice(0, digits);
  return {
    unit: () => next32() / 0x1_0000_0000,
    id63: () => (BigInt(next32() >>> 1) << 32n) | BigInt(next32()) || 1n,
    uuid: () =>
      `${hex(8)}-${hex(4)}-4${hex(3)}-${"89ab"[next32() & 3]}${hex(3)}-${hex(8)}${hex(4)}`,
  };
}
