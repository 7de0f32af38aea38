/**
 * Debezium's changes in the formats of a schema registry, as Confluent's converters write them: schemas of
 * the envelope and of the bare row, and the bytes of values.
 */
import type avro from "avsc";
import protobuf from "protobufjs";
import { type Random, seededRandom } from "#base/random.ts";
import { avroBytes, framed } from "./avroRows.ts";
import type { RegistryRig } from "./registryRig.ts";

/** A row of the source; `later` comes with the second version of the schema. */
export interface SourceRow {
  readonly id: number | null;
  readonly n?: number | null;
  readonly s?: string | null;
  readonly tags?: readonly string[] | null;
  readonly later?: string | null;
}

/** A change, as its envelope tells it. */
export interface SourceChange {
  readonly op: string;
  readonly before: SourceRow | null;
  readonly after: SourceRow | null;
  readonly source?: { readonly ts_ms: number; readonly lsn: number | null; readonly table: string };
}

/** One format. */
export interface ChangeFormat {
  readonly name: "avro" | "protobuf" | "json-schema";
  /** What registries call it. */
  readonly language: "AVRO" | "PROTOBUF" | "JSON";
  /** The schema of envelopes; version 2 has `later`. */
  envelope(version: 1 | 2): string;
  /** The schema of bare rows with the member `__op`. */
  bare(): string;
  /** A value behind its head. */
  write(id: number, schema: string, value: object): Uint8Array;
}

const optional = (type: unknown): unknown => ["null", type];
const member = (name: string, type: unknown): object => ({ name, type });

function avroRow(version: 1 | 2, more: readonly object[] = []): object {
  const fields = [
    member("id", optional("long")),
    member("n", optional("int")),
    member("s", optional("string")),
    member("tags", optional({ type: "array", items: optional("string") })),
    ...(version === 2 ? [member("later", optional("string"))] : []),
    ...more,
  ];
  return { type: "record", name: "Value", namespace: "shop.public.t", fields };
}

const AVRO_SOURCE = {
  type: "record",
  name: "Source",
  namespace: "io.debezium.connector.postgresql",
  fields: [
    member("version", "string"),
    member("ts_ms", "long"),
    member("table", "string"),
    member("lsn", optional("long")),
    member("snapshot", optional({ type: "enum", name: "Snap", symbols: ["true", "false"] })),
    member("more", { type: "map", values: "int" }),
  ],
};

/** A value as avsc takes it, each branch of a union by its name. */
function avroValue(value: object): object {
  const row = (each: SourceRow | null) => {
    if (each === null) return null;
    const { id, n, s, tags, later } = each;
    const list = tags?.map((tag) => ({ string: tag }));
    return {
      id: id === null ? null : { long: id },
      n: n == null ? null : { int: n },
      s: s == null ? null : { string: s },
      tags: list === undefined ? null : { array: list },
      later: later == null ? null : { string: later },
    };
  };
  if (!("op" in value)) {
    const { __op, ...bare } = value as SourceRow & { __op: string };
    return { ...row(bare), __op: { string: __op } };
  }
  const { op, before, after, source } = value as SourceChange;
  const part = (each: SourceRow | null) =>
    each === null ? null : { "shop.public.t.Value": row(each) };
  const { ts_ms = 0, lsn = null, table = "" } = source ?? {};
  const lsnPart = lsn === null ? null : { long: lsn };
  return {
    before: part(before),
    after: part(after),
    source: { version: "3", ts_ms, table, lsn: lsnPart, snapshot: null, more: { a: 1 } },
    transaction: null,
    op,
    ts_ms: { long: 5 },
  };
}

const AVRO: ChangeFormat = {
  name: "avro",
  language: "AVRO",
  envelope: (version) =>
    JSON.stringify({
      type: "record",
      name: "Envelope",
      namespace: "shop.public.t",
      fields: [
        member("before", optional(avroRow(version))),
        member("after", optional("Value")),
        member("source", AVRO_SOURCE),
        member(
          "transaction",
          optional({ type: "record", name: "Block", fields: [member("id", "string")] }),
        ),
        member("op", "string"),
        member("ts_ms", optional("long")),
      ],
    }),
  bare: () => JSON.stringify(avroRow(1, [member("__op", optional("string"))])),
  write: (id, schema, value) => {
    return framed(id, avroBytes(JSON.parse(schema) as avro.Schema & object, avroValue(value)));
  },
};

/** Without members that are null. */
function present(each: object): object {
  const members = Object.entries(each).flatMap(([name, inner]: [string, unknown]) => {
    if (inner === null || inner === undefined) return [];
    const isMessage = typeof inner === "object" && !Array.isArray(inner);
    return [[name, isMessage ? present(inner) : inner] as const];
  });
  return Object.fromEntries(members);
}

const roots = new Map<string, protobuf.Root>();

function rootOf(schema: string): protobuf.Root {
  const root = roots.get(schema) ?? protobuf.parse(schema, { keepCase: true }).root;
  roots.set(schema, root);
  return root;
}

const PROTO_HEAD = 'syntax = "proto3"; package shop;';
const protoRow = (version: 1 | 2, more = ""): string =>
  `message Value { optional int64 id = 1; optional int32 n = 2; optional string s = 3; repeated string tags = 4; ${
    version === 2 ? "optional string later = 5;" : ""
  } ${more} }`;

