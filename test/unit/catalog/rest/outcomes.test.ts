import { describe, expect, test } from "bun:test";
import type { HttpAnswer } from "#base/http.ts";
import { parseJson } from "#base/json.ts";
import { answer, lost, refusal } from "../../../fakes/restServer.ts";
import { rejection } from "../../../support/rejection.ts";
import {
  append,
  createTable,
  isCommit,
  NAME,
  type RestRig,
  restRig,
} from "../../../support/restRig.ts";

/** Lets the next commit meet something else than the server. */
function nextCommit(
  { server }: RestRig,
  meet: (apply: () => Promise<HttpAnswer>) => Promise<HttpAnswer>,
): void {
  server.intercept = async (request, apply) => {
    if (!isCommit(request)) return null;
    server.intercept = async () => null;
    return meet(apply);
  };
}

async function ready(): Promise<RestRig> {
  const rig = await restRig();
  await createTable(rig);
  return rig;
}

describe("a commit through REST", () => {
  for (const status of [500, 502, 503, 504, 408]) {
    test(`${status} is unknown, applied or not, and the request is sent once`, async () => {
      for (const applied of [true, false]) {
        const rig = await ready();
        nextCommit(rig, async (apply) => {
          if (applied) await apply();
          return refusal(status, "ServiceFailureException");
        });
        const sent = rig.server.requests.filter(isCommit).length;
        expect((await append(rig, 7n)).kind).toBe("unknown");
        expect(rig.server.requests.filter(isCommit).length).toBe(sent + 1);
        const head = await rig.catalog.load(NAME);
        expect(head?.metadata.currentSnapshotId).toBe(applied ? 7n : null);
      }
    });
  }

  test("a lost answer is unknown; a connection that was never made is a conflict", async () => {
    const rig = await ready();
    nextCommit(rig, async () => Promise.reject(lost()));
    expect((await append(rig, 7n)).kind).toBe("unknown");
    nextCommit(rig, async () => Promise.reject(lost(false)));
    expect(await append(rig, 8n)).toMatchObject({
      kind: "conflict",
      cause: { kind: "catalog_unreachable" },
    });
  });

  test("a success that does not show the snapshot is unknown", async () => {
    const rig = await ready();
    const { server } = rig;
    server.intercept = async (request) => {
      if (!isCommit(request)) return null;
      server.intercept = async () => null;
      return server.http.send({ ...request, method: "GET", body: null });
    };
    expect((await append(rig, 7n)).kind).toBe("unknown");
    expect((await rig.catalog.load(NAME))?.metadata.currentSnapshotId).toBeNull();
  });

  test("a success that has the snapshot beside its branch is unknown: nobody would read its rows", async () => {
    const rig = await ready();
    const { server } = rig;
    server.intercept = async (request) => {
      if (!isCommit(request)) return null;
      server.intercept = async () => null;
      const body = (request.body ?? "").replace(/,\{"action":"set-snapshot-ref"[^}]*\}/, "");
      return server.http.send({ ...request, body });
    };
    expect(await append(rig, 7n)).toMatchObject({
      kind: "unknown",
      cause: expect.stringContaining("its branch main is not at snapshot 7"),
    });
  });

  test("a success in whose table another has committed since is a success", async () => {
    const rig = await ready();
    nextCommit(rig, async (apply) => {
      await apply();
      await append(rig, 8n);
      const load = { method: "GET", headers: {}, body: null } as const;
      return rig.server.http.send({ ...load, url: "http://rest.test/v1/namespaces/db/tables/t" });
    });
    expect((await append(rig, 7n)).kind).toBe("committed");
    expect((await rig.catalog.load(NAME))?.metadata.currentSnapshotId).toBe(8n);
  });

  test("a success that is no table at all is unknown", async () => {
    for (const body of [{}, { metadata: { "format-version": 2 } }]) {
      const rig = await ready();
      nextCommit(rig, async () => answer(200, body));
      expect((await append(rig, 7n)).kind).toBe("unknown");
    }
    const rig = await ready();
    nextCommit(rig, async () => ({ status: 200, headers: {}, body: "<html>" }));
    expect((await append(rig, 7n)).kind).toBe("unknown");
  });

  test("a success without a table is unknown, whatever its status", async () => {
    for (const status of [200, 201, 202, 204]) {
      const rig = await ready();
      nextCommit(rig, async (apply) => {
        await apply();
        return answer(status, null);
      });
      expect((await append(rig, 7n)).kind).toBe("unknown");
      expect((await rig.catalog.load(NAME))?.metadata.currentSnapshotId).toBe(7n);
    }
  });

  test("409 is a conflict, also with no type, as Nessie answers it", async () => {
    for (const type of ["CommitFailedException", null]) {
      const rig = await ready();
      nextCommit(rig, async () => refusal(409, type));
      expect((await append(rig, 7n)).kind).toBe("conflict");
    }
  });

  test("429 is a conflict for which the catalog counts as away", async () => {
    const rig = await ready();
    nextCommit(rig, async () => refusal(429, "TooManyRequests"));
    expect(await append(rig, 7n)).toMatchObject({
      kind: "conflict",
      cause: { kind: "catalog_unreachable" },
    });
  });

  test("400 is a conflict when the head has moved meanwhile, and else stops the table", async () => {
    const rig = await ready();
    const other = { ...rig };
    rig.server.intercept = async (request) => {
      if (!isCommit(request)) return null;
      rig.server.intercept = async () => null;
      await append(other, 9n);
      return refusal(400, "BadRequestException", "Cannot add snapshot: stale");
    };
    expect((await append(rig, 7n)).kind).toBe("conflict");
    nextCommit(rig, async () => refusal(400, "BadRequestException", "no such thing"));
    expect(await rejection(append(rig, 8n))).toMatchObject({ kind: "catalog_refused" });
  });

  test("403 stops the table, with what the server says", async () => {
    const rig = await ready();
    nextCommit(rig, async () => refusal(403, "ForbiddenException", "needs TABLE_WRITE_DATA"));
    const error = await rejection(append(rig, 7n));
    expect(error).toMatchObject({ kind: "catalog_refused" });
    expect(error.message).toContain("does not allow us a commit to db.t");
    expect(error.message).toContain("needs TABLE_WRITE_DATA");
  });

  test("each commit has an idempotency key of its own, a UUID of version 7", async () => {
    const rig = await ready();
    await append(rig, 7n);
    await append(rig, 8n);
    const keys = rig.server.requests
      .filter(isCommit)
      .map((each) => each.headers["idempotency-key"]);
    expect(new Set(keys).size).toBe(3);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/);
  });

  test("an added schema has the id after the highest, which Nessie asks for", async () => {
    const rig = await ready();
    const { metadata } = (await rig.catalog.load(NAME)) ?? {};
    if (metadata === undefined) throw new Error("the table is gone");
    const [schema] = metadata.schemas;
    const fields = [
      ...(schema?.fields ?? []),
      { id: 9, name: "more", required: false, type: { kind: "long" } as const },
    ];
    const added = { schemaId: 0, fields, identifierFieldIds: [] };
    const outcome = await rig.catalog.commit(
      NAME,
      [],
      [
        { action: "add-schema", schema: added, lastColumnId: 9 },
        { action: "set-current-schema", schemaId: -1 },
      ],
    );
    expect(outcome.kind).toBe("committed");
    const body = parseJson(rig.server.requests.filter(isCommit).at(-1)?.body ?? "");
    expect(body).toMatchObject({
      updates: [{ action: "add-schema", schema: { "schema-id": 1 } }, { "schema-id": -1 }],
    });
  });
});

