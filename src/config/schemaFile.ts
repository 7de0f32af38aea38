/**
 * What `[schema]` declares: columns, or the message or the Avro schema that a file has them of.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, fail } from "#base/errors.ts";
import { parseJson } from "#base/json.ts";
import type { Field } from "#columns/schema.ts";
import { recursiveType } from "#decode/avro/fields.ts";
import { rowFields } from "#decode/avro/learn.ts";
import { parseAvro } from "#decode/avro/schema.ts";
import { columnsOf } from "#decode/protobuf/columns.ts";
import type { ProtoMessage } from "#decode/protobuf/model.ts";
import { loadProtobuf, type ProtoSchema } from "#decode/protobuf/parse.ts";
import { missedPaths } from "#decode/registry/learn.ts";
import { Shaping } from "#decode/shaping.ts";
import type { Environment } from "./environment.ts";
import { parseFields } from "./fieldType.ts";
import type { PipelineValues } from "./keys.ts";
import { shapingOptions } from "./shaping.ts";
import type { ConfigValue } from "./spec.ts";

/** Declared columns, ids 0; null: none. */
export interface DeclaredSchema {
  readonly fields: readonly Field[] | null;
  /** The message of every value; null: the format is not Protobuf. */
  readonly message: ProtoMessage | null;
  /** The text of an `.avsc` file; null: there is none. */
  readonly schemaText: string | null;
}

/** Reads what is declared. Throws `usage` when a file cannot be read or holds no schema. */
export async function declaredSchema(
  values: PipelineValues,
  environment: Environment,
): Promise<DeclaredSchema> {
  const path = values["schema.file"];
  if (path !== null && values["source.format"] === "protobuf") {
    const schema = await protobufFile(path, environment);
    const message = schema.message(values["schema.message"]);
    const separator = separatorOf(values);
    const shaping = shapingOf(values);
    const [missed] = missedPaths(shaping, columnsOf(message, separator), separator);
    if (missed !== undefined) {
      throw fail("usage", `source.transform names ${missed}, which ${message.name} does not have`);
    }
    return { fields: columnsOf(message, separator, shaping), message, schemaText: null };
  }
  if (path?.endsWith(".avsc")) {
    const text = await environment.file(path);
    return { fields: avscFields(path, text, values), message: null, schemaText: text };
  }
  const declared = path === null ? values["schema.fields"] : await icebergFile(path, environment);
  const rest = { message: null, schemaText: null };
  if (declared === null) return { fields: null, ...rest };
  const parsed = parseFields(declared);
  if ("fields" in parsed) return { fields: parsed.fields, ...rest };
  throw fail("usage", `${path ?? "schema.fields"}: ${parsed.problem}`);
}

/** Imports are looked for beside the file and in the folders above it. */
async function protobufFile(path: string, environment: Environment): Promise<ProtoSchema> {
  const parser = await loadProtobuf();
  if (!path.endsWith(".proto")) return parser.descriptorSet(path, await environment.bytes(path));
  const text = await environment.file(path);
  return parser.file(path, text, (name) => {
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      const found = join(folder, name);
      if (existsSync(found)) return readFileSync(found, "utf8");
      if (folder === dirname(folder)) return null;
    }
  });
}

async function icebergFile(
  path: string,
  environment: Environment,
): Promise<readonly ConfigValue[]> {
  const text = await environment.file(path);
  try {
    const parsed = parseJson(text) as { fields?: readonly ConfigValue[] };
    if (Array.isArray(parsed.fields)) return parsed.fields;
  } catch (cause) {
    throw fail("usage", `${path} is not JSON: ${describe(cause)}`, {}, cause);
  }
  throw fail("usage", `${path} holds no "fields"`);
}

/**
 * The columns that an `.avsc` file declares: a value that cannot be null makes a required one.
 * Throws `usage` for a text that is no record's schema, or whose type contains itself.
 */
function avscFields(path: string, text: string, values: PipelineValues): readonly Field[] {
  try {
    const schema = parseAvro(text);
    if (schema.kind !== "record") throw fail("data", "it is no record");
    const recursive = recursiveType(schema);
    if (recursive !== null) throw fail("data", `type ${recursive} contains itself`);
    const rules = { required: true, nanos: values["iceberg.write.format_version"] === 3 };
    const options = { rules, flattenSeparator: separatorOf(values) };
    return rowFields(schema, options, shapingOf(values)).map(({ field }) => field);
  } catch (cause) {
    throw fail("usage", `${path} declares no columns: ${describe(cause)}`, {}, cause);
  }
}

function separatorOf(values: PipelineValues): string | null {
  return values["source.flatten"] ? values["source.flatten_separator"] : null;
}

function shapingOf(values: PipelineValues): Shaping {
  return new Shaping(shapingOptions(values) ?? undefined);
}
