/**
 * What is told of a table's commits: a log line for each, how old the rows were, how large the
 * metadata has become, and the figures that `/status` shows.
 */
import { type FeedOffset, feedKey } from "#base/offsets.ts";
import type { SealedRows } from "#buffer/segment.ts";
import type { LoadedTable, TableName } from "#catalog/catalog.ts";
import { fullName, namespaceText } from "#catalog/names.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { AppendResult } from "#commit/shares.ts";
import type { WriterParts } from "#writer/parts.ts";
import type { SealedFlush } from "./states.ts";

/** How often the size of the metadata is looked at. */
const MEASURE_MS = 60_000;

/** Figures of one table's commits. */
export class FlushReport {
  rowsCommitted = 0;
  /** UTC ms. */
  lastCommitMs: number | null = null;
  lastSnapshotId: bigint | null = null;
  readonly #name: TableName;
  readonly #where: { readonly database: string; readonly table: string };
  readonly #parts: WriterParts;
  #measuredMs = Number.NEGATIVE_INFINITY;

  constructor(name: TableName, parts: WriterParts) {
    this.#name = name;
    this.#where = { database: namespaceText(name.namespace), table: name.table };
    this.#parts = parts;
  }

  /** Notes in the log what a flush begins with. */
  async sealed(segments: readonly SealedRows[]): Promise<void> {
    const sum = (of: (batch: ColumnBatch) => number): number =>
      segments.reduce((total, { batch }) => total + (batch === null ? 0 : of(batch)), 0);
    await this.#parts.txlog.append({
      type: "BufferSnapshot",
      record_count: sum((batch) => batch.rowCount),
      size_bytes: sum((batch) => batch.byteCount),
    });
  }

  /** Takes a commit; its segments must not have been recycled yet. */
  committed(
    { flush, segments }: SealedFlush,
    result: AppendResult & { readonly kind: "committed" },
    durationMs: number,
    seen: LoadedTable | null,
  ): void {
    const { clock, logger, catalog } = this.#parts;
    const rows = committedRows(segments, result.offsets);
    this.rowsCommitted += rows;
    this.lastCommitMs = clock.nowMs();
    this.lastSnapshotId = result.snapshotId;
    this.#observeAges(segments);
    this.#measure(seen);
    logger.log("info", "Flush committed", {
      trace_id: flush.ledger.commitId.replaceAll("-", ""),
      database: namespaceText(this.#name.namespace),
      table: fullName(this.#name),
      catalog_type: catalog.traits.type,
      committed_at: new Date(this.lastCommitMs).toISOString(),
      records_flushed: rows,
      duration_ms: Math.round(durationMs),
      iceberg_snapshot_id: result.snapshotId,
      files_added: result.fileCount,
      kafka_offset_range: rangesOf(segments),
    });
  }

  /** The outcome of a flush as a whole; each attempt's own is observed where it is sent. */
  ended(outcome: "fenced" | "failed", durationMs: number): void {
    const { clock, observe } = this.#parts;
    const atMs = clock.nowMs();
    observe({ type: "commit", ...this.#where, outcome, data: true, durationMs, atMs });
  }

  /** How old the rows were when they were committed. */
  #observeAges(segments: readonly SealedRows[]): void {
    const { clock, observe } = this.#parts;
    for (const { oldestMs } of segments) {
      if (!Number.isFinite(oldestMs)) continue;
      observe({ type: "freshness", stage: "committed", ageMs: clock.nowMs() - oldestMs });
    }
  }

  /** How large the table's metadata is by now. */
  #measure(seen: LoadedTable | null): void {
    const { clock, observe } = this.#parts;
    const now = clock.monotonicMs();
    if (seen === null || now - this.#measuredMs < MEASURE_MS) return;
    this.#measuredMs = now;
    const measure = async (): Promise<void> => {
      const bytes = (await seen.storage.head(seen.metadataLocation))?.bytes ?? 0;
      const snapshots = seen.metadata.snapshots.length;
      observe({ type: "table_state", ...this.#where, snapshots, metadataBytes: bytes });
    };
    // A gauge only: the next measurement comes in a minute.
    void measure().catch(() => undefined);
  }
}

function committedRows(segments: readonly SealedRows[], offsets: readonly FeedOffset[]): number {
  const landed = new Set(offsets.map(({ feed }) => feedKey(feed)));
  return segments
    .filter((segment) => landed.has(feedKey(segment.range.feed)))
    .reduce((sum, segment) => sum + (segment.batch?.rowCount ?? 0), 0);
}

function rangesOf(segments: readonly SealedRows[]): Record<string, string> {
  const ranges: Record<string, string> = {};
  for (const { range } of segments) {
    const key = `${range.feed.topic}/${range.feed.partition}`;
    const start = ranges[key]?.split("-")[0] ?? String(range.start);
    ranges[key] = `${start}-${range.end - 1n}`;
  }
  return ranges;
}
