/**
 * UTF-8 and text. The program's only text decoders: by default `TextDecoder` drops a leading U+FEFF
 * (the byte order mark), which is a character of the data like any other.
 */

const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The text of UTF-8 bytes, every character of it; what is no UTF-8 becomes U+FFFD. */
export function utf8Text(bytes: Uint8Array): string {
  return lenient.decode(bytes);
}

/** The same; throws `TypeError` for what is no UTF-8. */
export function strictUtf8Text(bytes: Uint8Array): string {
  return strict.decode(bytes);
}

/** A decoder of UTF-8 that arrives in pieces: `decode(piece, { stream: true })`. */
export function utf8Stream(): TextDecoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

/** The end of the first `count` code points of the UTF-8 text in `bytes[start, end)`. */
export function codePointsEnd(
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
): number {
  if (end - start <= count) return end;
  let at = start;
  for (let points = 0; points < count && at < end; points++) {
    at++;
    while (at < end && ((bytes[at] ?? 0) & 0xc0) === 0x80) at++;
  }
  return at;
}
