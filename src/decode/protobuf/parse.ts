/**
 * `.proto` files and descriptor sets -> message types. The only door to protobufjs, which is loaded
 * when a configuration has Protobuf, and never sees a record.
 *
 * Extensions are not fields of their message: they are kept out like unknown fields.
 */
import type * as protobufjs from "protobufjs";
import { describe, fail } from "#base/errors.ts";
import type {
  ProtoDefault,
  ProtoEnum,
  ProtoField,
  ProtoMessage,
  ProtoType,
  Scalar,
} from "./model.ts";

/** Message types by name, as one schema has them. */
export interface ProtoSchema {
  /** Full names of the messages of the main file, in the order of declaration, nested ones behind theirs. */
  readonly names: readonly string[];
  /**
   * The message of this full name, or the only one of the main file for null.
   * @throws AppError `usage` when there is none, or null and several
   */
  message(name: string | null): ProtoMessage;
  /** The message at a path of indexes of declaration, from the main file down; null: there is none. */
  messageAt(indexes: readonly number[]): ProtoMessage | null;
}

/** The text of a file by the name that an import gives it; null: it is not there. */
export type ImportedFile = (name: string) => string | null;

/** Reads schemas; none of its calls waits. */
export interface ProtobufParser {
  /**
   * Parses a `.proto` file and all that it imports. `google/protobuf/*.proto` need not be there.
   * @param name of the main file, for messages
   * @throws AppError `usage`
   */
  file(name: string, text: string, imported: ImportedFile): ProtoSchema;
  /**
   * Reads a descriptor set, as `protoc --include_imports --descriptor_set_out` writes it.
   * @throws AppError `usage`
   */
  descriptorSet(name: string, bytes: Uint8Array): ProtoSchema;
  /**
   * Reads one file's descriptor, as Python's serializer registers it, and those that it needs.
   * @throws AppError `usage`
   */
  descriptor(name: string, bytes: Uint8Array, needed: readonly Uint8Array[]): ProtoSchema;
}

/** Loads the parser, some milliseconds at the first call. */
export async function loadProtobuf(): Promise<ProtobufParser> {
  const library = (await import("protobufjs")).default as unknown as Library;
  const descriptors = (await import("protobufjs/ext/descriptor.js")) as unknown as Descriptors;
  return {
    file: (name, text, imported) => parseFile(library, name, text, imported),
    descriptorSet: (name, bytes) => {
      const root = rootOf(library, name, () => {
        return descriptors.FileDescriptorSet.decode(bytes).file;
      });
      return schemaOf(library, resolved(root, name), () => true);
    },
    descriptor: (name, bytes, needed) => {
      const own = new Set<string>();
      const root = rootOf(library, name, () => {
        const file = descriptors.FileDescriptorProto.decode(bytes);
        const prefix = file.package === undefined || file.package === "" ? "" : `${file.package}.`;
        for (const each of file.messageType) own.add(prefix + each.name);
        return [...needed.map((each) => descriptors.FileDescriptorProto.decode(each)), file];
      });
      return schemaOf(library, resolved(root, name), (type) => own.has(nameOf(type)));
    },
  };
}

type Library = typeof protobufjs;

/** A file's descriptor, as far as it is looked into here. */
interface FileDescriptor {
  readonly name: string;
  readonly package?: string;
  readonly dependency: readonly string[];
  readonly messageType: readonly { readonly name: string }[];
}

/** The part of `protobufjs/ext/descriptor.js` that is used. */
interface Descriptors {
  readonly FileDescriptorSet: {
    decode(bytes: Uint8Array): { readonly file: readonly FileDescriptor[] };
  };
  readonly FileDescriptorProto: { decode(bytes: Uint8Array): FileDescriptor };
}

/** What `protobufjs/ext/descriptor.js` adds to a root. */
interface DescribedRoot {
  toDescriptor(edition: string): { readonly file: readonly FileDescriptor[] };
}

function parseFile(
  library: Library,
  name: string,
  text: string,
  imported: ImportedFile,
): ProtoSchema {
  const root = new library.Root();
  const waiting = [{ name, text }];
  const seen = new Set([name]);
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    for (const each of importsOf(library, root, file.name, file.text)) {
      if (seen.has(each)) continue;
      seen.add(each);
      const found = imported(each);
      if (found !== null) waiting.push({ name: each, text: found });
      else if (!addCommon(library, root, each)) {
        throw fail("usage", `${file.name} imports ${each}, which is not there`);
      }
    }
  }
  return schemaOf(library, resolved(root, name), ({ filename }) => filename === name);
}

