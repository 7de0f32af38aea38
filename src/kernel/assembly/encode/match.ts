/** How far two places are equal: what LZ4 and Snappy copy. */

/** Equal bytes at both places before `end`, of which four are known to be. */
// @ts-ignore: decorator
@inline
export function matchBytes(at: usize, candidate: usize, end: usize): u32 {
  let here = at + 4;
  let there = candidate + 4;
  while (here + 8 <= end) {
    const differ = load<u64>(here) ^ load<u64>(there);
    if (differ != 0) return <u32>(here - at) + <u32>(ctz(differ) >>> 3);
    here += 8;
    there += 8;
  }
  while (here < end && load<u8>(here) == load<u8>(there)) {
    here++;
    there++;
  }
  return <u32>(here - at);
}
