/**
 * Memory for the keys of a flush (`KeySet.words`) that the Worker of the indexes reads where it lies: two
 * questions about the same half a million keys copied them four times.
 */

/** Words of so many keys, all 0. They are written before anybody is sent them, and not afterwards. */
export function keyWords(count: number): BigUint64Array {
  return new BigUint64Array(new SharedArrayBuffer(16 * count));
}
