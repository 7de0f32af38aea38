/**
 * Backpressure: above the buffer's limit no partition is read, below 80 % of it they go on
 * (SPEC section 10). Fetched batches that wait in the consumer are bounded there. The whole buffer is for the time
 * when a catalog or store is away: while commits go through, less of it is used.
 *
 * Before that, at half of the limit, the fullest tables are flushed ahead of their time: the other
 * half is for what comes while they are written. Counted is the memory that rows and samples hold,
 * not the bytes of their values.
 *
 * The sum is kept as tables change (`measure`), the fullest ones in a heap.
 */
import type { Clock } from "#base/clock.ts";
import type { Observe } from "#base/events.ts";
import { Heap } from "#base/heap.ts";
import type { Sink } from "./sink.ts";
import type { Sinks } from "./sinks.ts";

/** Share of the limit below which fetching goes on. */
const RESUME_SHARE = 0.8;
/** Share of the limit from which tables are flushed ahead of time: one half is written, one fills. */
const FLUSH_SHARE = 0.5;
/**
 * Share of the limit from which a lone table is not read on while its commits go through: one half is written,
 * most of it before the flush begins (decision 0420), so that seldom more than two fifths as much come meanwhile.
 * Several tables are written one after the other, and need the room.
 */
const LONE_SHARE = 0.7;
/** How often it is looked for committed rows whose time is over. */
const EXPIRE_EVERY_MS = 250;

/** What a table held when it was looked at last. */
interface Held {
  readonly bytes: number;
  readonly lent: number;
  readonly rows: number;
}

/** The budget of one pipeline. */
export class Backpressure {
  readonly #parts: { readonly clock: Clock; readonly observe: Observe };
  readonly #sinks: Pick<Sinks, "size" | "retrying" | "flushBytes">;
  readonly #bytesMax: () => number;
  readonly #isHeld: () => boolean;
  readonly #known = new Map<Sink, Held>();
  /** Tables that could be flushed now, by their bytes, the fullest first. */
  readonly #fullest = new Heap<Sink>();
  /** Tables that keep rows which are committed, which go first when room is needed, or lend some. */
  readonly #keeping = new Set<Sink>();
  #bytes = 0;
  /** Of the bytes, what only readers hold: no flush and no eviction frees it. */
  #lent = 0;
  #rows = 0;
  /** Null: nothing is held back. What was before is told. */
  #untoldSinceMs: number | null = null;
  #expiredMs = Number.NEGATIVE_INFINITY;

  /**
   * @param bytesMax as it is now: other parts of the process may grow
   * @param isHeld true: nothing is read, whatever is held; default never
   */
  constructor(
    parts: { readonly clock: Clock; readonly observe: Observe },
    sinks: Pick<Sinks, "size" | "retrying" | "flushBytes">,
    bytesMax: () => number,
    isHeld: () => boolean = () => false,
  ) {
    this.#parts = parts;
    this.#sinks = sinks;
    this.#bytesMax = bytesMax;
    this.#isHeld = isHeld;
  }

  /** True while no partition may be read. */
  get active(): boolean {
    return this.#untoldSinceMs !== null;
  }

  /** Bytes that all tables held when they were looked at last. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes in what a table holds now. */
  measure(sink: Sink): void {
    const { buffer } = sink;
    const before = this.#known.get(sink) ?? { bytes: 0, lent: 0, rows: 0 };
    const now = { bytes: sink.heldBytes, lent: buffer.lentBytes, rows: buffer.rows };
    this.#known.set(sink, now);
    this.#bytes += now.bytes - before.bytes;
    this.#lent += now.lent - before.lent;
    this.#rows += now.rows - before.rows;
    if (buffer.isKeeping) this.#keeping.add(sink);
    else this.#keeping.delete(sink);
    if (sink.ready && buffer.waitingBytes > 0) this.#fullest.set(sink, now.lent - now.bytes);
    else this.#fullest.delete(sink);
  }

  /** Compares what is held with the limit. */
  judge(): void {
    const limit = this.#limit();
    this.#expire();
    // Rows that the table has go first, before anything is flushed early or held back for them; also where the
    // room is a long question's, which gives nothing back before its end.
    for (const sink of this.#keeping) {
      const excess = Math.max(
        this.#bytes - this.#lent - limit * FLUSH_SHARE,
        this.#bytes - limit * RESUME_SHARE,
      );
      if (excess < 0) break;
      sink.buffer.makeRoom(excess);
      this.measure(sink);
    }
    this.#parts.observe({ type: "buffer", bytes: this.#bytes, records: this.#rows });
    const share = this.active ? RESUME_SHARE : 1;
    const isFull = this.#bytes >= limit * share;
    this.#hold(
      this.#isHeld() || isFull || this.#bytes - this.#lent >= this.#rowsMax(limit) * share,
    );
  }

  /** Holds reading back, or lets it go on. The time is told while it goes on: one that does not end is to be seen. */
  #hold(isHeld: boolean): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const durationMs = nowMs - (this.#untoldSinceMs ?? nowMs);
    if (durationMs > 0) this.#parts.observe({ type: "backpressure", durationMs });
    this.#untoldSinceMs = isHeld ? nowMs : null;
  }

  /** Lets committed rows go whose time is over, and takes in what readers have given back. */
  #expire(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#expiredMs < EXPIRE_EVERY_MS) return;
    this.#expiredMs = nowMs;
    for (const sink of this.#keeping) {
      sink.buffer.expire(nowMs);
      this.measure(sink);
    }
  }

  /**
   * A table that is to be flushed before its commit is due, to make room; null: there is room, or no
   * table holds its share. Each is named once until it is measured again.
   */
  takeFullest(): Sink | null {
    const share = this.#limit() * FLUSH_SHARE;
    const top = this.#fullest.peek();
    const bytes = this.#bytes - this.#lent;
    if (bytes < share || top === undefined || -top.key < share / this.#sinks.size) return null;
    this.#fullest.delete(top.item);
    return top.item;
  }

  /** While every commit goes through, one flush in the writing and one in the filling per table are enough. */
  #limit(): number {
    const { retrying, flushBytes } = this.#sinks;
    const bytesMax = this.#bytesMax();
    if (retrying > 0 || flushBytes === 0) return bytesMax;
    return Math.min(2 * flushBytes, bytesMax);
  }

  /** Bytes of rows from where on reading is held back, whatever readers keep besides: their end is not waited for. */
  #rowsMax(limit: number): number {
    const { size, retrying } = this.#sinks;
    return size === 1 && retrying === 0 ? LONE_SHARE * limit : limit;
  }
}
