/**
 * Four real processes commit to one table of each catalog and are killed (SIGKILL) at random
 * instants: the chain has no hole and no fork, holds every snapshot that was reported committed and
 * none that was reported a conflict.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { seededRandom } from "#base/random.ts";
import type { CatalogOptions } from "#catalog/open.ts";
import { type PostgresService, startPostgres } from "../../scripts/services/postgres.ts";
import { keep, temporaryFolder } from "../../scripts/services/process.ts";
import { createSample, realCatalog } from "../support/realCatalogs.ts";

const NAME = { namespace: ["db"], table: "t" };
const SCRIPT = join(import.meta.dir, "..", "support", "catalogCommitter.ts");
const KILLS = 40;
let root: string;
let server: PostgresService;

beforeAll(async () => {
  root = await temporaryFolder("processes");
  server = await startPostgres();
}, 120_000);

afterAll(async () => {
  await server?.stop();
  await rm(root, { recursive: true, force: true });
});

/** What the committers said, by snapshot id. */
type Reports = Map<string, string>;

/** Keeps one committer running until the table is full; kills it when `kill` says. */
async function committer(
  options: CatalogOptions,
  reports: Reports,
  killAfterMs: () => number | null,
): Promise<number> {
  for (let kills = 0; ; kills++) {
    const child = Bun.spawn([process.execPath, SCRIPT, JSON.stringify(options)], {
      stdout: "pipe",
      stderr: "inherit",
    });
    keep(child);
    const delay = killAfterMs();
    const timer = delay === null ? undefined : setTimeout(() => child.kill("SIGKILL"), delay);
    for (const line of (await new Response(child.stdout).text()).split("\n")) {
      const [kind, id] = line.split(" ");
      if (kind !== undefined && id !== undefined) reports.set(id, kind);
    }
    clearTimeout(timer);
    if ((await child.exited) === 0) return kills;
    expect(child.signalCode).toBe("SIGKILL");
  }
}

describe("processes", () => {
  for (const type of ["file", "SQLite", "PostgreSQL"] as const) {
    test(`${type} catalog: nothing is lost, doubled or forked by kills`, async () => {
      const warehouse = join(root, type);
      const sql = { type: "sql", name: "default", warehouse, readOnly: false } as const;
      const options: Readonly<Record<typeof type, CatalogOptions>> = {
        file: { type: "file", warehouse, readOnly: false },
        SQLite: { ...sql, uri: `sqlite://${warehouse}/catalog.db` },
        PostgreSQL: { ...sql, uri: server.uri("postgres"), connectionsMax: 1 },
      };
      const catalog = await realCatalog(options[type]);
      await createSample(catalog, NAME, []);
      const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
      console.log(`seed ${seed}`);
      const random = seededRandom(seed);
      let left = KILLS;
      const killAfterMs = (): number | null => (left-- > 0 ? 250 + random.unit() * 500 : null);
      const reports: Reports = new Map();
      const kills = await Promise.all(
        [1, 2, 3, 4].map(() => committer(options[type], reports, killAfterMs)),
      );
      const head = await catalog.load(NAME);
      const snapshots = head?.metadata.snapshots ?? [];
      snapshots.forEach((snapshot, index) => {
        expect(snapshot.parentSnapshotId).toBe(snapshots[index - 1]?.snapshotId ?? null);
        expect(snapshot.sequenceNumber).toBe(BigInt(index + 1));
      });
      const landed = new Set(snapshots.map((snapshot) => String(snapshot.snapshotId)));
      const wrong = [...reports].filter(
        ([id, kind]) =>
          (kind === "committed" && !landed.has(id)) || (kind === "conflict" && landed.has(id)),
      );
      expect(wrong).toEqual([]);
      expect([...landed].filter((id) => !reports.has(id))).toEqual([]);
      const counts = Object.fromEntries(
        Object.entries(Object.groupBy(reports.values(), (kind) => kind)).map(([kind, all]) => [
          kind,
          all?.length ?? 0,
        ]),
      );
      console.log(`${type}: ${kills.reduce((sum, n) => sum + n, 0)} kills,`, counts);
      expect(counts["committed"]).toBeGreaterThan(100);
      await catalog.close();
    }, 300_000);
  }
});
