/**
 * Preloaded into kafka-iceberg by `latency.ts`: how old every record is, by its own timestamp, at the
 * moment when its batch is in the hot buffer. Counted in tenths of a millisecond; written at the end.
 */
import { writeFileSync } from "node:fs";
import type { RecordBatch } from "#consumer/consumer.ts";
import { Ingest } from "#pipeline/ingest.ts";

const file = process.env["LATENCY_FILE"] ?? "latency.json";
/** Records of the first moments do not count: code is being compiled. */
const warmUpMs = Number(process.env["LATENCY_WARM_UP_MS"] ?? 0);
/** Tenths of a millisecond; the last one holds everything above. */
const counts = new Uint32Array(100_000);
let firstMs = 0;

const stock = Ingest.prototype.take;
Ingest.prototype.take = function take(batch: RecordBatch): Promise<void> | undefined {
  const looking = stock.call(this, batch);
  const nowMs = performance.timeOrigin + performance.now();
  if (batch.payload === null) return looking;
  firstMs ||= batch.baseTimestampMs;
  if (batch.baseTimestampMs >= firstMs + warmUpMs) {
    count(batch.payload, batch.baseTimestampMs, nowMs);
  }
  return looking;
};

process.on("exit", () => writeFileSync(file, JSON.stringify([...counts])));

/** Records: length | attributes | timestamp delta | and what is skipped by the length. */
function count(payload: Uint8Array, baseMs: number, nowMs: number): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = payload[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  };
  while (at < payload.length) {
    const length = varint();
    const end = at + length;
    at++;
    const ageMs = nowMs - baseMs - varint();
    const bucket = Math.min(counts.length - 1, Math.max(0, Math.floor(ageMs * 10)));
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    at = end;
  }
}
