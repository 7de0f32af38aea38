/**
 * How many files of commits a process writes anew at once (`copyOnWrite.ts`), over all its tables: each takes the memory of a
 * process of its own, and scratch files. Who comes first is served first, so that a large one is not overtaken for ever.
 */
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";

/** Sets room aside for scratch files; null: there is none now. */
type Reserve = (bytes: number) => (() => void) | null;

/** What is written anew at the same time. */
export class CopySlots {
  readonly #reserve: Reserve;
  #free: number = LIMITS.copiesAtOnce;
  /** Resolves when all that came before have begun. */
  #last: Promise<void> = Promise.resolve();
  #ended: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(reserve: Reserve) {
    this.#reserve = reserve;
  }

  /**
   * Does `work` as soon as it may.
   * @param bytes of its scratch files
   * @param beside `none`: nothing else is written anew meanwhile
   * @throws AppError `storage_full` where they have no room and nothing is under way that will give some back; what
   * `work` throws
   */
  async run<T>(
    bytes: number,
    work: () => Promise<T>,
    beside: "others" | "none" = "others",
  ): Promise<T> {
    const slots = beside === "none" ? LIMITS.copiesAtOnce : 1;
    const release = await this.#begin(bytes, slots);
    try {
      return await work();
    } finally {
      release();
      this.#free += slots;
      this.#ended.resolve();
      this.#ended = Promise.withResolvers();
    }
  }

  async #begin(bytes: number, slots: number): Promise<() => void> {
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = turn.promise;
    await before;
    try {
      for (;;) {
        const release = this.#free < slots ? null : this.#reserve(bytes);
        if (release !== null) {
          this.#free -= slots;
          return release;
        }
        if (this.#free === LIMITS.copiesAtOnce) throw fail("storage_full", noRoom(bytes));
        await this.#ended.promise;
      }
    } finally {
      turn.resolve();
    }
  }
}

function noRoom(bytes: number): string {
  const mib = Math.ceil(bytes / 1024 / 1024);
  return `Files cannot be written anew: ${mib} MiB of them on their way would not be within state.max_disk_mb. Set a higher bound`;
}