const PROTOBUF: ChangeFormat = {
  name: "protobuf",
  language: "PROTOBUF",
  envelope: (version) => `${PROTO_HEAD}
    message Envelope { Value before = 1; Value after = 2; Source source = 3; string op = 4; optional int64 ts_ms = 5; }
    ${protoRow(version)}
    message Source { string version = 1; int64 ts_ms = 2; string table = 3; optional int64 lsn = 4; repeated int32 more = 5; }`,
  bare: () => `${PROTO_HEAD} ${protoRow(1, "optional string __op = 9;")}`,
  write: (id, schema, value) => {
    const root = rootOf(schema);
    const type = root.lookupType("op" in value ? "shop.Envelope" : "shop.Value");
    const bytes = type.encode(type.fromObject(present(value))).finish();
    return framed(id, new Uint8Array([0, ...bytes]));
  },
};

function jsonRow(version: 1 | 2, more: object = {}): object {
  const nullable = (type: string, extra: object = {}): object => ({
    oneOf: [{ type: "null" }, { type, ...extra }],
  });
  const properties = {
    id: nullable("integer"),
    n: nullable("integer", { "connect.type": "int32" }),
    s: nullable("string"),
    tags: nullable("array", { items: { type: "string" } }),
    ...(version === 2 ? { later: nullable("string") } : {}),
    ...more,
  };
  return { type: "object", title: "shop.public.t.Value", properties };
}

const JSON_SCHEMA: ChangeFormat = {
  name: "json-schema",
  language: "JSON",
  envelope: (version) => {
    const part = { oneOf: [{ type: "null" }, jsonRow(version)] };
    const properties = {
      before: part,
      after: part,
      source: { type: "object", properties: { ts_ms: { type: "integer" } } },
      op: { type: "string" },
    };
    return JSON.stringify({ type: "object", title: "shop.public.t.Envelope", properties });
  },
  bare: () => JSON.stringify(jsonRow(1, { __op: { type: "string" } })),
  write: (id, _schema, value) => framed(id, new TextEncoder().encode(JSON.stringify(value))),
};

/** The three formats. */
export const CHANGE_FORMATS: readonly ChangeFormat[] = [AVRO, PROTOBUF, JSON_SCHEMA];

/** Registers the schema of envelopes; what writes values of it. */
export function registered(
  { server }: Pick<RegistryRig, "server">,
  format: ChangeFormat,
  schema: string = format.envelope(1),
): (value: object) => Uint8Array {
  const id = server.register("t-value", schema, format.language);
  return (value) => format.write(id, schema, value);
}

/** A source of random changes, and the rows that it has. */
export class ChangingSource {
  readonly #rows = new Map<number, { readonly n: number; readonly later: string | null }>();
  readonly #random: Random = seededRandom(3);
  readonly #name: ChangeFormat["name"];
  readonly #partitions: number;

  constructor(name: ChangeFormat["name"], partitions: number) {
    this.#name = name;
    this.#partitions = partitions;
  }

  /** Columns `id`, `n` and `later`, in the order of the ids. */
  get columns(): (string | null)[][] {
    const sorted = [...this.#rows].sort(([a], [b]) => a - b);
    return [
      sorted.map(([id]) => String(id)),
      sorted.map(([, { n }]) => String(n)),
      sorted.map(([, { later }]) => later),
    ];
  }

  /** Records of so many inserts, updates and deletes, for `registry_producer.py`. */
  change(version: 1 | 2, times: number): object[] {
    const rows = this.#rows;
    const records: object[] = [];
    const send = (id: number, change: SourceChange | null): void => {
      const value = change === null ? null : debeziumValue(this.#name, version, change);
      records.push({ partition: id % this.#partitions, key: JSON.stringify({ id }), value });
    };
    for (let n = 0; n < times; n++) {
      const id = this.#below(200);
      const known = rows.get(id);
      const before = known === undefined ? null : { id, n: known.n };
      if (known !== undefined && this.#below(4) === 0) {
        send(id, { op: "d", before, after: null });
        send(id, null);
        rows.delete(id);
        continue;
      }
      const after = { id, n, later: version === 2 ? `text ${n}` : null };
      send(id, { op: known === undefined ? "c" : "u", before, after });
      rows.set(id, after);
    }
    return records;
  }

  #below(bound: number): number {
    return Math.floor(this.#random.unit() * bound);
  }
}

/** A change as the serializers of a format take it: a dictionary with all that its schema has. */
function debeziumValue(
  name: ChangeFormat["name"],
  version: 1 | 2,
  { op, before, after }: SourceChange,
): object {
  const part = (row: SourceRow | null): object | null => {
    if (row === null) return null;
    const { id, n = null, s = null, tags = null, later = null } = row;
    const whole = { id, n, s, tags, ...(version === 2 ? { later } : {}) };
    return name === "protobuf" ? present(whole) : whole;
  };
  const source = { version: "3", ts_ms: 5, table: "t" };
  if (name === "protobuf") return present({ op, before: part(before), after: part(after), source });
  const change = { op, before: part(before), after: part(after) };
  if (name === "json-schema") return { ...change, source: { ts_ms: 5 } };
  const more = { lsn: null, snapshot: null, more: {} };
  return { ...change, source: { ...source, ...more }, transaction: null, ts_ms: null };
}
