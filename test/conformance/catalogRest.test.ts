/** The promises of every catalog, on Iceberg's own REST server. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemDisk } from "#base/disk.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, CommitOutcome, KeptView, TableChange, TableName } from "#catalog/catalog.ts";
import { createLocalStorage } from "#storage/local.ts";
import { type IcebergRest, startIcebergRest } from "../../scripts/services/icebergRest.ts";
import { catalogContract } from "../support/catalogContract.ts";
import { restOptions, restPlace } from "../support/catalogPlaces.ts";
import { appendOf, nextSnapshot } from "../support/icebergSamples.ts";
import { createSample, realCatalog } from "../support/realCatalogs.ts";

const local = createLocalStorage({ disk: systemDisk, random: systemRandom });
let server: IcebergRest;

beforeAll(async () => {
  server = await startIcebergRest();
}, 600_000);

afterAll(() => server?.stop());

catalogContract("REST catalog on Iceberg's own server", () =>
  restPlace(
    () => restOptions(server.uri),
    local,
    async (fault) => {
      if (fault === null) return;
      await server.fault({ mode: `drop-${fault}`, match: "^POST .*/tables/" });
    },
  ),
);

describe("commits of several tables on Iceberg's own server", () => {
  const names: readonly TableName[] = ["one", "two"].map((table) => ({
    namespace: ["together"],
    table,
  }));
  const open = (): Promise<Catalog> => realCatalog({ type: "rest", ...restOptions(server.uri) });

  /** An empty snapshot for each table, on the heads as they are now. */
  async function changesOf(catalog: Catalog, id: bigint): Promise<TableChange[]> {
    return Promise.all(
      names.map(async (name): Promise<TableChange> => {
        const metadata = (await catalog.load(name))?.metadata;
        if (metadata === undefined) throw new Error(`${name.table} is gone`);
        const { tableUuid: uuid, currentSnapshotId: snapshotId } = metadata;
        const requirements = [
          { type: "assert-table-uuid", uuid },
          { type: "assert-ref-snapshot-id", ref: "main", snapshotId },
        ] as const;
        return { name, requirements, updates: appendOf(nextSnapshot(metadata, id)) };
      }),
    );
  }

  async function headsOf(catalog: Catalog): Promise<(bigint | null | undefined)[]> {
    const heads = await Promise.all(names.map((name) => catalog.load(name)));
    return heads.map((head) => head?.metadata.currentSnapshotId);
  }

  const kinds = (outcomes: readonly CommitOutcome[] | null | undefined) =>
    outcomes?.map(({ kind }) => kind);

  test("all are changed or none, and each outcome is known or said not to be", async () => {
    const [catalog, other] = [await open(), await open()];
    for (const name of names) await createSample(catalog, name, []);
    expect(await catalog.commitTogether?.([])).toEqual([]);
    const first = await catalog.commitTogether?.(await changesOf(catalog, 71n));
    expect(kinds(first)).toEqual(["committed", "committed"]);
    expect(await headsOf(other)).toEqual([71n, 71n]);

    const late = await changesOf(catalog, 72n);
    const [, two] = await changesOf(other, 79n);
    if (two === undefined) throw new Error("no second table");
    expect((await other.commit(two.name, two.requirements, two.updates)).kind).toBe("committed");
    expect(kinds(await catalog.commitTogether?.(late))).toEqual(["conflict", "conflict"]);
    expect(await headsOf(other)).toEqual([71n, 79n]);

    await server.fault({ mode: "drop-after", match: "^POST .*/transactions/commit" });
    const unheard = await catalog.commitTogether?.(await changesOf(catalog, 73n));
    expect(kinds(unheard)).toEqual(["unknown", "unknown"]);
    expect(await headsOf(catalog)).toEqual([73n, 73n]);

    await server.fault({ mode: "nothing", match: "^POST .*/transactions/commit" });
    const untrue = await catalog.commitTogether?.(await changesOf(catalog, 74n));
    expect(kinds(untrue)).toEqual(["unknown", "unknown"]);
    expect(await headsOf(catalog)).toEqual([73n, 73n]);
    await Promise.all([catalog.close(), other.close()]);
  }, 60_000);
});

test("a view on Iceberg's own server is made, left, brought to another text and columns, and never taken from others", async () => {
  const catalog = await realCatalog({ type: "rest", ...restOptions(server.uri) });
  const namespace = ["viewed"];
  const { metadata: table } = await createSample(catalog, { namespace, table: "t" }, []);
  const fields = table.schemas[0]?.fields ?? [];
  const textsOf = (n: number): KeptView["texts"] =>
    ["spark", "trino"].map((dialect) => ({ dialect, sql: `SELECT ${n} AS ${dialect}` }));
  const view: KeptView = {
    name: { namespace, table: "t_latest" },
    fields: fields.slice(0, 1),
    texts: textsOf(1),
    mark: ["ours", "yes"],
  };
  const other = { ...view, fields, texts: textsOf(2) };
  const kept: unknown[] = [];
  for (const each of [view, view, other, other]) kept.push(await catalog.keepView?.(each));
  expect(kept).toEqual(["made", "kept", "made", "kept"]);
  const answer = await fetch(`${server.uri}/v1/namespaces/viewed/views/t_latest`);
  const { metadata } = (await answer.json()) as { metadata: ViewMetadata };
  expect(metadata["current-version-id"]).toBe(2);
  const current = metadata.versions.find((each) => each["version-id"] === 2);
  expect(current?.representations.map(({ sql }) => sql)).toEqual(textsOf(2).map(({ sql }) => sql));
  const schema = metadata.schemas.find((each) => each["schema-id"] === current?.["schema-id"]);
  expect(schema?.fields.length).toBe(fields.length);
  expect(await catalog.keepView?.({ ...view, mark: ["others", "yes"] })).toBe("taken");
  expect(await catalog.keepView?.({ ...view, name: { namespace, table: "t" } })).toBe("taken");
  await catalog.close();
}, 60_000);

interface ViewMetadata {
  readonly "current-version-id": number;
  readonly schemas: readonly { readonly "schema-id": number; readonly fields: unknown[] }[];
  readonly versions: readonly {
    readonly "version-id": number;
    readonly "schema-id": number;
    readonly representations: readonly { readonly sql: string }[];
  }[];
}
