/**
 * Texts of values that come again and again, by a hash of their bytes: no text is made of one that was met.
 */

/** Values that are remembered, and the longest of them. */
const MET_MAX = 1024;
const MET_LONGEST = 256;

/** The last values that were met. */
export class MetTexts {
  readonly #met: ({ readonly bytes: Uint8Array; readonly text: string } | undefined)[] = [];

  /** What `make` makes of `bytes[from, to)`; it says the same of the same bytes. */
  of(
    bytes: Uint8Array,
    from: number,
    to: number,
    make: (bytes: Uint8Array, from: number, to: number) => string | null,
  ): string | null {
    let hash = 0x811c9dc5;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
    const place = (hash >>> 0) % MET_MAX;
    const met = this.#met[place];
    if (met !== undefined && isAt(bytes, from, to, met.bytes)) return met.text;
    const text = make(bytes, from, to);
    if (text !== null && to - from <= MET_LONGEST) {
      this.#met[place] = { bytes: bytes.slice(from, to), text };
    }
    return text;
  }
}

/** Whether `bytes[from, to)` are these. */
function isAt(bytes: Uint8Array, from: number, to: number, value: Uint8Array): boolean {
  if (value.length !== to - from) return false;
  for (let k = 0; k < value.length; k++) if (bytes[from + k] !== value[k]) return false;
  return true;
}
