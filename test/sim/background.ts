/**
 * A process beside the writers that makes runs of its own, as `maintenance` and `run` do: it begins
 * whenever it likes, its store and its catalog fail as everybody's do, and it dies at any moment.
 */
import { AppError } from "#base/errors.ts";
import type { WriterParts } from "#writer/parts.ts";
import { MemoryLog, partsOf, worldClock } from "./process.ts";
import type { World } from "./world.ts";

/** Errors with which a run may end: it is begun again some other time. */
const EXPECTED = [
  ...["catalog_unreachable", "catalog_refused", "storage_unreachable", "storage_missing"],
  ...["storage_full", "usage", "progress", "table_gone"],
];

/** One run; `alive` false: it is dead, and nobody looks at its end. */
export type Run = (parts: WriterParts, alive: () => boolean) => Promise<void>;

/** At most one run is under way. */
export class Background {
  readonly world: World;
  readonly name: string;
  readonly violations: string[] = [];
  readonly #log = new MemoryLog();
  readonly #keepsLog: boolean;
  #incarnation = 0;
  #isBusy = false;
  #wake: (() => void) | null = null;
  #arrived: () => void = () => undefined;

  /** @param keepsLog whether its transaction log survives it, whole */
  constructor(world: World, name: string, keepsLog: boolean) {
    this.world = world;
    this.name = name;
    this.#keepsLog = keepsLog;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Goes on with a run that waits; else begins one. */
  async goOn(run: Run): Promise<void> {
    const wake = this.#wake;
    this.#wake = null;
    if (wake !== null) await this.untilQuiet(wake);
    else if (!this.#isBusy) await this.untilQuiet(() => this.#begin(run));
  }

  /** Its memory is lost. */
  crash(): void {
    if (!this.#isBusy) return;
    this.world.say(`${this.name} crashes`);
    this.#incarnation++;
    this.#isBusy = false;
    this.#wake = null;
    for (const request of this.world.pending) {
      if (request.writer === this.name) request.answer = null;
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
    const waits = this.world.pending.some((each) => each.writer === this.name && each.answer);
    return !this.#isBusy || this.#wake !== null || waits;
  }

  #begin(run: Run): void {
    const { world } = this;
    const mine = ++this.#incarnation;
    const alive = (): boolean => this.#incarnation === mine;
    this.#isBusy = true;
    const end = (): void => {
      if (alive()) this.#isBusy = false;
      this.#arrived();
    };
    const failed = (error: unknown): void => {
      const isExpected = error instanceof AppError && EXPECTED.includes(error.kind);
      if (!isExpected) this.violations.push(`${this.name} failed: ${error}`);
      world.say(`${this.name} ends with an error: ${error}`);
      end();
    };
    const log = this.#log.reopen((count) => (this.#keepsLog ? count : 0));
    const clock = worldClock(world, alive, (wake) => {
      this.#wake = wake;
      this.#arrived();
    });
    run(partsOf(world, this.name, log, alive, clock), alive).then(end, failed);
  }
}
