/**
 * An imported configuration as TOML, with what its reader must know in front.
 */
import { tomlText } from "#cli/tomlText.ts";
import type { Drafted, TomlValue } from "./draft.ts";

/** The text of the configuration; `from` is shown as where it comes from. */
export function tomlOf(drafted: Drafted, from: string): string {
  const blocks = [
    comments(drafted, from),
    ...sections(drafted.settings, ""),
    ...drafted.pipelines.flatMap(({ name, settings }) => [
      `[[pipelines]]\nname = ${tomlText(name)}\n`,
      ...sections(settings, "pipelines."),
    ]),
  ];
  return blocks.join("\n");
}

/** What the reader must know, a line each. */
export function remarksOf({ variables, unmatched, notes }: Drafted): string[] {
  return [
    ...[...variables].map(([name, key]) => `Set the variable ${name} to the value of ${key}.`),
    ...unmatched.map(({ key, why }) => `No counterpart: ${key}: ${why}.`),
    ...notes,
  ];
}

function comments(drafted: Drafted, from: string): string {
  const lines = [`Imported from ${from} by kafka-iceberg import-config.`, ...remarksOf(drafted)];
  // A line end inside a key would end the comment, and what follows would be configuration.
  return lines.map((line) => `# ${line.replace(/\p{Cc}/gu, " ")}\n`).join("");
}

function sections(settings: ReadonlyMap<string, TomlValue>, prefix: string): string[] {
  const bySection = new Map<string, string[]>();
  for (const [path, value] of settings) {
    const dot = path.lastIndexOf(".");
    const section = path.slice(0, dot);
    const lines = bySection.get(section) ?? [];
    lines.push(`${path.slice(dot + 1)} = ${valueText(value)}\n`);
    bySection.set(section, lines);
  }
  return [...bySection].map(([section, lines]) => `[${prefix}${section}]\n${lines.join("")}`);
}

function valueText(value: TomlValue): string {
  if (typeof value === "string") return tomlText(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.map(tomlText).join(", ")}]`;
  return `{${Object.entries(value)
    .map(([key, text]) => `${tomlText(key)} = ${tomlText(text)}`)
    .join(", ")}}`;
}
