/** LZ4 blocks (placeholder until its first real version in the next commit). */

/** Returns 0. */
export function lz4Block(source: usize): usize {
  return source;
}
