/**
 * `check --suggest`: sections `[schema]` and `[partitioning]` as TOML to paste, made of what a sample of
 * each topic holds. All that is no configuration stands behind `#`, so that the output as a whole can be
 * appended to a file.
 */
import { EXIT, type ExitCode } from "#base/errors.ts";
import { typeName } from "#columns/evolve.ts";
import { joinPath } from "#columns/paths.ts";
import { type Field, sameType, type Type } from "#columns/schema.ts";
import { buildPipeline } from "#config/buildPipeline.ts";
import type { AppConfig, PipelineConfig } from "#config/config.ts";
import type { Environment } from "#config/environment.ts";
import { parseFields } from "#config/fieldType.ts";
import type { Actions, SuggestedColumn, Terminal, TopicSuggestion } from "./actions.ts";
import { tomlText } from "./tomlText.ts";

/** Names of columns that probably say when something happened, the likeliest first. */
const EVENT_TIMES = [
  /^(event_?time|event_?timestamp|event_?ts|occurred_?at|happened_?at)$/i,
  /^(timestamp|ts|time|at|date)$/i,
  /^(created_?at|created|creation_?time|order_?date|inserted_?at)$/i,
  /(_at|_ts|_time|_date|_timestamp|At|Ts|Time|Date)$/,
];

/** Prints a suggestion for every topic of every pipeline. */
export async function suggestCommand(
  config: AppConfig,
  environment: Environment,
  actions: Pick<Actions, "suggest">,
  terminal: Terminal,
): Promise<ExitCode> {
  for (const pipeline of config.pipelines) {
    const options = await buildPipeline(pipeline, environment, "");
    const found = await actions.suggest(options);
    if (found.length === 0) terminal.out(`# pipeline ${pipeline.name} has no topic yet\n`);
    for (const each of found) terminal.out(textOf(pipeline, each, found.length));
  }
  return EXIT.ok;
}

function textOf(pipeline: PipelineConfig, found: TopicSuggestion, topics: number): string {
  const { topic, records, unreadable } = found;
  const lines = [`# Topic ${topic}: a sample of its newest ${records} records.`];
  if (unreadable > 0) lines.push(`# ${unreadable} of them are no JSON objects.`);
  if (topics > 1) {
    lines.push(
      "# One [schema] serves all topics of a pipeline: paste it into one for this topic alone.",
    );
  }
  const declared = found.columns.flatMap((column) => lineOf(column, records) ?? []);
  for (const { name, type } of found.columns) {
    if (type !== null && hasTextForm(name, type)) continue;
    const why =
      type === null ? "the sample does not tell its type" : "a name in it cannot be declared";
    lines.push(`# ${tomlText(name)}: left to be learned from the records, since ${why}.`);
  }
  if (declared.length > 0) {
    lines.push(...replaced(pipeline, "schema"), "[schema]", "fields = [", ...declared, "]");
  }
  lines.push("", ...partitioningOf(pipeline, found));
  return `${lines.join("\n")}\n`;
}

/** One declared column; null: its type is not known, or has no text form. */
function lineOf({ name, type, seen, misfits }: SuggestedColumn, records: number): string | null {
  if (type === null || !hasTextForm(name, type)) return null;
  const notes = [
    seen < records ? `in ${seen} of ${records} records` : "",
    misfits > 0 ? `${misfits} values are of another type and would be refused` : "",
  ].filter((note) => note !== "");
  const comment = notes.length === 0 ? "" : `   # ${notes.join("; ")}`;
  return `  {name = ${tomlText(name)}, type = ${tomlText(typeName(type))}},${comment}`;
}

/** Names inside a nested type may hold what its text form has another meaning for. */
function hasTextForm(name: string, type: Type): boolean {
  const parsed = parseFields([{ name, type: typeName(type) }]);
  return "fields" in parsed && parsed.fields.every((field) => sameType(field.type, type));
}

function partitioningOf(pipeline: PipelineConfig, { columns, records }: TopicSuggestion): string[] {
  const lines = [
    ...eventTimeNotes(columns),
    ...replaced(pipeline, "partitioning"),
    "[partitioning]",
  ];
  const times = columns.flatMap(({ name, type, seen, misfits }) =>
    type === null || misfits > 0 ? [] : timesIn({ id: 0, name, required: false, type }, "", seen),
  );
  const always = times.filter(({ seen }) => seen === records);
  const best = likeliest(always);
  if (best !== null) return [...lines, `spec = [${tomlText(`day(${best})`)}]`];
  const hasStamp = pipeline.values["source.metadata_columns"].includes("timestamp");
  return [
    ...lines,
    `partition_strategy = ${hasStamp ? '"daily"   # by the time in Kafka' : '"none"'}`,
  ];
}

/** Numbers that are times become one by a key of another section. */
function eventTimeNotes(columns: readonly SuggestedColumn[]): string[] {
  const numbers = columns.filter(
    ({ name, epoch }) => epoch !== null && EVENT_TIMES.some((form) => form.test(name)),
  );
  return numbers.flatMap(({ name, epoch }) => [
    `# ${tomlText(name)} holds numbers that look like times. To have it as a timestamptz, and partitions by it,`,
    `# set in [source]: event_time_field = ${tomlText(name)}, event_time_format = "${epoch}"`,
  ]);
}

/** Columns of time with simple names, not inside of lists. */
function timesIn(field: Field, parent: string, seen: number): { path: string; seen: number }[] {
  const path = joinPath(parent, field.name);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(field.name)) return [];
  const { type } = field;
  if (type.kind === "timestamp" || type.kind === "date") return [{ path, seen }];
  // A member may be missing where its struct is not: nobody has counted.
  return type.kind === "struct" ? type.fields.flatMap((each) => timesIn(each, path, 0)) : [];
}

/** The path that an event's time probably has; null: there is none. */
function likeliest(times: readonly { readonly path: string }[]): string | null {
  const ranks = times.map(({ path }) => {
    const rank = EVENT_TIMES.findIndex((form) => form.test(path));
    return { path, rank: rank < 0 ? EVENT_TIMES.length : rank };
  });
  return ranks.sort((a, b) => a.rank - b.rank)[0]?.path ?? null;
}

/** A section that is in the configuration already would stand there twice. */
function replaced({ origins }: PipelineConfig, section: string): string[] {
  const isThere = [...origins.keys()].some((key) => key.startsWith(`${section}.`));
  return isThere ? [`# In place of the [${section}] that is there:`] : [];
}