/** The types of descriptors, and of the files that come with Protobuf, where they need them. */
function rootOf(
  library: Library,
  name: string,
  read: () => readonly FileDescriptor[],
): protobufjs.Root {
  try {
    const files = read();
    const known = new Set(files.map((file) => file.name));
    // All types are looked up when the set is taken in: what comes with Protobuf is part of it.
    const common = new library.Root();
    for (const each of new Set(files.flatMap(({ dependency }) => dependency))) {
      if (!known.has(each)) addCommon(library, common, each);
    }
    common.resolveAll();
    const { file: ahead } = (common as unknown as DescribedRoot).toDescriptor("proto3");
    const { Root } = library as unknown as {
      Root: { fromDescriptor(set: unknown, how: { readonly keepCase: true }): protobufjs.Root };
    };
    return Root.fromDescriptor({ file: [...ahead, ...files] }, { keepCase: true });
  } catch (cause) {
    throw fail("usage", `${name} is no descriptor set: ${describe(cause)}`, {}, cause);
  }
}

function importsOf(
  library: Library,
  root: protobufjs.Root,
  name: string,
  text: string,
): readonly string[] {
  const parse = library.parse as typeof library.parse & { filename: string | null };
  try {
    parse.filename = name;
    const options = { keepCase: true, alternateCommentMode: true };
    const { imports = [], weakImports = [] } = parse(text, root, options);
    return [...imports, ...weakImports];
  } catch (cause) {
    throw fail("usage", `${name} is no Protobuf schema: ${describe(cause)}`, {}, cause);
  } finally {
    parse.filename = null;
  }
}

/** Adds one of the files that come with Protobuf; false for others. */
function addCommon(library: Library, root: protobufjs.Root, name: string): boolean {
  // Files of options and annotations hold nothing that a record's bytes depend on.
  if (/^(google\/protobuf\/descriptor|google\/api\/[a-z_]+|confluent\/meta)\.proto$/.test(name)) {
    return true;
  }
  const common = library.common.get(name) ?? GOOGLE_TYPES[name];
  if (common === undefined || common === null) return false;
  if (common.nested !== undefined) root.addJSON(common.nested);
  return true;
}

/** `google/type` and `confluent/type` files whose messages have columns of their own types. */
const GOOGLE_TYPES: Readonly<Record<string, protobufjs.INamespace>> = {
  "google/type/date.proto": inPackage("google", {
    Date: message({ year: ["int32", 1], month: ["int32", 2], day: ["int32", 3] }),
  }),
  "google/type/timeofday.proto": inPackage("google", {
    TimeOfDay: message({
      hours: ["int32", 1],
      minutes: ["int32", 2],
      seconds: ["int32", 3],
      nanos: ["int32", 4],
    }),
  }),
  "confluent/type/decimal.proto": inPackage("confluent", {
    Decimal: message({ value: ["bytes", 1], precision: ["uint32", 2], scale: ["int32", 3] }),
  }),
};

function inPackage(
  first: string,
  nested: Readonly<Record<string, protobufjs.IType>>,
): protobufjs.INamespace {
  return { nested: { [first]: { nested: { type: { nested: { ...nested } } } } } };
}

function message(
  fields: Readonly<Record<string, readonly [type: string, id: number]>>,
): protobufjs.IType {
  const entries = Object.entries(fields).map(([name, [type, id]]) => [name, { type, id }]);
  return { fields: Object.fromEntries(entries) as protobufjs.IType["fields"] };
}

function resolved(root: protobufjs.Root, name: string): protobufjs.Root {
  try {
    root.resolveAll();
    return root;
  } catch (cause) {
    throw fail("usage", `${name} names what it does not have: ${describe(cause)}`, {}, cause);
  }
}

/** @param isMain of a top-level message: it is one of the main file */
function schemaOf(
  library: Library,
  root: protobufjs.Root,
  isMain: (type: protobufjs.Type) => boolean,
): ProtoSchema {
  const converter = new Converter(library);
  const top = messagesIn(library, root).filter(isMain);
  const names = top.flatMap((type) => [type, ...nestedIn(library, type)]).map(nameOf);
  return {
    names,
    message: (name) => {
      const type = name === null ? onlyOne(top) : root.lookup(name, [library.Type]);
      if (type instanceof library.Type) return converter.message(type);
      throw fail("usage", `There is no message ${name}: the schema has ${names.join(", ")}`);
    },
    messageAt: ([first = 0, ...below]) => {
      let type = top[first];
      for (const index of below) type = type && childrenOf(library, type)[index];
      return type === undefined ? null : converter.message(type);
    },
  };
}

