/**
 * A process that maintains the table, as `maintenance` and `run` do: it expires snapshots and removes
 * orphans.
 */
import { CommitTable } from "#commit/commitTable.ts";
import type { ExpiryPolicy } from "#iceberg/metadata/expiry.ts";
import { expireSnapshots } from "#maintenance/expire.ts";
import { removeOrphans } from "#maintenance/orphans.ts";
import type { RunOptions } from "#maintenance/run.ts";
import type { WriterParts } from "#writer/parts.ts";
import { Background } from "./background.ts";
import { COORDINATES } from "./rows.ts";
import { MAINTAINER, NAME, type World } from "./world.ts";

const OPTIONS: RunOptions = {
  isDry: false,
  onProgress: () => undefined,
  stop: new AbortController().signal,
};

/** Maintains one table. */
export class Maintainer extends Background {
  readonly #policy: ExpiryPolicy;

  constructor(world: World) {
    super(world, MAINTAINER, false);
    this.#policy = {
      keepAllMs: world.pick([0, 0, 3000]),
      retentionMs: world.pick([0, 5000, 40_000]),
      snapshotsMax: world.pick([1, 4, 1000]),
    };
  }

  /** Begins a run, goes on with one that waits, or dies. */
  async act(): Promise<void> {
    if (this.world.random.unit() < 0.1) this.crash();
    await this.goOn((parts, alive) => this.#run(parts, alive));
  }

  async #run(parts: WriterParts, alive: () => boolean): Promise<void> {
    const { world } = this;
    const { orphanAgeMs } = world;
    const head = await parts.catalog.load(NAME);
    if (head === null) return;
    const table = new CommitTable(
      parts,
      {
        ...{ name: NAME, branch: "main", group: "g", coordinates: COORDINATES },
        ...{ commitRetriesMax: 2, filesAgeMsMax: world.filesAgeMsMax, thinning: null },
      },
      head,
    );
    if (orphanAgeMs !== null && world.random.unit() < 0.4) {
      await this.#removeOrphans(table, orphanAgeMs, alive);
    } else await this.#expire(table, alive);
  }

  async #removeOrphans(table: CommitTable, ageMsMin: number, alive: () => boolean): Promise<void> {
    const { world } = this;
    const olderThanMs = world.nowMs - ageMsMin;
    const { files } = await removeOrphans(table, { ...OPTIONS, ageMsMin, isForced: true });
    if (!alive()) return;
    world.say(`the maintainer has removed ${files} orphans`);
    this.violations.push(...(await world.law.expiry.orphansLeft(olderThanMs)));
  }

  async #expire(table: CommitTable, alive: () => boolean): Promise<void> {
    const { world } = this;
    world.law.expiry.begin(this.#policy);
    world.say("the maintainer begins to expire");
    const report = await expireSnapshots(table, this.#policy, OPTIONS);
    if (!alive()) return;
    world.say(`the maintainer has expired ${report.snapshots} snapshots`);
    this.violations.push(...(await world.law.expiry.ended()));
  }
}
