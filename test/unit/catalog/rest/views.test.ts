/** Views through REST: what is made, what is brought to another text, and what is left alone. */
import { expect, test } from "bun:test";
import type { HttpAnswer } from "#base/http.ts";
import { type Json, parseJson } from "#base/json.ts";
import type { KeptView } from "#catalog/catalog.ts";
import type { Field, Type } from "#columns/schema.ts";
import { schemaToJson } from "#iceberg/metadata/json.ts";
import { answer, lost, refusal } from "../../../fakes/restServer.ts";
import { SAMPLE_FIELDS } from "../../../support/icebergSamples.ts";
import { type RestRig, restRig } from "../../../support/restRig.ts";
import { errorOf } from "../../../support/s3Rig.ts";

const MARK = ["ours", "yes"] as const;
const VIEW: KeptView = {
  name: { namespace: ["db"], table: "t latest" },
  fields: SAMPLE_FIELDS,
  texts: [{ dialect: "spark", sql: "SELECT 1" }],
  mark: MARK,
};
const OFFERED = [
  "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
  "POST /v1/{prefix}/namespaces/{namespace}/views",
];

interface Body {
  readonly [key: string]: Json;
}

/** A server with one view, or none; what was posted, and where. */
async function ready(first: Body | null, offered: readonly string[] = OFFERED) {
  const posted: { readonly path: string; readonly body: Body }[] = [];
  const state = { view: first, answer: (): HttpAnswer => answer(200, {}) };
  const rig: RestRig = await restRig({}, ({ config }) => {
    config["endpoints"] = [...offered];
  });
  rig.server.intercept = async ({ method, url, body }) => {
    const { pathname } = new URL(url);
    if (!/\/views(\/|$)/.test(pathname)) return null;
    if (method === "GET")
      return state.view === null
        ? refusal(404, "NoSuchViewException")
        : answer(200, { metadata: state.view });
    posted.push({ path: pathname, body: parseJson(body ?? "") as Body });
    return state.answer();
  };
  const keep = () => rig.catalog.keepView?.(VIEW) ?? Promise.resolve(null);
  return { rig, posted, state, keep };
}

const versionOf = (sql: string, id: number) => ({
  "version-id": id,
  representations: [{ type: "sql", dialect: "spark", sql }],
});

const there = (sql: string, properties: Body, fields = renumbered(SAMPLE_FIELDS)): Body => ({
  "view-uuid": "u",
  "current-version-id": 4,
  versions: [
    { ...versionOf("SELECT 0", 3), "schema-id": 0 },
    { ...versionOf(sql, 4), "schema-id": 1 },
  ],
  schemas: [schemaAs(0, []), schemaAs(1, fields)],
  properties,
});

const schemaAs = (schemaId: number, fields: readonly Field[]): Body =>
  schemaToJson({ schemaId, fields, identifierFieldIds: [] });

/** As a server numbers columns. */
function renumbered(fields: readonly Field[]): Field[] {
  return fields.map((field) => ({ ...field, id: field.id + 1000 }));
}

test("a view that is missing is made, with its text, its columns and our mark", async () => {
  const { keep, posted } = await ready(null);
  expect(await keep()).toBe("made");
  expect(posted).toHaveLength(1);
  expect(posted[0]).toMatchObject({
    path: "/v1/namespaces/db/views",
    body: {
      name: "t latest",
      properties: { ours: "yes" },
      schema: { type: "struct", "schema-id": 0 },
      "view-version": { "default-namespace": ["db"], ...versionOf("SELECT 1", 1) },
    },
  });
});

test("one that is ours and says the same is left as it is", async () => {
  const { keep, posted } = await ready(there("SELECT 1", { ours: "yes" }));
  expect([await keep(), posted]).toEqual(["kept", []]);
});

test("one whose text is the same gets the columns that it has now: a type that has grown, a member, a column more or less", async () => {
  const [int, long] = [{ kind: "int" }, { kind: "long" }] as const;
  const as = (type: Type, name = "c"): Field => ({ id: 1, name, required: false, type });
  const structOf = (...kinds: Type[]): Type => ({
    kind: "struct",
    fields: kinds.map((type, n) => ({ ...as(type, `m${n}`), id: 10 + n })),
  });
  const listOf = (type: Type): Type => ({ kind: "list", element: { ...as(type), id: 2 } });
  const changes: [Field[], Field[]][] = [
    [[as(int)], [as(long)]],
    [[as(structOf(int))], [as(structOf(int, int))]],
    [[as(listOf(structOf(int)))], [as(listOf(structOf(long)))]],
    [[as(int)], [as(int), { ...as(int, "d"), id: 2 }]],
    [[as(int)], [as(int, "d")]],
  ];
  for (const [before, now] of changes.flatMap(([a, b]): [Field[], Field[]][] => [
    [a, b],
    [b, a],
  ])) {
    const { rig, posted } = await ready(there("SELECT 1", { ours: "yes" }, renumbered(before)));
    expect(await rig.catalog.keepView?.({ ...VIEW, fields: before })).toBe("kept");
    expect(posted).toEqual([]);
    expect(await rig.catalog.keepView?.({ ...VIEW, fields: now })).toBe("made");
    expect(posted).toHaveLength(1);
  }
});

test("one that is ours and says something else gets another version, unless it was replaced meanwhile", async () => {
  const { keep, posted } = await ready(there("SELECT 9", { ours: "yes" }));
  expect(await keep()).toBe("made");
  const [request] = posted;
  expect(request?.path).toBe("/v1/namespaces/db/views/t%20latest");
  expect(request?.body).toMatchObject({
    requirements: [{ type: "assert-view-uuid", uuid: "u" }],
    updates: [
      { action: "add-schema" },
      { action: "add-view-version", "view-version": versionOf("SELECT 1", 5) },
      { action: "set-current-view-version" },
      { action: "set-properties", updates: { ours: "yes" } },
    ],
  });
});

test("somebody else's view, or a table of that name, is left alone", async () => {
  const others = await ready(there("SELECT 9", {}));
  expect([await others.keep(), others.posted]).toEqual(["taken", []]);
  const table = await ready(null);
  table.state.answer = () => refusal(409, "AlreadyExistsException");
  expect(await table.keep()).toBe("taken");
  expect(table.posted).toHaveLength(2);
  const race = await ready(there("SELECT 9", { ours: "yes" }));
  race.state.answer = () => refusal(409, "CommitFailedException");
  expect(await race.keep()).toBe("kept");
});

test("one that another process of ours has made meanwhile is there", async () => {
  const { keep, state } = await ready(null);
  state.answer = () => {
    state.view = there("SELECT 1", { ours: "yes" });
    return refusal(409, "AlreadyExistsException");
  };
  expect(await keep()).toBe("kept");
});

test("a server that does not list views is not asked for them", async () => {
  for (const offered of [OFFERED.slice(0, 1), []]) {
    const { keep, rig } = await ready(null, offered);
    const sent = rig.server.requests.length;
    expect([await keep(), rig.server.requests.length]).toEqual([null, sent]);
  }
});

test("what fails is an error of its kind: a refusal, or no answer", async () => {
  const refused = await ready(null);
  refused.state.answer = () => refusal(403, "ForbiddenException");
  expect((await errorOf(refused.keep())).kind).toBe("catalog_refused");
  const broken = await ready(null);
  broken.state.answer = () => refusal(503, null);
  expect((await errorOf(broken.keep())).kind).toBe("catalog_unreachable");
  const away = await ready(null);
  away.state.answer = () => {
    throw lost();
  };
  expect((await errorOf(away.keep())).kind).toBe("catalog_unreachable");
});
