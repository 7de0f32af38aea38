/**
 * A dead letter for a terminal: bytes that are no plain text are shown as escapes, so that no record can
 * move the cursor, rename the window or hide what follows.
 */
import { strictUtf8Text } from "#base/text.ts";
import { timeText } from "#cli/output.ts";
import type { Letter } from "./read.ts";

/** Bytes of a value that are shown. */
const BYTES_SHOWN = 4096;

/** The letter in lines. */
export function letterText(letter: Letter, isBroughtIn: boolean): string {
  const { topic, partition, offset, timestampMs, reason, detail, rejectedMs, headers } = letter;
  const lines = [
    `record:    ${safeText(Buffer.from(topic))}/${partition} offset ${offset}, ${timeText(timestampMs) ?? "without a time"}`,
    `rejected:  ${timeText(rejectedMs)}${isBroughtIn ? ", brought in since" : ""}`,
    `reason:    ${safeText(Buffer.from(reason))}`,
    `detail:    ${safeText(Buffer.from(detail ?? "-"))}`,
    `key:       ${bytesText(letter.key)}`,
  ];
  for (const { key, value } of headers ?? []) {
    lines.push(`header:    ${bytesText(key)} = ${bytesText(value)}`);
  }
  if (headers === null) lines.push("headers:   damaged");
  lines.push(`value:     ${bytesText(letter.value)}`);
  return `${lines.join("\n")}\n`;
}

function bytesText(bytes: Uint8Array | null): string {
  if (bytes === null) return "null";
  const shown = safeText(bytes.subarray(0, BYTES_SHOWN));
  const more = bytes.length - BYTES_SHOWN;
  return more > 0 ? `${shown} ... and ${more} more bytes (--json shows all)` : shown;
}

/**
 * Text with everything escaped that a terminal might act on: control characters, what changes the
 * direction of text, and bytes that are no UTF-8.
 */
export function safeText(bytes: Uint8Array): string {
  let text = "";
  let rest = bytes;
  while (rest.length > 0) {
    const size = characterBytes(rest[0] ?? 0);
    const bytesOf = rest.subarray(0, size);
    const character = characterOf(bytesOf, size);
    if (character === null) {
      text += hexOf(rest[0] ?? 0);
      rest = rest.subarray(1);
      continue;
    }
    text += character === "\\" ? "\\\\" : isPlain(character) ? character : escapeOf(character);
    rest = rest.subarray(size);
  }
  return text;
}

/** Null where these are not the bytes of one character. */
function characterOf(bytes: Uint8Array, size: number): string | null {
  if (bytes.length !== size) return null;
  try {
    return strictUtf8Text(bytes);
  } catch {
    return null;
  }
}

function characterBytes(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

function isPlain(character: string): boolean {
  return !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cn}\p{Co}\p{Cs}]/u.test(character);
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? hexOf(code) : `\\u{${code.toString(16)}}`;
}

function hexOf(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}
