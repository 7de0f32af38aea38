/**
 * `[schema_registry]`: configuration -> settings of the registry, and what keys it and Avro need of each
 * other.
 */
import type { RegistryAuth, RegistryOptions } from "#decode/registry/options.ts";
import type { Environment } from "./environment.ts";
import type { PipelineValues } from "./keys.ts";
import { readPem } from "./pem.ts";

const SECOND_MS = 1000;

/** Formats whose values have schemas of a registry. */
const FORMATS: ReadonlySet<string> = new Set(["avro", "protobuf", "json-schema"]);

/** Reports one problem of a key. */
type Report = (key: keyof PipelineValues & string, problem: string) => void;

/** The registry's settings; null: there is none. Throws `usage` for a file that holds no certificate. */
export async function registryOptions(
  values: PipelineValues,
  environment: Environment,
): Promise<RegistryOptions | null> {
  const url = values["schema_registry.url"];
  if (url === null) return null;
  const ca = values["schema_registry.ca_file"];
  return {
    urls: splitUrls(url),
    auth: auth(values),
    ca: ca === null ? null : await readPem(environment, ca, "certificate"),
    cacheTtlMs: values["schema_registry.cache_ttl_seconds"] * SECOND_MS,
    strategy: values["schema_registry.subject_strategy"],
    onMissing: values["schema_registry.on_missing"],
  };
}

function auth(values: PipelineValues): RegistryAuth {
  const token = values["schema_registry.bearer"];
  if (token !== null) return { type: "bearer", token };
  const userAndPassword = values["schema_registry.basic_auth"];
  return userAndPassword === null ? { type: "none" } : { type: "basic", userAndPassword };
}

function splitUrls(text: string): readonly string[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");
}

/** What the keys need of each other. `isSet`: a key has a value of its own. */
export function checkRegistry(
  values: PipelineValues,
  isSet: (key: keyof PipelineValues & string) => boolean,
  report: Report,
): void {
  const url = values["schema_registry.url"];
  const format = values["source.format"];
  if (url === null) {
    const others = ["basic_auth", "bearer", "ca_file"] as const;
    const set = others.map((name) => `schema_registry.${name}` as const).find(isSet);
    if (set !== undefined) report(set, "needs schema_registry.url");
  } else {
    checkUrls(url, report);
    if (!FORMATS.has(format) && !FORMATS.has(values["source.key_format"])) {
      report("schema_registry.url", `source.format = "${format}" has no schemas of a registry`);
    }
  }
  if (values["schema_registry.basic_auth"] !== null && values["schema_registry.bearer"] !== null) {
    report("schema_registry.bearer", "excludes schema_registry.basic_auth");
  }
  const isLatest = values["schema_registry.on_missing"] === "latest";
  if (isLatest && values["schema_registry.subject_strategy"] !== "topic-name") {
    const problem =
      '"latest" needs subject_strategy = "topic-name": the others name the subject by the record, ' +
      "which nobody knows whose schema is missing";
    report("schema_registry.on_missing", problem);
  }
  checkFile(values, report);
}

function checkUrls(text: string, report: Report): void {
  const urls = splitUrls(text);
  if (urls.length === 0) report("schema_registry.url", "must be an address");
  for (const [index, each] of urls.entries()) {
    const which = urls.length === 1 ? "" : `address ${index + 1} of ${urls.length} `;
    const url = URL.canParse(each) ? new URL(each) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) {
      report("schema_registry.url", `${which}must begin with http:// or https://`);
    } else if (url.username !== "" || url.password !== "") {
      const problem = `${which}holds credentials, which it must not: schema_registry.basic_auth`;
      report("schema_registry.url", problem);
    }
  }
}

/** Which schema files go with which format, and that Avro has a schema at all. */
function checkFile(values: PipelineValues, report: Report): void {
  const file = values["schema.file"] ?? "";
  const format = values["source.format"];
  if (file.endsWith(".avsc") && format !== "avro") {
    report("schema.file", `an .avsc file needs source.format = "avro", not "${format}"`);
  }
  if (format === "avro" && values["schema_registry.url"] === null && !file.endsWith(".avsc")) {
    const problem =
      '"avro" needs the schemas of the values: schema_registry.url, or schema.file = "x.avsc" where ' +
      "all are written with one and have no schema id";
    report("source.format", problem);
  }
}
