/** Commits of several tables through REST: what each is told of one answer. */
import { expect, test } from "bun:test";
import type { CommitOutcome, LoadedTable, TableChange } from "#catalog/catalog.ts";
import { answer, lost, refusal } from "../../../fakes/restServer.ts";
import { appendOf, nextSnapshot, sampleTable } from "../../../support/icebergSamples.ts";
import { type RestRig, restRig } from "../../../support/restRig.ts";

const OFFERED = [
  "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
  "POST /v1/{prefix}/namespaces/{namespace}/tables",
  "POST /v1/{prefix}/transactions/commit",
];
const NAMES = ["a", "b"].map((table) => ({ namespace: ["db"], table }));

const isTogether = ({ url }: { readonly url: string }): boolean =>
  url.endsWith("/transactions/commit");

/** Two tables on a server with that request. */
async function ready(endpoints: readonly string[] = OFFERED): Promise<RestRig> {
  const rig = await restRig({}, ({ config }) => {
    config["endpoints"] = [...endpoints];
  });
  for (const name of NAMES) await rig.catalog.create({ name, metadataAt: sampleTable });
  return rig;
}

function changeOf({ name, metadata }: LoadedTable, id: bigint): TableChange {
  const { currentSnapshotId: snapshotId, tableUuid: uuid } = metadata;
  const requirements = [
    { type: "assert-table-uuid", uuid },
    { type: "assert-ref-snapshot-id", ref: "main", snapshotId },
  ] as const;
  return { name, requirements, updates: appendOf(nextSnapshot(metadata, id)) };
}

/** Appends an empty snapshot to each of both tables in one request. */
async function append({ catalog }: RestRig, id: bigint): Promise<readonly CommitOutcome[] | null> {
  const heads = await Promise.all(NAMES.map((name) => catalog.load(name)));
  const changes = heads.map((head) => changeOf(head as LoadedTable, id));
  return (await catalog.commitTogether?.(changes)) ?? null;
}

async function headsOf({ catalog }: RestRig): Promise<(bigint | null | undefined)[]> {
  const heads = await Promise.all(NAMES.map((name) => catalog.load(name)));
  return heads.map((head) => head?.metadata.currentSnapshotId);
}

const kinds = (outcomes: readonly CommitOutcome[] | null) => outcomes?.map(({ kind }) => kind);

