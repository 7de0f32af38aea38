/**
 * Appends bytes to the newest segment and keeps it whole: what a failed write left behind is cut
 * off before anything else is written (SPEC section 10: "disk full, log not writable").
 *
 * After a failed sync the kernel may have dropped what it could not write, and a further sync of
 * the same file would say nothing about it; so such a segment is left and a new one begun.
 */
import { type Disk, type DiskFile, diskError, onDisk } from "#base/disk.ts";
import { encodeSegmentHeader } from "./frames.ts";
import { type Segment, segmentPath } from "./segments.ts";

/** Writes one segment after the other; one call at a time. */
export class Appender {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #segmentBytes: number;
  /** Whether a segment is synced before the next one begins. */
  readonly #syncs: boolean;
  #file: DiskFile | null = null;
  #segment: Segment;
  /** End of the last whole frame, in bytes. */
  #position = 0;
  /** Bytes may stand after `#position`. */
  #isDirty = false;
  /** A sync of the segment failed, or has not ended. */
  #isSuspect = false;
  #nextNumber: number;

  /**
   * Goes on at `position` of `last`, or begins a segment after it at the first append.
   * @param position end of the last whole frame; null to begin a new segment
   */
  static async open(
    disk: Disk,
    options: { dir: string; segmentBytes: number; syncs: boolean },
    last: Segment,
    position: number | null,
  ): Promise<Appender> {
    const appender = new Appender(disk, options, last);
    if (position !== null) {
      appender.#file = await onDisk("open", last.path, () => disk.open(last.path, "write"));
      appender.#position = position;
    }
    return appender;
  }

  private constructor(
    disk: Disk,
    options: { dir: string; segmentBytes: number; syncs: boolean },
    last: Segment,
  ) {
    this.#disk = disk;
    this.#dir = options.dir;
    this.#segmentBytes = options.segmentBytes;
    this.#syncs = options.syncs;
    this.#segment = last;
    this.#nextNumber = last.number + 1;
  }

  /** The newest segment. */
  get segment(): Segment {
    return this.#segment;
  }

  /**
   * Appends whole frames; after an error none of them is in the log.
   * @param firstSequence of the frames, for the header of a new segment
   */
  async append(frames: Uint8Array, firstSequence: bigint, sync: boolean): Promise<void> {
    if (this.#isDirty) await this.#cut();
    let file = this.#file;
    if (file === null || this.#isSuspect || this.#position >= this.#segmentBytes)
      file = await this.#beginSegment(firstSequence);
    this.#isDirty = true;
    try {
      await file.write(frames, this.#position);
      if (sync) await this.#sync(file);
      this.#position += frames.length;
      this.#isDirty = false;
    } catch (error) {
      await this.#cut().catch(() => undefined);
      throw diskError(error, "append to", this.#segment.path);
    }
  }

  /** Syncs, unless the policy is never to sync, and closes the segment. */
  async close(): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    if (this.#isDirty) await this.#cut();
    await onDisk("close", this.#segment.path, async () => {
      if (this.#syncs) await file.sync();
      await file.close();
    });
    this.#file = null;
  }

  async #sync(file: DiskFile): Promise<void> {
    this.#isSuspect = true;
    await file.sync();
    this.#isSuspect = false;
  }

  async #cut(): Promise<void> {
    await onDisk("repair", this.#segment.path, async () => {
      await this.#file?.truncate(this.#position);
    });
    this.#isDirty = false;
  }

  /** Every try takes a new number, so that the leavings of a failed one are not in the way. */
  async #beginSegment(firstSequence: bigint): Promise<DiskFile> {
    const before = this.#file;
    if (before !== null && this.#syncs && !this.#isSuspect)
      await onDisk("sync", this.#segment.path, () => this.#sync(before));
    const number = this.#nextNumber++;
    const segment = { number, path: segmentPath(this.#dir, number) };
    const header = encodeSegmentHeader(firstSequence);
    const file = await onDisk("create", segment.path, async () => {
      const created = await this.#disk.create(segment.path);
      try {
        await created.write(header, 0);
        if (this.#syncs) await created.sync();
        if (this.#syncs) await this.#disk.syncDir(this.#dir);
        return created;
      } catch (error) {
        await created.close();
        await this.#disk.unlink(segment.path).catch(() => undefined);
        throw error;
      }
    });
    this.#file = file;
    this.#segment = segment;
    this.#position = header.length;
    this.#isSuspect = false;
    await before?.close();
    return file;
  }
}
