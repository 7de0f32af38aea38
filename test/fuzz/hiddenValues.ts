/** Documents, schemas and values with a secret below a path: where the path says, and in any other shape of it. */
import { Picks } from "./picks.ts";

const SECRET = "S3CRET";
const NUMBER = 914_273_645_192;
const BYTES = Buffer.from(SECRET);
/** As bytes are told by `columnValues.ts` and in JSON. */
const SHOWN = [SECRET, String(NUMBER), BYTES.toString("base64"), BYTES.toString("hex")];

/** True where the secret stands in a value, as a text, bytes, a number, or a name. */
export function shows(value: unknown): boolean {
  if (typeof value === "string") return SHOWN.some((each) => value.includes(each));
  if (typeof value === "number" || typeof value === "bigint") return Number(value) === NUMBER;
  if (value instanceof Uint8Array) return shows(Buffer.from(value).toString("latin1"));
  if (value instanceof Map) return [...value].some(shows);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, each]) => shows(name) || shows(each));
}

/**
 * `said`: records are what the path says; `placed`: something else may stand in their places, and fields have other
 * names by aliases; `slipped`: names may differ by case, too.
 */
export type Way = "said" | "placed" | "slipped";

type Typed = readonly [type: unknown, value: unknown];
type Object_ = Record<string, unknown>;

/** Chooses them by a seed. */
export class Hidden extends Picks {
  /** The names on the way to the secret. */
  readonly path: readonly string[];
  /** Records are flattened with it; null: they are not. */
  readonly separator: string | null;
  private way: Way = "said";
  private types = 0;

  constructor(seed: number) {
    super(seed);
    const around = ["p", "q", "r"].slice(0, 1 + this.below(3));
    this.path = [...around, "ssn"];
    this.separator = this.oneOf([null, "_", "."]);
  }

  /** A document. */
  json(way: Way): string {
    this.way = way;
    return this.jsonObject(0, `"id":${this.below(100)},`);
  }

  /** A schema and a value. */
  avro(way: Way): readonly [schema: object, value: object] {
    this.way = way;
    this.types = 0;
    const [type, value] = this.avroRecord(0, "Row");
    return [type as object, value as object];
  }

  /** A file with the message T, and a value. */
  protobuf(way: Way): readonly [text: string, value: Object_] {
    this.way = way;
    this.types = 0;
    const messages: string[] = [];
    const value = this.protoMessage(0, "T", messages);
    return [`syntax = "proto3"; ${messages.toReversed().join(" ")}`, value];
  }

  /** The name at a place of the path: its own, or one that differs by case. */
  private name(level: number): string {
    const name = this.path[level] as string;
    if (this.way !== "slipped" || this.below(7) > 0) return name;
    return this.oneOf([name.toUpperCase(), (name[0] as string).toUpperCase() + name.slice(1)]);
  }

  private get isOther(): boolean {
    return this.way !== "said" && this.below(4) === 0;
  }

  private jsonObject(level: number, before = ""): string {
    // Several names of the path in one, as flattened columns are called.
    const most = this.path.length - level - 1;
    const joined = this.way === "said" || this.below(8) > 0 ? 0 : this.below(most + 1);
    const names = Array.from({ length: joined + 1 }, (_, index) => this.name(level + index));
    const name = names.join(this.separator ?? ".");
    const member = (): string => `"${name}":${this.jsonAt(level + joined + 1)}`;
    const twice = this.below(12) === 0 ? `${member()},` : "";
    const more = this.below(2) === 0 ? "" : ',"n":1';
    return `{${before}${twice}${member()}${more}}`;
  }

  private jsonAt(level: number): string {
    const text = `"${SECRET}"`;
    const wrong = [text, `[${text}]`, `[[${text}]]`, String(NUMBER), "null"];
    // A table that is not shaped yet has columns of all names.
    const inner = this.way === "slipped" ? SECRET : "x";
    if (level === this.path.length) return this.oneOf([...wrong, text, `{"${inner}":${text}}`]);
    if (!this.isOther) return this.jsonObject(level);
    const made = this.jsonObject(level);
    return this.oneOf([...wrong, `[${made}]`, `[[${made}]]`, `[${text},${made}]`]);
  }

