/** Closed segments of a simulated process, which may be written before their commit is due. */
import type { SealedSegment } from "#writer/parts.ts";

/** A closed segment; its memory is used for something else when it is neither held nor wanted any more. */
export class ClosedSegment {
  readonly segment: SealedSegment;
  #isHeld = true;
  #isWanted = true;

  constructor(segment: SealedSegment) {
    this.segment = segment;
  }

  /** To be called when nothing ahead of the flush reads it any more. */
  readonly release = (): void => {
    this.#isHeld = false;
    this.#overwrite();
  };

  /** Its feed is sought anew, or taken away. */
  drop(): void {
    this.#isWanted = false;
    this.#overwrite();
  }

  #overwrite(): void {
    if (this.#isHeld || this.#isWanted) return;
    for (const { data } of this.segment.batch?.columns ?? []) data?.fill(0xff);
  }
}
