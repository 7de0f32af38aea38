/**
 * `[source.transform]`: what its keys mean to a decoder, and combinations of them that mean nothing.
 */
import { Shaping, type ShapingOptions } from "#decode/shaping.ts";
import type { PipelineValues } from "./keys.ts";

const PATHS = ["select", "exclude", "mask", "hash"] as const;

/** The shape that records are given; null: fields are what they are. */
export function shapingOptions(values: PipelineValues): ShapingOptions | null {
  const rename = Object.entries(values["source.transform.rename"]);
  const all = [...PATHS.flatMap((key) => values[`source.transform.${key}`]), ...rename];
  if (all.length === 0) return null;
  const topics = values["kafka.topics"]?.length ?? 1;
  return {
    select: values["source.transform.select"],
    exclude: values["source.transform.exclude"],
    rename: values["source.transform.rename"],
    mask: values["source.transform.mask"],
    hash: values["source.transform.hash"],
    hashSalt: values["source.transform.hash_salt"] ?? "",
    separator: values["source.flatten"] ? values["source.flatten_separator"] : ".",
    isStrict: topics === 1 && values["kafka.topic_pattern"] === null,
    ignoresCase: values["schema.match_columns"] === "ignore-case",
  };
}

/** The path of the column that a field fills. */
export function columnOf(values: PipelineValues, field: string): string {
  const options = shapingOptions(values);
  const path = flattened(values, field);
  return options === null ? path : new Shaping(options).columnPath(path);
}

function flattened(values: PipelineValues, path: string): string {
  return values["source.flatten"] ? path.replaceAll(".", values["source.flatten_separator"]) : path;
}

/** @param report one problem of a key */
export function checkShaping(
  values: PipelineValues,
  report: (key: keyof PipelineValues & string, problem: string) => void,
): void {
  const rename = values["source.transform.rename"];
  const hash = values["source.transform.hash"];
  const salt = values["source.transform.hash_salt"];
  if (hash.length > 0 && (salt ?? "") === "") {
    report(
      "source.transform.hash",
      "needs source.transform.hash_salt: what is hashed without a key can be guessed",
    );
  }
  const twice = hash.find((path) => values["source.transform.mask"].includes(path));
  if (twice !== undefined) report("source.transform.hash", `${twice} is masked already`);
  const names = Object.entries(rename);
  const bad = names.find(([, name]) => name === "" || name.includes("."));
  if (bad !== undefined)
    report("source.transform.rename", `"${bad[1]}" must be one name, without a dot`);
  const options = shapingOptions(values);
  if (options === null) return;
  const format = values["source.format"];
  if (format === "string" || format === "bytes") {
    const key = PATHS.find((each) => values[`source.transform.${each}`].length > 0) ?? "rename";
    report(
      `source.transform.${key}`,
      `source.format = "${format}": its values have no fields that could be shaped`,
    );
  }
  checkRepeated(values, report);
  const shaping = new Shaping({ ...options, exclude: [], select: [] });
  const places = names.map(([path]) => shaping.columnPath(flattened(values, path)));
  const same = places.find((place, index) => places.indexOf(place) !== index);
  if (same !== undefined) report("source.transform.rename", `two fields would be called ${same}`);
  const whole = new Shaping(options);
  checkEventTime(values, whole, report);
  checkRouteField(values, whole, report);
}

/**
 * Flattened, a path has no dots, so that none would be found that leads into a list or a map: what is
 * masked there would stay as it came.
 */
function checkRepeated(
  values: PipelineValues,
  report: (key: keyof PipelineValues & string, problem: string) => void,
): void {
  if (!values["source.flatten"]) return;
  const declared = JSON.stringify(values["schema.fields"]) ?? "";
  const hasMaps =
    values["source.format"] !== "json" ||
    values["schema.file"] !== null ||
    declared.includes("map<");
  const inside = hasMaps ? /\.(element|value)(\.|$)/ : /\.element(\.|$)/;
  for (const key of [...PATHS, "rename"] as const) {
    const named = values[`source.transform.${key}`];
    const paths = key === "rename" ? Object.keys(named) : (named as readonly string[]);
    const path = paths.find((each) => inside.test(each));
    if (path === undefined) continue;
    report(
      `source.transform.${key}`,
      `${path} leads into a list or a map, which source.flatten has no paths for: name what is around it`,
    );
  }
}

/** The event's time must be a column, and a time. */
function checkEventTime(
  values: PipelineValues,
  shaping: Shaping,
  report: (key: keyof PipelineValues & string, problem: string) => void,
): void {
  const field = values["source.event_time_field"];
  if (field === null) return;
  const path = flattened(values, field);
  if (shaping.protects(path)) {
    report("source.event_time_field", `${field} is left out, masked or hashed by source.transform`);
  }
}

/** Tables, metrics and log lines are called by the values of the field; a list calls them by names of its own. */
function checkRouteField(
  values: PipelineValues,
  shaping: Shaping,
  report: (key: keyof PipelineValues & string, problem: string) => void,
): void {
  const field = values["iceberg.route_field"];
  const isListed = Object.keys(values["iceberg.routes"]).length > 0;
  if (field === null || isListed || !shaping.protects(flattened(values, field))) return;
  const problem =
    `${field} is left out, masked or hashed by source.transform, and names of tables would show its values. ` +
    "Name the tables in iceberg.routes";
  report("iceberg.route_field", problem);
}