test("one request changes both, and each is shown to have been changed", async () => {
  const rig = await ready();
  const outcomes = await append(rig, 7n);
  expect(kinds(outcomes)).toEqual(["committed", "committed"]);
  const [first] = outcomes ?? [];
  expect(first?.kind === "committed" && first.table.metadata.currentSnapshotId).toBe(7n);
  expect(await headsOf(rig)).toEqual([7n, 7n]);
  const sent = rig.server.requests.filter(isTogether);
  expect(sent.length).toBe(1);
  expect(sent[0]?.headers["idempotency-key"]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
});

test("a server that does not list the request is not asked for it", async () => {
  const rig = await ready(OFFERED.slice(0, 2));
  expect(await append(rig, 7n)).toBeNull();
  expect((await rig.catalog.commitTogether?.([])) ?? null).toBeNull();
  expect(rig.server.requests.filter(isTogether)).toEqual([]);
});

test("whether it is offered is told without a request", async () => {
  const rig = await ready();
  const sent = rig.server.requests.length;
  expect((await rig.catalog.commitTogether?.([])) ?? null).toEqual([]);
  expect(rig.server.requests.length).toBe(sent);
});

test("a conflict of one is a conflict of both, and neither was changed", async () => {
  const rig = await ready();
  const [, second] = await Promise.all(NAMES.map((name) => rig.catalog.load(name)));
  rig.server.intercept = async (request, apply) => {
    if (!isTogether(request)) return null;
    rig.server.intercept = async () => null;
    // Somebody commits to the second one just before.
    const change = changeOf(second as LoadedTable, 9n);
    await rig.catalog.commit(change.name, change.requirements, change.updates);
    return apply();
  };
  expect(kinds(await append(rig, 7n))).toEqual(["conflict", "conflict"]);
  expect(await headsOf(rig)).toEqual([null, 9n]);
});

test("a head that is known to have moved is a conflict, and nothing is sent", async () => {
  const rig = await ready();
  const heads = await Promise.all(NAMES.map((name) => rig.catalog.load(name)));
  const changes = heads.map((head) => changeOf(head as LoadedTable, 7n));
  await append(rig, 8n);
  const sent = rig.server.requests.filter(isTogether).length;
  expect(kinds((await rig.catalog.commitTogether?.(changes)) ?? null)).toEqual([
    "conflict",
    "conflict",
  ]);
  expect(rig.server.requests.filter(isTogether).length).toBe(sent);
});

for (const status of [500, 502, 503, 504, 408]) {
  test(`${status} is unknown of both, applied or not`, async () => {
    for (const isApplied of [true, false]) {
      const rig = await ready();
      rig.server.intercept = async (request, apply) => {
        if (!isTogether(request)) return null;
        if (isApplied) await apply();
        return refusal(status, "ServiceFailureException");
      };
      expect(kinds(await append(rig, 7n))).toEqual(["unknown", "unknown"]);
      expect(await headsOf(rig)).toEqual(isApplied ? [7n, 7n] : [null, null]);
    }
  });
}

test("a lost answer is unknown of both; a connection that was never made a conflict", async () => {
  const rig = await ready();
  for (const [maybeSent, kind] of [
    [true, "unknown"],
    [false, "conflict"],
  ] as const) {
    rig.server.intercept = async (request) =>
      isTogether(request) ? Promise.reject(lost(maybeSent)) : null;
    expect(kinds(await append(rig, 7n))).toEqual([kind, kind]);
  }
});

test("of a success each table is told what it shows itself", async () => {
  const rig = await ready();
  rig.server.intercept = async (request) => {
    if (!isTogether(request)) return null;
    rig.server.intercept = async () => null;
    // As Iceberg's own server when somebody commits to the second one meanwhile: it is left out.
    const body = JSON.parse(request.body ?? "{}");
    const url = "http://rest.test/v1/namespaces/db/tables/a";
    await rig.server.http.send({ ...request, url, body: JSON.stringify(body["table-changes"][0]) });
    return answer(204, null);
  };
  expect(kinds(await append(rig, 7n))).toEqual(["committed", "unknown"]);
  expect(await headsOf(rig)).toEqual([7n, null]);
});

test("a success whose table cannot be loaded is unknown of that table", async () => {
  const rig = await ready();
  let isDone = false;
  rig.server.intercept = async (request, apply) => {
    if (isTogether(request)) {
      isDone = true;
      return apply();
    }
    return isDone && request.url.includes("/tables/b") ? refusal(403, "Forbidden") : null;
  };
  expect(kinds(await append(rig, 7n))).toEqual(["committed", "unknown"]);
});

test("a server that lists nothing is asked, and may say that it has no such request", async () => {
  const refusals = [
    refusal(405, null),
    refusal(406, "UnsupportedOperationException"),
    refusal(501, null),
    { status: 404, headers: {}, body: "<html>" },
  ];
  for (const refused of refusals) {
    const rig = await ready([]);
    rig.server.intercept = async (request) => (isTogether(request) ? refused : null);
    expect(await append(rig, 7n)).toBeNull();
  }
  expect(kinds(await append(await ready([]), 7n))).toEqual(["committed", "committed"]);
});

test("whatever else a server refuses is a conflict: each table's own commit will say why", async () => {
  for (const status of [400, 403, 404, 409, 429]) {
    const rig = await ready();
    rig.server.intercept = async (request) => (isTogether(request) ? refusal(status, "No") : null);
    expect(kinds(await append(rig, 7n))).toEqual(["conflict", "conflict"]);
  }
});
