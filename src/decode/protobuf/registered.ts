/**
 * Schemas of a registry as message types: a `.proto` file as text, or a file's descriptor in base64, as
 * Python's serializer registers it.
 */
import { AppError, describe } from "#base/errors.ts";
import type { RegisteredSchema } from "#decode/registry/registry.ts";
import type { RejectReason } from "#decode/rejects.ts";
import type { ProtobufParser, ProtoSchema } from "./parse.ts";

/** A schema, or why its values cannot be rows. */
export type Registered =
  | { readonly kind: "schema"; readonly schema: ProtoSchema }
  | { readonly kind: "refused"; readonly reason: RejectReason; readonly path: string };

const BASE64 = /^[A-Za-z0-9+/\s]+=*\s*$/;

/** Parses a registered schema; never throws for what stands in it. */
export function registeredOf(
  parser: ProtobufParser,
  { id, language, text, references }: RegisteredSchema,
): Registered {
  const what = `schema id ${id}`;
  if (language !== "PROTOBUF") {
    return { kind: "refused", reason: "bad_schema", path: `${what} is ${language}, not PROTOBUF` };
  }
  try {
    if (BASE64.test(text)) {
      const needed = references.map((each) => Uint8Array.fromBase64(each.text));
      const schema = parser.descriptor(what, Uint8Array.fromBase64(text), needed);
      return { kind: "schema", schema };
    }
    const byName = new Map(references.map((each) => [each.name, each.text]));
    const schema = parser.file(what, text, (name) => byName.get(name) ?? null);
    return { kind: "schema", schema };
  } catch (error) {
    if (!(error instanceof AppError) && !(error instanceof SyntaxError)) throw error;
    return { kind: "refused", reason: "bad_schema", path: `${what}: ${describe(error)}` };
  }
}
