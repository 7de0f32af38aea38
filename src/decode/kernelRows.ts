/**
 * Rows by the kernel, batch by batch, with the host's rows in between: the kernel stops in front of
 * each record that it does not take, `RowAppender` judges that one, and the kernel goes on behind it.
 * The order of rows and every result are those of `RowAppender` alone.
 *
 * The rows of a batch may wait in the kernel for those of the next ones, since copying them out costs
 * by the time as much as by the row: they are counted, but not in the columns before `flush`. Whatever
 * looks at the columns flushes first; so do a row of the host's and a batch of another segment.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { RecordBytes } from "./decoder.ts";
import type { RecordJudge } from "./judge.ts";
import { flatColumns, type Image } from "./kernel/image.ts";
import { type DecodeKernel, decodeKernel, type RowsOwner } from "./kernel/kernel.ts";
import { RecordCursor } from "./records.ts";
import type { BatchResult, RowAppender } from "./rows.ts";

/** Rows of the host's in a batch after which it does the rest of it: each costs some microseconds. */
const STOPS_MAX = 16;
/** Records of a batch below which the host is faster: the kernel costs some microseconds a batch. */
const RECORDS_MIN = 24;
/** Batches that the host does alone after one that the kernel could not do. */
const BATCHES_ALONE = 16;
/** Bytes of records whose rows may wait. */
const ENOUGH_BYTES = 256 * 1024;

/** Appends batches to the columns of a segment. */
export class KernelRows implements RowsOwner {
  /** False: the rows of a batch are in the columns when it ends, since somebody reads them. */
  mayWait = true;
  private readonly host: RowAppender;
  private readonly image: Image;
  private readonly columns: readonly ColumnBuilder[];
  private readonly kernel: DecodeKernel = decodeKernel();
  private readonly stopsMax: number;
  private readonly recordsMin: number;
  private readonly markers: readonly Buffer[];
  private readonly hasHeaders: boolean;
  private readonly judge: RecordJudge | null;
  /** The last record that the kernel has left was refused: the next one probably is as well. */
  private isJudged = true;
  private alone = 0;
  /** Bytes of records whose rows were not taken out yet. */
  private recordBytes = 0;

  /**
   * @param judge of segments of these columns; null: there is none
   * @param always the kernel is asked for every record, however often it stops
   */
  constructor(host: RowAppender, image: Image, judge: RecordJudge | null, always: boolean) {
    this.judge = judge;
    this.stopsMax = always ? Number.POSITIVE_INFINITY : STOPS_MAX;
    this.recordsMin = always ? 0 : RECORDS_MIN;
    this.host = host;
    this.image = image;
    this.columns = flatColumns(host.kernelColumns);
    this.markers = image.hostMarkers;
    // The host appends headers at once, whose columns would be longer than the others.
    this.hasHeaders = host.metadata.hasHeaders;
    this.mayWait = !this.hasHeaders;
  }

  /** Decodes every record of a batch. */
  appendAll(batch: RecordBytes, result: BatchResult): void {
    if (this.alone > 0 || batch.recordCount < this.recordsMin || this.isHosts(batch)) {
      if (this.alone > 0) this.alone--;
      this.host.hasTouched = true;
      this.flush();
      this.host.appendAll(batch, result);
      return;
    }
    this.appendByKernel(batch, result);
    // Another batch like this one would not fit.
    const next = this.waitingBytes + batch.payload.length;
    if (!this.mayWait || next > ENOUGH_BYTES) this.flush();
  }

  private appendByKernel(batch: RecordBytes, result: BatchResult): void {
    const { host, kernel } = this;
    const cursor = new RecordCursor(batch);
    host.metadata.start(batch);
    const wantedDelta = Number(batch.wantedOffset - batch.baseOffset);
    kernel.begin(this, this.image, batch, wantedDelta);
    this.recordBytes = this.waitingBytes + batch.payload.length;
    for (let stops = 0; ; ) {
      const end = kernel.step(this.columns);
      this.takeRows(cursor, wantedDelta, result);
      if (end === "done") return;
      if (end === "again") {
        this.takeOut(batch, cursor);
        continue;
      }
      const verdict =
        this.refuseNext(batch, cursor, result) ?? this.judgeNext(batch, cursor, result);
      if (verdict === "last") return;
      if (verdict === "noted") continue;
      this.takeOut(batch, cursor);
      if (++stops > this.stopsMax && stops > result.rows >> 3) {
        this.alone = BATCHES_ALONE;
        host.appendRest(batch, cursor, result);
        return;
      }
      const { length } = result.rejected;
      if (!host.appendNext(batch, cursor, result)) return;
      this.isJudged = result.rejected.length > length;
      kernel.moveTo(cursor.nextPosition, cursor.left);
    }
  }

