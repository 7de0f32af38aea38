/**
 * What `[schema]` declares: columns, or the message that a Protobuf file has them of.
 */
import { dirname, join } from "node:path";
import { describe, fail } from "#base/errors.ts";
import { parseJson } from "#base/json.ts";
import type { Field } from "#columns/schema.ts";
import { columnsOf } from "#decode/protobuf/columns.ts";
import type { ProtoMessage } from "#decode/protobuf/model.ts";
import { type ProtoSchema, parseDescriptorSet, parseProto } from "#decode/protobuf/parse.ts";
import type { Environment } from "./environment.ts";
import { parseFields } from "./fieldType.ts";
import type { PipelineValues } from "./keys.ts";
import type { ConfigValue } from "./spec.ts";

/** Declared columns, ids 0; null: none. */
export interface DeclaredSchema {
  readonly fields: readonly Field[] | null;
  /** The message of every value; null: the format is not Protobuf. */
  readonly message: ProtoMessage | null;
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
    const separator = values["source.flatten"] ? values["source.flatten_separator"] : null;
    return { fields: columnsOf(message, separator), message };
  }
  const declared = path === null ? values["schema.fields"] : await icebergFile(path, environment);
  if (declared === null) return { fields: null, message: null };
  const parsed = parseFields(declared);
  if ("fields" in parsed) return { fields: parsed.fields, message: null };
  throw fail("usage", `${path ?? "schema.fields"}: ${parsed.problem}`);
}

/** Imports are looked for beside the file and in the folders above it. */
async function protobufFile(path: string, environment: Environment): Promise<ProtoSchema> {
  if (!path.endsWith(".proto")) return parseDescriptorSet(path, await environment.bytes(path));
  const text = await environment.file(path);
  return parseProto(path, text, async (name) => {
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      const found = join(folder, name);
      if (await Bun.file(found).exists()) return environment.file(found);
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