function onlyOne(top: readonly protobufjs.Type[]): protobufjs.Type {
  const [first, second] = top;
  if (first !== undefined && second === undefined) return first;
  const names = top.map(nameOf).join(", ");
  throw fail("usage", `schema.message must name the message of the records, one of ${names}`);
}

/** Top-level messages, through all packages, in the order of their declaration. */
function messagesIn(library: Library, space: protobufjs.NamespaceBase): protobufjs.Type[] {
  return space.nestedArray.flatMap((each) => {
    if (each instanceof library.Type) return [each];
    return each instanceof library.Namespace ? messagesIn(library, each) : [];
  });
}

function childrenOf(library: Library, type: protobufjs.Type): protobufjs.Type[] {
  return type.nestedArray.filter((each) => each instanceof library.Type);
}

function nestedIn(library: Library, type: protobufjs.Type): protobufjs.Type[] {
  return childrenOf(library, type).flatMap((each) => [each, ...nestedIn(library, each)]);
}

function nameOf(object: protobufjs.ReflectionObject): string {
  return object.fullName.replace(/^\./, "");
}

/** The library's types as ours, each once: they may refer to themselves. */
class Converter {
  private readonly messages = new Map<protobufjs.Type, ProtoMessage>();
  private readonly enums = new Map<protobufjs.Enum, ProtoEnum>();
  private readonly library: Library;

  constructor(library: Library) {
    this.library = library;
  }

  message(type: protobufjs.Type): ProtoMessage {
    const known = this.messages.get(type);
    if (known !== undefined) return known;
    const fields: ProtoField[] = [];
    const made: ProtoMessage = { name: nameOf(type), fields };
    this.messages.set(type, made);
    const own = type.fieldsArray.filter((field) => field.declaringField === null);
    fields.push(...own.map((field) => this.field(field)));
    return made;
  }

  private field(field: protobufjs.Field): ProtoField {
    const { name, id, partOf, comment } = field.resolve();
    const type = this.type(field);
    const label = field.map ? "map" : field.repeated ? "repeated" : "single";
    const isSingle = label === "single";
    const hasPresence = type.kind === "message" || Boolean(field.hasPresence);
    const explicit = isSingle && hasPresence ? "explicit" : "implicit";
    const isSynthetic = field.options?.["proto3_optional"] === true;
    const key = field instanceof this.library.MapField ? (field.keyType as Scalar) : null;
    return {
      name,
      number: id,
      type,
      label,
      key,
      presence: isSingle && field.required ? "required" : explicit,
      oneof: partOf === null || isSynthetic ? null : partOf.name,
      defaultValue: isSingle ? defaultOf(field, type) : null,
      doc: comment ? comment : null,
    };
  }

  private type(field: protobufjs.Field): ProtoType {
    const { resolvedType, type } = field;
    if (resolvedType === null) return { kind: "scalar", scalar: type as Scalar };
    if (resolvedType instanceof this.library.Enum) {
      return { kind: "enum", type: this.enumOf(resolvedType) };
    }
    const { delimited } = field as protobufjs.Field & { readonly delimited: boolean };
    return { kind: "message", type: this.message(resolvedType), group: delimited };
  }

  private enumOf(type: protobufjs.Enum): ProtoEnum {
    const known = this.enums.get(type);
    if (known !== undefined) return known;
    const { enum_type: form } = (type as unknown as { _features: { enum_type?: string } })
      ._features;
    const names = new Map(Object.entries(type.valuesById).map(([id, name]) => [Number(id), name]));
    const [first = 0] = Object.values(type.values);
    const made = { name: nameOf(type), closed: form === "CLOSED", first, names };
    this.enums.set(type, made);
    return made;
  }
}

/** The default that stands in the schema. */
function defaultOf(field: protobufjs.Field, type: ProtoType): ProtoDefault | null {
  if (field.options?.["default"] === undefined || type.kind === "message") return null;
  const value = field.typeDefault as unknown;
  if (typeof value !== "object" || value === null || !("low" in value))
    return value as ProtoDefault;
  const exact = BigInt(String(value));
  if (Number.isSafeInteger(Number(exact))) return exact;
  // The parser reads numbers as doubles.
  const sentence = `The default of ${nameOf(field)} is beyond 2^53 and may have lost its last digits`;
  throw fail("usage", `${sentence}: leave it out of the schema`);
}