  /** Refuses the record that the kernel has left, where the kernel says why; null: it does not. */
  private refuseNext(
    batch: RecordBytes,
    cursor: RecordCursor,
    result: BatchResult,
  ): "noted" | "last" | null {
    const { host, kernel } = this;
    const refusal = kernel.refusal(host.isEvolving);
    if (refusal === null) return null;
    cursor.seek(kernel.position, kernel.left);
    if (!host.refuseNext(batch, cursor, result, refusal)) return "last";
    kernel.moveTo(cursor.nextPosition, cursor.left);
    return "noted";
  }

  /** Judges the record that the kernel has left. `row`: it is for the host, in the columns. */
  private judgeNext(
    batch: RecordBytes,
    cursor: RecordCursor,
    result: BatchResult,
  ): "row" | "noted" | "last" {
    const { host, kernel, judge } = this;
    if (judge === null || !this.isJudged) return "row";
    cursor.seek(kernel.position, kernel.left);
    const verdict = judge.judge(batch, host, cursor, result);
    if (verdict === "noted") kernel.moveTo(cursor.nextPosition, cursor.left);
    return verdict;
  }

  /** Takes the rows out before the host goes on in the columns, at the record that the kernel stands at. */
  private takeOut(batch: RecordBytes, cursor: RecordCursor): void {
    const { host, kernel } = this;
    host.hasTouched = true;
    this.flush();
    this.recordBytes = batch.payload.length - kernel.position;
    cursor.seek(kernel.position, kernel.left);
  }

  /** Brings rows that wait in the kernel behind those of the columns. When that fails they wait on. */
  flush(): void {
    const { host, kernel } = this;
    if (kernel.owner !== this || kernel.waiting === 0) return;
    host.hasTouched = true;
    const { count } = host;
    const { waiting } = kernel;
    try {
      kernel.appendTo(this.columns);
    } catch (error) {
      host.truncate(count - waiting);
      host.count = count;
      throw error;
    }
    this.recordBytes = 0;
  }

  /**
   * Bytes of the records whose rows wait: about what these will take, less where columns are many and
   * records short. A segment counts them, and is measured again until they are in its columns.
   */
  get waitingBytes(): number {
    const { owner, waiting } = this.kernel;
    return owner === this && waiting > 0 ? this.recordBytes : 0;
  }

  /** Takes back all rows from `count` on. Needs no memory, so that it cannot fail. */
  truncate(count: number): void {
    const { host, kernel } = this;
    if (kernel.owner === this && kernel.waiting > 0) {
      kernel.takeBack(Math.max(0, kernel.waiting - (host.count - count)));
    }
    host.truncate(count);
  }

  private isHosts({ payload }: RecordBytes): boolean {
    if (this.markers.length === 0) return false;
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    return this.markers.some((marker) => bytes.includes(marker));
  }

  /** The rows of the last step; the cursor is where it began. */
  private takeRows(cursor: RecordCursor, wantedDelta: number, result: BatchResult): void {
    const { host, kernel } = this;
    result.skipped += kernel.skipped;
    if (kernel.rows === 0) return;
    if (this.hasHeaders) this.takeHeaders(cursor, wantedDelta);
    host.count += kernel.rows;
    result.rows += kernel.rows;
    result.timestampMsMax = Math.max(result.timestampMsMax, kernel.timestampMsMax);
  }

  private takeHeaders(cursor: RecordCursor, wantedDelta: number): void {
    while (cursor.nextPosition < this.kernel.position) {
      cursor.next();
      if (cursor.offsetDelta >= wantedDelta) this.host.metadata.appendHeaders(cursor);
    }
  }
}
