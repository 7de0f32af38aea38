/** What every kernel says of its memory. */

/** First byte behind the kernel's own data. */
export function heapBase(): usize {
  return __heap_base;
}
