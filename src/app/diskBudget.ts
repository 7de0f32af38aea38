/**
 * `state.max_disk_mb`: what the process's own folders may take. At the bound the disk counts as full (SPEC section 10):
 * nothing is read from Kafka until there is room again, and runs that need scratch files are not begun.
 *
 * What grows there by itself is the log, which keeps to half of the bound (`config/buildProcess.ts`), and
 * key indexes, by the keys that tables have.
 */
import type { Clock } from "#base/clock.ts";
import type { Disk } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { folderSizes } from "./probes.ts";

/** Room on disk, as those see it who ask for some. */
export interface DiskRoom {
  /** True from the bound on, until there is some room again. */
  readonly isFull: boolean;
  /**
   * Sets room aside for files that are about to be written.
   * @returns gives it back, called once when they are gone; null: so many bytes more are not within the bound
   */
  reserve(bytes: number): (() => void) | null;
}

/** Room without a bound. */
export const BOUNDLESS: DiskRoom = { isFull: false, reserve: () => () => undefined };

const EVERY_MS = 10_000;
/** Share of the bound below which the disk is no longer full. */
const RESUME_SHARE = 0.95;
const MIB = 1024 * 1024;

/** The bound, and how much of it is taken. */
export class DiskBudget implements DiskRoom {
  readonly #parts: { readonly clock: Clock; readonly disk: Disk; readonly logger: Logger };
  readonly #folders: readonly string[];
  readonly #bytesMax: number;
  #bytes = 0;
  /** Set aside: what of it is written already counts twice, which errs on the side of room. */
  #reserved = 0;
  #isFull = false;

  /** @param bytesMax of all folders together */
  constructor(
    parts: { readonly clock: Clock; readonly disk: Disk; readonly logger: Logger },
    folders: readonly string[],
    bytesMax: number,
  ) {
    this.#parts = parts;
    this.#folders = folders;
    this.#bytesMax = bytesMax;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** Why nothing is read; null while there is room. */
  get trouble(): unknown {
    if (!this.#isFull) return null;
    const [used, max] = [this.#bytes, this.#bytesMax].map((bytes) => Math.ceil(bytes / MIB));
    return fail(
      "storage_full",
      `${this.#folders.join(" and ")} take ${used} MiB, state.max_disk_mb is ${max}: nothing is read ` +
        "until there is room. Set a higher bound, or a shorter transaction_log.retention_days",
    );
  }

  reserve(bytes: number): (() => void) | null {
    if (this.#bytes + this.#reserved + bytes > this.#bytesMax) return null;
    this.#reserved += bytes;
    return () => {
      this.#reserved -= bytes;
    };
  }

  /** Looks once. */
  async look(): Promise<void> {
    const { disk, logger } = this.#parts;
    this.#bytes = await folderSizes(disk, this.#folders);
    const was = this.#isFull;
    this.#isFull = this.#bytes >= this.#bytesMax * (was ? RESUME_SHARE : 1);
    if (was === this.#isFull) return;
    const context = { bytes: this.#bytes, bytes_max: this.#bytesMax };
    if (was) logger.log("info", "The state directory has room again", context);
    else logger.log("warn", "The state directory has reached its bound", context);
  }

  /** Looks every 10 s until `signal`. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look();
      await this.#parts.clock.sleep(EVERY_MS, signal);
    }
  }
}
