/**
 * Messages with columns of their own types: their bytes into those columns (`wellKnown.ts`).
 *
 * A field that comes twice counts as it came last. A value outside of its type's range is refused.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { appendInstant, daysOf } from "#decode/json/values.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { jsonText } from "./jsonText.ts";
import { type Scalar, scalarWire, WIRE } from "./model.ts";
import { appendScalar, integerOf, readScalar, settle } from "./scalars.ts";
import type { WellKnown } from "./wellKnown.ts";
import type { WireFault, WireReader } from "./wire.ts";

const SECOND_NANOS = 1_000_000_000n;
/** 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z (`timestamp.proto`). */
const TIMESTAMP_SECONDS = [-62_135_596_800n, 253_402_300_799n] as const;
/** 10,000 years (`duration.proto`). */
const DURATION_SECONDS_MAX = 315_576_000_000n;

const encoder = new TextEncoder();

/**
 * Appends the message in `[at, end)` of the reader's bytes; null, or why it is refused. The reader is
 * left at the end.
 */
export function appendWellKnown(
  wire: WireReader,
  special: WellKnown,
  column: ColumnBuilder,
): RejectReason | null {
  switch (special.kind) {
    case "wrapper":
      return appendWrapped(wire, special.scalar, column);
    case "json": {
      const text = jsonText(wire, special.form);
      if (text.fault !== null) return text.fault;
      const bytes = encoder.encode(text.json);
      column.appendBytes(bytes, 0, bytes.length);
      return null;
    }
    case "empty": {
      const fault = passOver(wire);
      if (fault === null) column.appendBoolean(true);
      return fault;
    }
    default: {
      const numbers = readNumbers(
        wire,
        special.kind === "timestamp" || special.kind === "duration",
      );
      if (typeof numbers === "string") return numbers;
      return APPEND[special.kind](numbers, column) ? null : "type_conflict";
    }
  }
}

/** Fields 1 to 4, as they came last. */
type Numbers = readonly [bigint, bigint, bigint, bigint];

function readNumbers(wire: WireReader, isLong: boolean): Numbers | RejectReason {
  const numbers: [bigint, bigint, bigint, bigint] = [0n, 0n, 0n, 0n];
  let fits = true;
  while (wire.at < wire.end) {
    if (!wire.tag()) return wire.fault;
    const { number } = wire;
    const isNumber = wire.wire === WIRE.varint;
    if (!wire.skip(0)) return wire.fault;
    if (number > numbers.length) continue;
    fits &&= isNumber && settle(wire, isLong && number === 1 ? "int64" : "int32");
    numbers[number - 1] = integerOf(wire, false);
  }
  return fits ? numbers : "type_conflict";
}

const APPEND = {
  timestamp: ([seconds, nanos]: Numbers, column: ColumnBuilder): boolean => {
    const [least, most] = TIMESTAMP_SECONDS;
    if (seconds < least || seconds > most || nanos < 0n || nanos >= SECOND_NANOS) return false;
    const unit = column.field.type.kind === "timestamp_ns" ? 1n : 1000n;
    return appendInstant(seconds * SECOND_NANOS + nanos, unit, column);
  },
  duration: ([seconds, nanos]: Numbers, column: ColumnBuilder): boolean => {
    const { type } = column.field;
    const isFar = seconds > DURATION_SECONDS_MAX || seconds < -DURATION_SECONDS_MAX;
    if (isFar || nanos >= SECOND_NANOS || nanos <= -SECOND_NANOS || seconds * nanos < 0n)
      return false;
    const total = seconds * SECOND_NANOS + nanos;
    const most = 10n ** BigInt(type.kind === "decimal" ? type.precision : 0);
    if (total >= most || total <= -most) return false;
    column.appendBigInt(total);
    return true;
  },
  date: ([year, month, day]: Numbers, column: ColumnBuilder): boolean => {
    const digits = (value: bigint, count: number): string => String(value).padStart(count, "0");
    const days =
      year < 1n ? null : daysOf(`${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}`);
    if (days === null) return false;
    column.appendInt(days);
    return true;
  },
  time: ([hours, minutes, seconds, nanos]: Numbers, column: ColumnBuilder): boolean => {
    const isIn = (value: bigint, most: bigint): boolean => value >= 0n && value <= most;
    if (!isIn(hours, 23n) || !isIn(minutes, 59n) || !isIn(seconds, 59n)) return false;
    if (!isIn(nanos, SECOND_NANOS - 1n)) return false;
    column.appendBigInt(((hours * 60n + minutes) * 60n + seconds) * 1_000_000n + nanos / 1000n);
    return true;
  },
};

/** A wrapper's value is its type's default when it is missing in it. */
function appendWrapped(
  wire: WireReader,
  scalar: Scalar,
  column: ColumnBuilder,
): RejectReason | null {
  const row = column.length;
  let refused: RejectReason | null = null;
  while (wire.at < wire.end) {
    if (!wire.tag()) return wire.fault;
    const isValue = wire.number === 1;
    const fits = wire.wire === scalarWire(scalar);
    if (!(isValue && fits ? readScalar(wire, scalar) : wire.skip(0))) return wire.fault;
    if (!isValue) continue;
    column.truncate(row);
    refused = fits ? appendScalar(wire, scalar, column) : "type_conflict";
  }
  if (column.length > row || refused !== null) return refused;
  wire.low = 0;
  wire.high = 0;
  wire.size = 0;
  return appendScalar(wire, scalar, column);
}

function passOver(wire: WireReader): WireFault | null {
  while (wire.at < wire.end) if (!wire.tag() || !wire.skip(0)) return wire.fault;
  return null;
}
