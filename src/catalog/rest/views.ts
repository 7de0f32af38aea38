/**
 * Views of a REST catalog (Iceberg view spec; REST catalog spec, `/v1/{prefix}/namespaces/{namespace}/views`): one
 * is made, or, where it is ours, brought to another text and columns.
 */
import type { Clock } from "#base/clock.ts";
import type { HttpAnswer } from "#base/http.ts";
import { type Json, writeJson } from "#base/json.ts";
import type { KeptView } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { type JsonObject, schemaToJson } from "#iceberg/metadata/json.ts";
import {
  ENDPOINTS,
  isAway,
  isIcebergError,
  isSuccess,
  membersOf,
  messageOf,
  type RestSession,
} from "./session.ts";

/**
 * See `Catalog.keepView`. A server that does not say which endpoints it has is taken for one without views.
 * @param isAgain another process of ours may have made it since it was looked for
 */
export async function keepView(
  session: RestSession,
  clock: Clock,
  view: KeptView,
  isAgain = false,
): Promise<"made" | "kept" | "taken" | null> {
  if (!session.lists(ENDPOINTS.createView)) return null;
  const views = `${session.namespace(view.name.namespace)}/views`;
  const url = `${views}/${encodeURIComponent(view.name.table)}`;
  const what = `for view ${fullName(view.name)}`;
  const metadata = await look(session, what, url);
  if (metadata !== null && !isOurs(metadata, view)) return "taken";
  if (metadata !== null && isAsWanted(metadata, view)) return "kept";
  const body =
    metadata === null ? creation(view, clock.nowMs()) : replacement(metadata, view, clock.nowMs());
  const answer = await write(session, what, metadata === null ? views : url, body);
  if (isSuccess(answer)) return "made";
  if (isAway(answer)) throw session.away(what, `HTTP ${answer.status} ${messageOf(answer)}`);
  if (answer.status !== 409) throw session.refusal(what, answer);
  if (metadata !== null) return "kept";
  return isAgain ? "taken" : keepView(session, clock, view, true);
}

/** The metadata of a view; null: there is none. */
async function look(
  session: RestSession,
  what: string,
  url: string,
): Promise<{ readonly [key: string]: Json } | null> {
  const found = await session.read(what, url);
  if (found.status === 404 && isIcebergError(found)) return null;
  if (found.status !== 200) throw session.refusal(what, found);
  return membersOf(membersOf(session.parse(what, found))["metadata"]);
}

async function write(
  session: RestSession,
  what: string,
  url: string,
  body: JsonObject,
): Promise<HttpAnswer> {
  const sent = await session.write(what, url, writeJson(body));
  if (sent.kind === "lost") throw sent.cause;
  return sent.answer;
}

function creation(view: KeptView, nowMs: number): JsonObject {
  const [key, value] = view.mark;
  return {
    name: view.name.table,
    schema: schemaOf(view),
    "view-version": versionOf(view, nowMs, { versionId: 1, schemaId: 0 }),
    properties: { [key]: value },
  };
}

/** -1 stands for the schema and the version that are added. */
function replacement(
  metadata: { readonly [key: string]: Json },
  view: KeptView,
  nowMs: number,
): JsonObject {
  const versionId = Number(metadata["current-version-id"]) + 1;
  const [key, value] = view.mark;
  return {
    identifier: { namespace: [...view.name.namespace], name: view.name.table },
    requirements: [{ type: "assert-view-uuid", uuid: metadata["view-uuid"] ?? null }],
    updates: [
      { action: "add-schema", schema: schemaOf(view) },
      {
        action: "add-view-version",
        "view-version": versionOf(view, nowMs, { versionId, schemaId: -1 }),
      },
      { action: "set-current-view-version", "view-version-id": -1 },
      { action: "set-properties", updates: { [key]: value } },
    ],
  };
}

function versionOf(
  { name, texts }: KeptView,
  nowMs: number,
  { versionId, schemaId }: { readonly versionId: number; readonly schemaId: number },
): JsonObject {
  return {
    "version-id": versionId,
    "schema-id": schemaId,
    "timestamp-ms": nowMs,
    summary: { "engine-name": "kafka-iceberg" },
    "default-namespace": [...name.namespace],
    representations: texts.map(({ dialect, sql }) => ({ type: "sql", dialect, sql })),
  };
}

function schemaOf({ fields }: KeptView): JsonObject {
  return schemaToJson({ schemaId: 0, fields, identifierFieldIds: [] });
}

function isOurs(metadata: { readonly [key: string]: Json }, { mark: [key] }: KeptView): boolean {
  return membersOf(metadata["properties"])[key] !== undefined;
}

/** True when the version that counts has these texts, and columns of these names and types. */
function isAsWanted(metadata: { readonly [key: string]: Json }, view: KeptView): boolean {
  const { versions, schemas, "current-version-id": current } = metadata;
  const version = memberWith(versions, "version-id", current);
  const schema = memberWith(schemas, "schema-id", membersOf(version)["schema-id"]);
  // A text of all columns stays the same when one grows, and readers cast to the columns of the view.
  return textsIn(version) === textsOf(view) && shapeOf(schema) === shapeOf(schemaOf(view));
}

/** The one of a list whose member has this value; without members where there is none. */
function memberWith(list: Json | undefined, key: string, value: Json | undefined): Json {
  return (Array.isArray(list) ? list : []).find((each) => membersOf(each)[key] === value) ?? {};
}

/** Names and types of what is in a type as JSON, without ids, which are the server's (Iceberg spec, appendix C). */
function shapeOf(type: Json | undefined): string {
  // "decimal(9,2)" and "decimal(9, 2)" are one type.
  if (typeof type === "string") return type.replaceAll(" ", "");
  const { type: kind, fields, element, key, value } = membersOf(type);
  if (kind === "list") return `list<${shapeOf(element)}>`;
  if (kind === "map") return `map<${shapeOf(key)},${shapeOf(value)}>`;
  const members = (Array.isArray(fields) ? fields : []).map(membersOf);
  return writeJson(members.map(({ name = null, type: each }) => [name, shapeOf(each)]));
}

function textsOf({ texts }: KeptView): string {
  return texts
    .map(({ sql }) => sql)
    .sort()
    .join("\n");
}

/** The texts of a version. */
function textsIn(version: Json): string {
  const texts = membersOf(version)["representations"];
  return (Array.isArray(texts) ? texts : [])
    .map((each) => String(membersOf(each)["sql"]))
    .sort()
    .join("\n");
}
