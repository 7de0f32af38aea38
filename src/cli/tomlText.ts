/**
 * A text as a value or key of TOML.
 */

/** A text as TOML's basic string, which has JSON's form but for one character. */
export function tomlText(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll("\u007f", "\\u007f");
}
