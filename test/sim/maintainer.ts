/**
 * A process that maintains the table, as `maintenance` and `run` do: it begins whenever it likes, its
 * store and its catalog fail as everybody's do, and it dies at any moment.
 */
import { AppError } from "#base/errors.ts";
import { CommitTable } from "#commit/commitTable.ts";
import type { ExpiryPolicy } from "#iceberg/metadata/expiry.ts";
import { expireSnapshots } from "#maintenance/expire.ts";
import { removeOrphans } from "#maintenance/orphans.ts";
import type { RunOptions } from "#maintenance/run.ts";
import { MemoryLog, partsOf, worldClock } from "./process.ts";
import { COORDINATES } from "./rows.ts";
import { MAINTAINER, NAME, type World } from "./world.ts";

const OPTIONS: RunOptions = {
  isDry: false,
  onProgress: () => undefined,
  stop: new AbortController().signal,
};

/** Errors with which a run may end: it is begun again some other time. */
const EXPECTED = [
  ...["catalog_unreachable", "catalog_refused", "storage_unreachable", "storage_missing"],
  ...["usage", "progress", "table_gone"],
];

/** Maintains one table; at most one run is under way. */
export class Maintainer {
  readonly world: World;
  readonly #log = new MemoryLog();
  readonly #policy: ExpiryPolicy;
  #incarnation = 0;
  #isBusy = false;
  #wake: (() => void) | null = null;
  #arrived: () => void = () => undefined;
  readonly violations: string[] = [];

  constructor(world: World) {
    this.world = world;
    this.#policy = {
      keepAllMs: world.pick([0, 0, 3000]),
      retentionMs: world.pick([0, 5000, 40_000]),
      snapshotsMax: world.pick([1, 4, 1000]),
    };
  }

  /** Begins a run, goes on with one that waits, or dies. */
  async act(): Promise<void> {
    const { world } = this;
    if (world.random.unit() < 0.1) this.crash();
    const wake = this.#wake;
    this.#wake = null;
    if (wake !== null) await this.untilQuiet(wake);
    else if (!this.#isBusy) await this.untilQuiet(() => this.#begin());
  }

  /** Memory and log are lost. */
  crash(): void {
    if (!this.#isBusy) return;
    this.world.say("the maintainer crashes");
    this.#incarnation++;
    this.#isBusy = false;
    this.#wake = null;
    for (const request of this.world.pending) {
      if (request.writer === MAINTAINER) request.answer = null;
    }
  }

  /** A request arrived at the catalog; it may be ours. */
  arrived(): void {
    this.#arrived();
  }

  /** Does `begin`, and waits until the run ends, sleeps, or waits for the catalog. */
  async untilQuiet(begin: () => void): Promise<void> {
    for (let action = begin; ; action = () => undefined) {
      const step = Promise.withResolvers<void>();
      this.#arrived = () => step.resolve();
      action();
      if (this.#isQuiet()) return;
      await step.promise;
      if (this.#isQuiet()) return;
    }
  }

  #isQuiet(): boolean {
    const waits = this.world.pending.some((each) => each.writer === MAINTAINER && each.answer);
    return !this.#isBusy || this.#wake !== null || waits;
  }

  #begin(): void {
    const { world } = this;
    const mine = ++this.#incarnation;
    this.#isBusy = true;
    const end = (): void => {
      if (this.#incarnation === mine) this.#isBusy = false;
      this.#arrived();
    };
    const failed = (error: unknown): void => {
      const isExpected = error instanceof AppError && EXPECTED.includes(error.kind);
      if (!isExpected) this.violations.push(`the maintainer failed: ${error}`);
      world.say(`the maintainer ends with an error: ${error}`);
      end();
    };
    this.#run(() => this.#incarnation === mine).then(end, failed);
  }

  async #run(alive: () => boolean): Promise<void> {
    const { world } = this;
    const { orphanAgeMs } = world;
    const log = this.#log.reopen(() => 0);
    const clock = worldClock(world, alive, (wake) => {
      this.#wake = wake;
      this.#arrived();
    });
    const parts = partsOf(world, MAINTAINER, log, alive, clock);
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
