/**
 * The commit loop: each kind of change, each outcome (SPEC 2.3, 2.4).
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import type { Catalog, CommitOutcome } from "#catalog/catalog.ts";
import { Append } from "#commit/append.ts";
import type { Change, CommitResult } from "#commit/change.ts";
import { columnsChange } from "#commit/columns.ts";
import { commit, giveUp, newCommit, type PendingCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { offsetsChange, planOffsets } from "#commit/offsets.ts";
import { SUMMARY } from "#commit/progressDocument.ts";
import { isPaused, pauseChange } from "#commit/properties.ts";
import { AppRig } from "../../support/appRig.ts";

/** What becomes of a request: applied or not, and what is answered. */
type Fate = "applied" | "refused" | "applied, unheard" | "lost";

/** A table whose next requests meet these fates; after them all goes well. */
function tableOf(fates: Fate[]): { rig: AppRig; table: CommitTable; sent: () => number } {
  const rig = new AppRig();
  let sent = 0;
  const commitAs = async (
    fate: Fate,
    run: () => Promise<CommitOutcome>,
  ): Promise<CommitOutcome> => {
    if (fate === "refused") return { kind: "conflict", cause: "busy" };
    if (fate === "lost") return { kind: "unknown", cause: "timeout" };
    const outcome = await run();
    return fate === "applied" ? outcome : { kind: "unknown", cause: "timeout" };
  };
  const catalog: Catalog = {
    ...rig.parts.catalog,
    commit: (...request) => {
      sent++;
      return commitAs(fates.shift() ?? "applied", () => rig.parts.catalog.commit(...request));
    },
  };
  const options = { ...rig.options, commitRetriesMax: 4 };
  const table = new CommitTable({ ...rig.parts, catalog }, options, rig.world.loaded());
  return { rig, table, sent: () => sent };
}

/** One of each kind of change, and whether the table has it. */
const KINDS: readonly {
  readonly name: string;
  readonly change: (rig: AppRig, table: CommitTable) => Change;
  readonly isThere: (rig: AppRig) => boolean;
}[] = [
  {
    name: "claim",
    change: (rig, table) => {
      const advance = { feed: rig.world.feed(0), expect: null, next: 0n, rows: 0n };
      return new Append(table.parts, "claim", [advance], []);
    },
    isThere: (rig) => summaryOf(rig)[SUMMARY.kind] === "claim",
  },
  {
    name: "offsets",
    change: (rig) =>
      offsetsChange(
        (head, progress) =>
          planOffsets(head, progress, "main", [{ feed: rig.world.feed(0), offset: 7n }]).document,
      ),
    isThere: (rig) => summaryOf(rig)[SUMMARY.kind] === "offsets",
  },
  {
    name: "columns",
    change: (_, table) =>
      columnsChange(table.parts, ({ metadata }) => {
        const fields = metadata.schemas.at(-1)?.fields ?? [];
        if (fields.some(({ name }) => name === "more")) return { kind: "nothing" };
        const id = metadata.lastColumnId + 1;
        const more = { id, name: "more", required: false, type: { kind: "int" } } as const;
        return { kind: "columns", fields: [...fields, more], lastColumnId: id, awaited: [] };
      }),
    isThere: ({ world }) =>
      world.metadata.schemas.at(-1)?.fields.filter(({ name }) => name === "more").length === 1,
  },
  {
    name: "pause",
    change: () => pauseChange(true),
    isThere: ({ world }) => isPaused(world.loaded()),
  },
];

function summaryOf({ world: { metadata } }: AppRig): Readonly<Record<string, string>> {
  return metadata.snapshots.at(-1)?.summary ?? {};
}

async function run(
  { rig, table }: { rig: AppRig; table: CommitTable },
  pending: PendingCommit,
): Promise<CommitResult> {
  const running = commit(table, pending);
  await rig.pass(1000);
  return await running;
}

const FATES: readonly (readonly Fate[])[] = [
  ["applied"],
  ["refused", "applied"],
  ["applied, unheard"],
  ["lost", "applied"],
  ["lost", "applied, unheard"],
  ["refused", "lost", "refused", "applied, unheard"],
];