  private avroRecord(level: number, name = this.typeName()): Typed {
    const [type, value] = this.avroAt(level + 1);
    const isRenamed = this.way !== "said" && this.below(5) === 0;
    const own = isRenamed ? `z${level}` : this.name(level);
    const aliases = isRenamed ? { aliases: [this.path[level]] } : {};
    const id = level === 0 ? [{ name: "id", type: "int" }] : [];
    const more = this.below(2) === 0 ? [] : [{ name: "n", type: "int" }];
    const fields = [...id, { name: own, type, ...aliases }, ...more];
    return [
      { type: "record", name, fields },
      { ...(level === 0 ? { id: 1 } : {}), [own]: value, ...(more.length > 0 ? { n: 1 } : {}) },
    ];
  }

  private typeName(): string {
    this.types++;
    return `N${this.types}`;
  }

  /** What may stand anywhere. */
  private avroPlain(): Typed {
    return this.oneOf<Typed>([
      ["string", SECRET],
      ["long", NUMBER],
      ["bytes", BYTES],
      [{ type: "array", items: "string" }, [SECRET]],
      [{ type: "map", values: "string" }, { [SECRET]: SECRET }],
    ]);
  }

  private avroAt(level: number): Typed {
    if (level === this.path.length) return this.avroUnion(() => this.avroLeaf());
    const good = (): Typed => this.avroRecord(level);
    if (!this.isOther) return this.avroUnion(good);
    return this.avroUnion(() => {
      const [type, value] = good();
      return this.oneOf<Typed>([
        this.avroPlain(),
        this.avroPlain(),
        [{ type: "array", items: type }, [value]],
        [{ type: "map", values: type }, { k: value }],
      ]);
    }, good);
  }

  private avroLeaf(): Typed {
    const inner = [{ name: "x", type: "string" }];
    return this.oneOf<Typed>([
      this.avroPlain(),
      ["string", SECRET],
      [{ type: "enum", name: this.typeName(), symbols: [SECRET] }, SECRET],
      [{ type: "record", name: this.typeName(), fields: inner }, { x: SECRET }],
    ]);
  }

  /** A type by itself, or in a union with others. @param other a further member */
  private avroUnion(made: () => Typed, other: (() => Typed) | null = null): Typed {
    const [type, value] = made();
    if (this.way === "said" || this.below(3) > 0) return [type, value];
    const others: unknown[] = [];
    const [beside] = other === null || this.below(2) === 0 ? [null] : other();
    if (beside !== null) others.push(beside);
    if (this.below(2) === 0) others.push("boolean");
    if (this.below(2) === 0) others.push("null");
    if (this.below(2) === 0) {
      others.push({ type: "record", name: this.typeName(), fields: [{ name: "x", type: "int" }] });
    }
    const branch = branchName(type);
    const at = this.below(others.length + 1);
    return [[...others.slice(0, at), type, ...others.slice(at)], { [branch]: value }];
  }

  private protoMessage(level: number, name: string, messages: string[]): Object_ {
    const own = this.name(level);
    const [type, value] = this.protoAt(level + 1, messages);
    const id = level === 0 ? "int32 id = 1; " : "";
    const isInOneof = !/^(repeated|map)/.test(type) && this.below(4) === 0;
    const field = `${type} ${own} = 2;`;
    messages.push(
      `message ${name} { ${id}${isInOneof ? `oneof one { ${field} }` : field} int32 n = 3; }`,
    );
    return { ...(level === 0 ? { id: 1 } : {}), [own]: value, n: 1 };
  }

  private protoAt(level: number, messages: string[]): readonly [type: string, value: unknown] {
    const plain = [
      ["string", SECRET],
      ["int64", NUMBER],
      ["bytes", BYTES],
      ["repeated string", [SECRET]],
      ["repeated int64", [NUMBER, NUMBER]],
      ["map<string, string>", { [SECRET]: SECRET }],
    ] as const;
    if (level === this.path.length) return this.oneOf(plain);
    const isOther = this.isOther;
    const name = this.typeName();
    if (isOther && this.below(2) === 0) return this.oneOf(plain);
    const value = this.protoMessage(level, name, messages);
    if (!isOther) return [name, value];
    return this.oneOf([
      [`repeated ${name}`, [value]],
      [`map<string, ${name}>`, { k: value }],
    ] as const);
  }
}

/** What avsc calls a member of a union. */
function branchName(type: unknown): string {
  if (typeof type === "string") return type;
  const { type: kind, name } = type as { readonly type: string; readonly name?: string };
  return name ?? kind;
}
