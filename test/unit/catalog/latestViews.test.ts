/** Views of the newest rows: when they are made, and what they say. */
import { expect, test } from "bun:test";
import type { Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import type { Catalog, CommitOutcome, KeptView, LoadedTable } from "#catalog/catalog.ts";
import { type LatestViewParts, latestViewOf, withLatestViews } from "#catalog/latestViews.ts";
import { LATEST_PROPERTY, writeLatest } from "#columns/latest.ts";
import type { Field } from "#columns/schema.ts";
import { SAMPLE_FIELDS, sampleTable } from "../../support/icebergSamples.ts";

const [SAMPLE] = SAMPLE_FIELDS as [Field];
const field = (id: number, name: string): Field => ({ ...SAMPLE, id, name });
const FIELDS = ["k`ey", "place", "p", "o", "gone"].map((name, at) => field(at + 1, name));
const LATEST = { key: ["k`ey"], orderField: null, partition: "p", offset: "o", deleted: "gone" };

function tableOf(fields: readonly Field[], schemaId = 0, isLatest = true): LoadedTable {
  const metadata = sampleTable("/wh/t");
  return {
    name: { namespace: ["db"], table: "t" },
    metadata: {
      ...metadata,
      schemas: [{ schemaId, fields, identifierFieldIds: [] }],
      currentSchemaId: schemaId,
      properties: isLatest ? { [LATEST_PROPERTY]: writeLatest(LATEST) } : {},
    },
    metadataLocation: "",
    storage: undefined as never,
  };
}

/** A catalog whose commits end as the test says, and what it and the log were told. */
function make(keep: (view: KeptView) => Promise<"made" | "kept" | "taken" | null>) {
  const views: KeptView[] = [];
  const logged: string[] = [];
  const log = { log: (level: string) => void logged.push(level) } as unknown as Logger;
  const { promise: gone, resolve: pass } = Promise.withResolvers<void>();
  const clock = { sleep: () => gone } as unknown as Clock;
  let outcome: CommitOutcome;
  const bare = {
    commit: async () => outcome,
    commitTogether: async () => [outcome, outcome],
    close: async () => undefined,
    keepView: (view: KeptView) => {
      views.push(view);
      return keep(view);
    },
  } as unknown as Catalog;
  const catalog = withLatestViews(bare, { clock, log });
  const commit = async (next: CommitOutcome, together = false): Promise<void> => {
    outcome = next;
    const name = { namespace: ["db"], table: "t" };
    if (together) await catalog.commitTogether?.([]);
    else expect(await catalog.commit(name, [], [])).toBe(next);
    await Bun.sleep(0);
  };
  return { catalog, views, logged, commit, pass };
}

const committed = (table: LoadedTable): CommitOutcome => ({ kind: "committed", table });

test("a view is made after the first commit, and again when the columns have changed, and for no other table", async () => {
  const { views, logged, commit } = make(async () => "made");
  await commit({ kind: "conflict", cause: "moved" });
  await commit(committed(tableOf(FIELDS, 0, false)));
  expect(views).toEqual([]);
  await commit(committed(tableOf(FIELDS)));
  await commit(committed(tableOf(FIELDS)));
  expect(views.map(({ name }) => name)).toEqual([{ namespace: ["db"], table: "t_latest" }]);
  await commit(committed(tableOf([...FIELDS, field(9, "more")], 1)), true);
  expect(views.map(({ fields }) => fields.length)).toEqual([5, 6]);
  expect(logged).toEqual(["info", "info"]);
});

test("one that cannot be made, or whose name is taken, is a warning, and ends no commit", async () => {
  const { views, logged, commit } = make(({ fields }) =>
    fields.length === 5 ? Promise.reject(new Error("away")) : Promise.resolve("taken"),
  );
  await commit(committed(tableOf(FIELDS)));
  await commit(committed(tableOf(FIELDS)));
  await commit(committed(tableOf([...FIELDS, field(9, "more")], 1)));
  expect(views).toHaveLength(2);
  expect(logged).toEqual(["warn", "warn"]);
});

for (const what of ["is made", "takes too long"]) {
  test(`a catalog is closed when the view that is under way ${what}`, async () => {
    const { promise, resolve } = Promise.withResolvers<"made">();
    const { catalog, commit, pass } = make(() => promise);
    await commit(committed(tableOf(FIELDS)));
    let isClosed = false;
    const closing = catalog.close().then(() => {
      isClosed = true;
    });
    await Bun.sleep(0);
    expect(isClosed).toBe(false);
    if (what === "is made") resolve("made");
    else pass();
    await closing;
  });
}

test("the text names each column, escaped, in each dialect; its own name is no column's", () => {
  const view = latestViewOf(tableOf(FIELDS));
  expect(view?.texts).toEqual([
    {
      dialect: "spark",
      sql:
        "SELECT `k``ey`, `place`, `p`, `o`, `gone` FROM (SELECT `k``ey`, `place`, `p`, `o`, `gone`, row_number() OVER " +
        "(PARTITION BY `k``ey` ORDER BY `p` DESC NULLS LAST, `o` DESC NULLS LAST) AS place_ FROM `t`) newest " +
        "WHERE place_ = 1 AND coalesce(`gone`, false) = false",
    },
    {
      dialect: "trino",
      sql: expect.stringContaining('PARTITION BY "k`ey" ORDER BY "p" DESC NULLS LAST'),
    },
  ]);
});

test("a table that has lost a column of the view has none; a catalog without views is the same catalog", () => {
  expect(latestViewOf(tableOf(FIELDS.slice(0, 3)))).toBeNull();
  const plain = { commit: async () => undefined } as unknown as Catalog;
  expect(withLatestViews(plain, {} as LatestViewParts)).toBe(plain);
});