for (const { name, change, isThere } of KINDS) {
  for (const fates of FATES) {
    test(`${name}: committed once, whatever is answered (${fates.join("; ")})`, async () => {
      const world = tableOf([...fates]);
      const pending = newCommit(world.table, change(world.rig, world.table));
      expect((await run(world, pending)).kind).toBe("committed");
      expect([world.sent(), isThere(world.rig)]).toEqual([fates.length, true]);
      expect(await world.rig.world.law.violations()).toEqual([]);
    });
  }

  test(`${name}: without an answer it is held, and the same commit ends later`, async () => {
    const world = tableOf(Array.from({ length: 5 }, () => "lost" as const));
    const pending = newCommit(world.table, change(world.rig, world.table));
    expect((await run(world, pending)).kind).toBe("held");
    expect(pending.mayHaveLanded).toBe(true);
    expect((await run(world, pending)).kind).toBe("committed");
    expect(isThere(world.rig)).toBe(true);
  });
}

test("a change that landed can only end as committed, though its own step fails and its snapshot goes", async () => {
  const world = tableOf([]);
  let failures = 1;
  const claim = KINDS[0]?.change(world.rig, world.table) as Append;
  const landed = claim.landed.bind(claim);
  claim.landed = (landing) =>
    failures-- > 0 ? Promise.reject(fail("storage_full", "no room")) : landed(landing);
  const pending = newCommit(world.table, claim);
  expect((await run(world, pending)).kind).toBe("held");
  expect(pending.phase.kind).toBe("landed");
  await giveUp(world.table, pending);
  const { snapshots } = world.rig.world.metadata;
  await run(world, newCommit(world.table, new Append(world.table.parts, "refresh", [], [])));
  const snapshotIds = snapshots.map((each) => each.snapshotId);
  world.rig.world.foreign([{ action: "remove-snapshots", snapshotIds }], "expiry");
  expect((await run(world, pending)).kind).toBe("committed");
});

for (const fates of [[], ["lost", "lost", "lost", "lost", "lost"]] as const) {
  const what = fates.length === 0 ? "sent" : "sent again";
  test(`nothing is ${what} of a commit that began longer ago than an orphan cleaner spares its files`, async () => {
    const world = tableOf([...fates]);
    const options = { ...world.table.options, filesAgeMsMax: 2000 };
    const table = new CommitTable(world.table.parts, options, world.rig.world.loaded());
    const pending = newCommit(table, KINDS[0]?.change(world.rig, table) as Append);
    if (fates.length > 0) expect((await run({ ...world, table }, pending)).kind).toBe("held");
    await world.rig.pass(2100);
    const sent = world.sent();
    expect(await run({ ...world, table }, pending)).toMatchObject({ kind: "dropped" });
    expect(world.sent()).toBe(sent);
  });
}

test("every snapshot names what its commit was for", async () => {
  const world = tableOf([]);
  for (const kind of ["claim", "refresh"] as const) {
    await run(world, newCommit(world.table, new Append(world.table.parts, kind, [], [])));
  }
  const kinds = world.rig.world.metadata.snapshots.map((each) => each.summary[SUMMARY.kind]);
  expect(kinds).toEqual(["claim", "refresh"]);
});

test("the log is told of a change of columns, not of what comes without one", async () => {
  const world = tableOf([]);
  const told: string[] = [];
  const append = async ({ type }: { type: string }) => void told.push(type);
  const parts = { ...world.table.parts, txlog: { ...world.rig.txlog, append } };
  const more = { id: 90, name: "more", required: false, type: { kind: "int" } } as const;
  for (const added of [[], [more]]) {
    const change = columnsChange(parts, ({ metadata }) => {
      const fields = [...(metadata.schemas.at(-1)?.fields ?? []), ...added];
      const spec = { specId: metadata.partitionSpecs.length, fields: [] };
      const awaited = added.length === 0 ? ([{ action: "add-spec", spec }] as const) : [];
      return { kind: "columns", fields, lastColumnId: 90, awaited };
    });
    expect((await run(world, newCommit(world.table, change))).kind).toBe("committed");
    expect(told).toEqual(added.map(() => "SchemaEvolution"));
  }
});
