/**
 * One batch of records into the open segment of its table, and into those of the tables beside it: rows,
 * late rows, dead letters. All of it happens in one turn of the event loop, or none.
 */
import { AppError } from "#base/errors.ts";
import type { OpenSegment } from "#buffer/hotBuffer.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import type { RecordBytes, SegmentBuilder } from "#decode/decoder.ts";
import type { Outlet } from "./feeds.ts";
import {
  type DecodedBatch,
  lateRowsOf,
  lateSide,
  type PartedRows,
  partLateRows,
} from "./lateRows.ts";
import type { PipelineParts } from "./pipelineParts.ts";
import type { Rejects } from "./rejects.ts";
import type { Sinks } from "./sinks.ts";

/**
 * How a batch ended. `last`: its records were the last that their table takes, or they are read again;
 * `refused`: the schema refuses one, and that is not final. None of its rows is kept then.
 */
export type Decoded = "done" | "refused" | "last";

/** Decodes batches. */
export class Decoding {
  readonly #parts: Pick<PipelineParts, "clock" | "observe" | "logger">;
  readonly #rejects: Rejects;
  readonly #sinks: Sinks;
  /** Tables of which a line has said that they have late rows. */
  readonly #told = new Set<string>();

  constructor(
    parts: Pick<PipelineParts, "clock" | "observe" | "logger">,
    rejects: Rejects,
    sinks: Sinks,
  ) {
    this.#parts = parts;
    this.#rejects = rejects;
    this.#sinks = sinks;
  }

  /** @param isFinal nobody can be asked about a record that the schema refuses */
  take(
    outlet: Outlet,
    segment: OpenSegment<SegmentBuilder>,
    batch: RecordBatch,
    payload: Uint8Array,
    isFinal: boolean,
  ): Decoded {
    const { sink, end } = outlet;
    const { rows } = segment;
    const first = rows.rowCount;
    const bytes = decoderInput(batch, payload, end);
    try {
      const result = isFinal ? rows.decode(bytes) : rows.tryDecode(bytes);
      if (result === null) return "refused";
      return this.#sort(outlet, batch, { segment, first, bytes, result });
    } catch (error) {
      // Its rows may be there already: they would be committed, and read again from the offset in front of it.
      rows.truncate(first);
      if (!(error instanceof AppError) || error.kind !== "batch_corrupt") {
        sink.apply({ kind: "unreadable", error });
        return "last";
      }
      // Its checksum is right, and yet its records lie about their lengths.
      const corrupt = { ...batch, position: end, error };
      return this.#rejects.takeCorrupt(outlet, corrupt) === "taken" ? "done" : "last";
    }
  }

  /** What of a decoded batch is for tables beside its own. */
  #sort(outlet: Outlet, batch: RecordBatch, decoded: DecodedBatch): "done" | "last" {
    const { segment, first, result } = decoded;
    const late = lateRowsOf(outlet, segment.rows, first, this.#parts.clock.nowMs());
    const parted = this.#part(outlet, decoded, late);
    if (parted === "later") return "last";
    const takeBack = parted?.takeBack ?? ((): void => segment.rows.truncate(first));
    try {
      if (result.rejected.length > 0) {
        if (!this.#rejects.take(outlet, batch, result, takeBack)) return "last";
      } else this.#rejects.noteRows(result.rows);
      if (parted !== null) this.#keepLate(outlet, batch, parted);
    } catch (error) {
      takeBack();
      throw error;
    }
    if (result.rows > 0) this.#observeRows(outlet, segment, batch, late.length);
    return "done";
  }

  /** Late rows into their own segment; null: there are none, or they stay. `later`: they are read again. */
  #part(
    outlet: Outlet,
    decoded: DecodedBatch,
    late: readonly number[],
  ): PartedRows | "later" | null {
    const hasTable = outlet.source.lateness?.offsetColumn != null;
    if (late.length === 0 || !hasTable) return null;
    const side = lateSide(outlet);
    if (side !== null) return partLateRows(outlet, side, decoded, late);
    decoded.segment.rows.truncate(decoded.first);
    this.#rejects.beginSides(outlet);
    return "later";
  }

  #keepLate(outlet: Outlet, batch: RecordBatch, parted: PartedRows): void {
    parted.keep(batch.leaderEpoch, batch.nextOffset);
    const side = lateSide(outlet);
    if (side === null) return;
    this.#sinks.touched.add(side.sink);
    const { name } = outlet.sink;
    if (this.#told.has(name)) return;
    this.#told.add(name);
    const { topic, partition } = batch.feed;
    const sentence = `Late rows go to ${side.sink.name}, the first of ${topic}/${partition} at or behind offset ${batch.baseOffset}`;
    this.#parts.logger.log("info", sentence, { table: name, topic, partition });
  }

  #observeRows(
    outlet: Outlet,
    segment: OpenSegment<SegmentBuilder>,
    batch: RecordBatch,
    late: number,
  ): void {
    const { observe, clock } = this.#parts;
    const stampMs = batch.appendTimestampMs ?? batch.baseTimestampMs;
    segment.oldestMs = Math.min(segment.oldestMs, stampMs);
    const ageMs = clock.nowMs() - stampMs;
    observe({ type: "freshness", stage: "queryable", ageMs });
    const watermarkMs = outlet.watermark?.ms ?? null;
    if (late > 0) observe({ type: "late", records: late });
    if (watermarkMs === null) return;
    const { topic, partition } = batch.feed;
    observe({ type: "watermark", topic, partition, eventMs: watermarkMs });
  }
}

/** What an outlet's format needs before it can read a batch; null: nothing. */
export function prepare({ source, end }: Outlet, batch: RecordBatch): Promise<void> | null {
  const { payload } = batch;
  const { decoder } = source;
  if (decoder.prepare === null || payload === null) return null;
  return decoder.prepare(decoderInput(batch, payload, end));
}

/** True when no newer schema can be asked about a refused record: the batch is decoded once then. */
export function isJudgedByNewest({ sink, source }: Outlet, { arrivedMs }: RecordBatch): boolean {
  return source.decoder.prepare === null && sink.hasSchemaOf(arrivedMs);
}

/** What a decoder is given of a batch, from an offset on; member by member, since every batch makes one. */
export function decoderInput(
  batch: RecordBatch,
  payload: Uint8Array,
  wantedOffset: bigint,
): RecordBytes {
  const { feed, baseOffset, recordCount, baseTimestampMs, appendTimestampMs } = batch;
  return {
    topic: feed.topic,
    partition: feed.partition,
    wantedOffset,
    baseOffset,
    recordCount,
    payload,
    baseTimestampMs,
    appendTimestampMs,
  };
}