describe("creating through REST", () => {
  test("is staged, and made in the namespace that is missing", async () => {
    const rig = await restRig();
    const table = await createTable(rig);
    expect(table.metadata.location).toBe("/wh/db/t");
    const bodies = rig.server.requests.map(({ body }) => body ?? "");
    expect(bodies.filter((body) => body.includes('"stage-create":true'))).toHaveLength(1);
    expect(bodies.some((body) => body.includes('"assert-create"'))).toBe(true);
  });

  test("format version 3 that the server would silently make 2 is refused, and nothing is made", async () => {
    const rig = await restRig();
    rig.server.formatVersionMax = 2;
    const { sampleTable } = await import("../../../support/icebergSamples.ts");
    const metadataAt = (location: string) => sampleTable(location, { formatVersion: 3 });
    const error = await rejection(rig.catalog.create({ name: NAME, metadataAt }));
    expect(error).toMatchObject({ kind: "table_unsupported" });
    expect(error.message).toContain("set iceberg.write.format_version = 2");
    expect(await rig.catalog.load(NAME)).toBeNull();
  });

  test("a server that is away is a conflict, so that it is tried again", async () => {
    const rig = await restRig();
    rig.server.intercept = async (request) =>
      request.method === "POST" ? refusal(503, "ServiceUnavailable") : null;
    const { sampleTable } = await import("../../../support/icebergSamples.ts");
    const outcome = await rig.catalog.create({ name: NAME, metadataAt: (at) => sampleTable(at) });
    expect(outcome).toMatchObject({ kind: "conflict", cause: { kind: "catalog_unreachable" } });
  });
});
