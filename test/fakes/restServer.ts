/**
 * A REST catalog's server behind the client's HTTP port: the real client runs, and only the network is
 * replaced. Applies updates as the protocol says, answers in the protocol's shapes, and lets a test
 * answer in its place, before or after a request was applied.
 */

import { type Http, type HttpAnswer, type HttpRequest, NoAnswer } from "#base/http.ts";
import { type Json, parseJson, writeJson } from "#base/json.ts";
import { encodeMetadataFile } from "#iceberg/io/metadataFile.ts";
import {
  type JsonObject,
  refFromJson,
  schemaFromJson,
  snapshotFromJson,
  sortOrderFromJson,
  specFromJson,
} from "#iceberg/metadata/json.ts";
import type { TableMetadata, TableRequirement, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { tableMetadataToJson } from "#iceberg/metadata/tableMetadataJson.ts";
import { planCommit } from "#iceberg/metadata/updates.ts";
import type { Storage } from "#storage/storage.ts";

/** What a test does to a request: an answer of its own, or null to let the server answer. */
export type Intercept = (
  request: HttpRequest,
  apply: () => Promise<HttpAnswer>,
) => Promise<HttpAnswer | null>;

interface Row {
  readonly metadata: TableMetadata;
  readonly location: string;
}

/** A server with its tables and what was asked of it. */
export interface RestFake {
  readonly http: Http;
  readonly requests: HttpRequest[];
  /** Requests of one kind: `POST /v1/namespaces/db/tables/t`. */
  readonly count: (method: string, path: RegExp) => number;
  /** Set by tests. */
  intercept: Intercept;
  /** The answer to `/v1/config`. */
  config: JsonObject;
  /** Put beside the metadata into each answer about a table but those to commits, as the protocol has it. */
  tableExtra: (location: string) => JsonObject;
  /** The highest format version that the server makes. */
  formatVersionMax: number;
  /** Where it makes tables. */
  warehouse: string;
}

/** An answer with a JSON body. */
export function answer(
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): HttpAnswer {
  return { status, headers, body: body === null ? "" : writeJson(body) };
}

/** A refusal in the protocol's shape. */
export function refusal(status: number, type: string | null, message = "no"): HttpAnswer {
  return answer(status, { error: { message, type, code: status } });
}

/** The connection is lost. */
export function lost(maybeSent = true): NoAnswer {
  return new NoAnswer("socket hang up", maybeSent);
}

/** Creates a server without tables. */
export function createRestFake(storage: Storage): RestFake {
  const tables = new Map<string, Row>();
  const namespaces = new Set<string>();
  const requests: HttpRequest[] = [];
  let files = 0;

  const tableAnswer = ({ metadata, location }: Row, extra: JsonObject) =>
    answer(
      200,
      {
        "metadata-location": location,
        metadata: tableMetadataToJson(metadata),
        ...extra,
      },
      { etag: `"${location}"` },
    );

  const save = async (key: string, metadata: TableMetadata): Promise<HttpAnswer> => {
    const location = `${metadata.location}/metadata/${files++}.metadata.json`;
    const row = { metadata, location };
    tables.set(key, row);
    await storage.put(location, encodeMetadataFile(metadata));
    return tableAnswer(row, {});
  };

  const stage = (namespace: string, body: JsonObject): HttpAnswer => {
    if (!namespaces.has(namespace)) return refusal(404, "NoSuchNamespaceException");
    if (tables.has(`${namespace}/${String(body["name"])}`)) {
      return refusal(409, "AlreadyExistsException");
    }
    const location = `${fake.warehouse}/${namespace}/${String(body["name"])}`;
    const schema = schemaFromJson(body["schema"] ?? null);
    const asked = Number((body["properties"] as JsonObject)["format-version"]);
    const metadata = newTableMetadata({
      uuid: crypto.randomUUID(),
      location,
      fields: schema.fields,
      spec: () => specFromJson(body["partition-spec"] ?? null),
      formatVersion: Math.min(asked, fake.formatVersionMax) === 3 ? 3 : 2,
      properties: {},
      timestampMs: 1,
    });
    const extra = fake.tableExtra(location);
    return answer(200, { metadata: tableMetadataToJson(metadata), ...extra });
  };

  const commit = async (key: string, body: JsonObject): Promise<HttpAnswer> => {
    const requirements = (body["requirements"] as JsonObject[]).map(requirementOf);
    const updates = (body["updates"] as JsonObject[]).map(updateOf);
    const row = tables.get(key) ?? null;
    const isCreate = requirements.some(({ type }) => type === "assert-create");
    if (isCreate && row !== null) return refusal(409, "AlreadyExistsException");
    if (row === null && !isCreate) return refusal(404, "NoSuchTableException");
    const head = row?.metadata ?? emptyTable(updates);
    const planned = planCommit(head, isCreate ? [] : requirements, updates, {
      timestampMs: 5000,
      ...(row === null ? {} : { previousLocation: row.location }),
    });
    if (planned.kind === "next") return save(key, planned.metadata);
    return refusal(409, "CommitFailedException", planned.reason);
  };

  /** As Iceberg's own server: what is asked for is part of the name, and commits answer all of it. */
  const load = (key: string, etag: string | undefined, mode: string | null): HttpAnswer => {
    const row = tables.get(key);
    if (row === undefined) return refusal(404, "NoSuchTableException");
    const { headers, ...rest } = tableAnswer(row, fake.tableExtra(row.metadata.location));
    const own = mode === "all" ? (headers["etag"] ?? "") : `"${row.location}-${mode}"`;
    return etag === own ? answer(304, null) : { ...rest, headers: { etag: own } };
  };

  const list = (namespace: string, url: URL): HttpAnswer => {
    if (!namespaces.has(namespace)) return refusal(404, "NoSuchNamespaceException");
    return answer(200, listing(namespace, url.searchParams.get("pageToken") ?? ""));
  };

  /** The configuration and namespaces; null: another address. */
  const general = ({ pathname }: URL, body: JsonObject): HttpAnswer | null => {
    if (pathname === "/v1/config") return answer(200, fake.config);
    if (pathname === "/v1/namespaces") {
      namespaces.add((body["namespace"] as string[]).join("%1F"));
      return answer(200, body);
    }
    const [, looked] = /^\/v1\/namespaces\/([^/]+)$/.exec(pathname) ?? [];
    if (looked === undefined) return null;
    return namespaces.has(looked) ? answer(200, {}) : refusal(404, "NoSuchNamespaceException");
  };

  /** All or nothing. */
  const transaction = async (body: JsonObject): Promise<HttpAnswer> => {
    const changes = (body["table-changes"] as JsonObject[]).map((change) => {
      const { namespace, name } = change["identifier"] as JsonObject;
      return { key: `${(namespace as string[]).join("%1F")}/${String(name)}`, change };
    });
    const before = new Map(tables);
    for (const { key, change } of changes) {
      const answered = await commit(key, change);
      if (answered.status === 200) continue;
      for (const [name, row] of before) tables.set(name, row);
      return answered;
    }
    return answer(204, null);
  };

  const apply = async (request: HttpRequest): Promise<HttpAnswer> => {
    const url = new URL(request.url);
    const body = request.body === null ? {} : (parseJson(request.body) as JsonObject);
    if (url.pathname === "/v1/transactions/commit") return transaction(body);
    const other = general(url, body);
    if (other !== null) return other;
    const found = /^\/v1\/namespaces\/([^/]+)\/tables(?:\/([^/]+))?$/.exec(url.pathname);
    const [, namespace = "", table] = found ?? [];
    const isPost = request.method === "POST";
    if (table === undefined) return isPost ? stage(namespace, body) : list(namespace, url);
    const key = `${namespace}/${decodeURIComponent(table)}`;
    const mode = url.searchParams.get("snapshots");
    return isPost ? commit(key, body) : load(key, request.headers["if-none-match"], mode);
  };

  /** One name a page. */
  const listing = (namespace: string, token: string): JsonObject => {
    const names = [...tables.keys()]
      .filter((key) => key.slice(0, key.lastIndexOf("/")) === namespace)
      .map((key) => key.slice(namespace.length + 1));
    const at = Number(token);
    const page = names.slice(at, at + 1).map((name) => ({ namespace: [namespace], name }));
    return {
      identifiers: page,
      "next-page-token": at + 1 < names.length ? String(at + 1) : null,
    };
  };

  const send = async (request: HttpRequest): Promise<HttpAnswer> => {
    requests.push(request);
    await Promise.resolve();
    const own = await fake.intercept(request, () => apply(request));
    return own ?? apply(request);
  };

  const fake: RestFake = {
    http: { send, close: () => undefined },
    requests,
    count: (method, path) =>
      requests.filter((each) => each.method === method && path.test(new URL(each.url).pathname))
        .length,
    intercept: async () => null,
    config: { defaults: {}, overrides: {} },
    tableExtra: () => ({}),
    formatVersionMax: 3,
    warehouse: "/wh",
  };
  return fake;
}

/** What the updates of a new table are applied to. */
function emptyTable(updates: readonly TableUpdate[]): TableMetadata {
  const uuid = updates.flatMap((each) => (each.action === "assign-uuid" ? [each.uuid] : []))[0];
  const version = updates.flatMap((each) =>
    each.action === "upgrade-format-version" ? [each.formatVersion] : [],
  )[0];
  const metadata = newTableMetadata({
    uuid: uuid ?? "",
    location: "",
    fields: [],
    spec: () => ({ specId: 0, fields: [] }),
    formatVersion: version ?? 2,
    properties: {},
    timestampMs: 1,
  });
  return { ...metadata, schemas: [], partitionSpecs: [], sortOrders: [], properties: {} };
}

function requirementOf(json: JsonObject): TableRequirement {
  const type = json["type"];
  if (type === "assert-ref-snapshot-id") {
    const id = json["snapshot-id"] ?? null;
    const snapshotId = id === null ? null : BigInt(id as number);
    return { type, ref: String(json["ref"]), snapshotId };
  }
  if (type === "assert-table-uuid") return { type, uuid: String(json["uuid"]) };
  if (type === "assert-create") return { type };
  const id = Object.entries(json).find(([key]) => key !== "type")?.[1];
  return { type, id: Number(id) } as TableRequirement;
}

function updateOf(json: JsonObject): TableUpdate {
  const action = String(json["action"]) as TableUpdate["action"];
  const number = (key: string): number => Number(json[key]);
  const object = (key: string): Json => json[key] ?? null;
  switch (action) {
    case "assign-uuid":
      return { action, uuid: String(json["uuid"]) };
    case "upgrade-format-version":
      return { action, formatVersion: number("format-version") === 3 ? 3 : 2 };
    case "add-schema": {
      const schema = schemaFromJson(object("schema"));
      return { action, schema, lastColumnId: number("last-column-id") };
    }
    case "set-current-schema":
      return { action, schemaId: number("schema-id") };
    case "remove-schemas":
      return { action, schemaIds: json["schema-ids"] as number[] };
    case "add-spec":
      return { action, spec: specFromJson(object("spec")) };
    case "set-default-spec":
      return { action, specId: number("spec-id") };
    case "add-sort-order":
      return { action, sortOrder: sortOrderFromJson(object("sort-order")) };
    case "set-default-sort-order":
      return { action, sortOrderId: number("sort-order-id") };
    case "add-snapshot":
      return { action, snapshot: snapshotFromJson(object("snapshot")) };
    case "set-snapshot-ref":
      return { action, ref: String(json["ref-name"]), value: refFromJson(json) };
    case "remove-snapshots": {
      const ids = json["snapshot-ids"] as (number | bigint)[];
      return { action, snapshotIds: ids.map(BigInt) };
    }
    case "remove-snapshot-ref":
      return { action, ref: String(json["ref-name"]) };
    case "set-statistics":
    case "set-partition-statistics":
      throw new Error("this server keeps no statistics");
    case "set-location":
      return { action, location: String(json["location"]) };
    case "set-properties":
      return { action, properties: json["updates"] as Record<string, string> };
    case "remove-properties":
      return { action, keys: json["removals"] as string[] };
  }
}
