/**
 * One row of columns as JSON values, in the words of `/query`'s answers: times as DuckDB writes them, bytes
 * with `\xFF` for what is no printable ASCII, integers as bigint. For single rows; not for the data path.
 */
import { exactNumber } from "#base/json.ts";
import type { LiveColumn } from "./live.ts";
import type { PrimitiveType } from "./schema.ts";

/** A row, its columns by name. */
export function rowJson(columns: readonly LiveColumn[], row: number): { [name: string]: unknown } {
  return Object.fromEntries(columns.map((column) => [column.field.name, valueJson(column, row)]));
}

function valueJson(column: LiveColumn, row: number): unknown {
  const { field, validity, offsets, children } = column;
  if (validity !== null && (((validity[row >> 3] as number) >> (row & 7)) & 1) === 0) return null;
  const { type } = field;
  const start = offsets?.[row] ?? row;
  const end = offsets?.[row + 1] ?? row + 1;
  switch (type.kind) {
    case "struct":
      return rowJson(children, row);
    case "list": {
      const [element] = children;
      return element === undefined ? [] : itemsOf(element, start, end);
    }
    case "map": {
      const [keys, values] = children;
      if (keys === undefined || values === undefined) return {};
      const names = itemsOf(keys, start, end).map(nameOf);
      const items = itemsOf(values, start, end);
      return Object.fromEntries(names.map((name, at) => [name, items[at]]));
    }
    default:
      return primitiveJson(type, column.data ?? EMPTY, { row, start, end });
  }
}

const EMPTY = new Uint8Array(0);
const PRINTABLE = /^[\x20-\x7e]$/;

function itemsOf(column: LiveColumn, start: number, end: number): unknown[] {
  return Array.from({ length: end - start }, (_, at) => valueJson(column, start + at));
}

function nameOf(key: unknown): string {
  return typeof key === "object" ? JSON.stringify(key) : String(key);
}

/** Where a value lies: its row, and for texts and bytes their place. */
interface Place {
  readonly row: number;
  readonly start: number;
  readonly end: number;
}

function primitiveJson(type: PrimitiveType, data: Uint8Array, { row, start, end }: Place): unknown {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const bytes = (width: number): Uint8Array => data.slice(row * width, (row + 1) * width);
  switch (type.kind) {
    case "boolean":
      return (((data[row >> 3] as number) >> (row & 7)) & 1) === 1;
    case "int":
      return view.getInt32(4 * row, true);
    case "long":
      return view.getBigInt64(8 * row, true);
    case "float":
      return numberJson(view.getFloat32(4 * row, true), true);
    case "double":
      return numberJson(view.getFloat64(8 * row, true), false);
    case "decimal": {
      const high = view.getBigInt64(16 * row + 8, true) << 64n;
      const value = high | view.getBigUint64(16 * row, true);
      return type.scale === 0 ? value : exactNumber(decimalText(value, type.scale));
    }
    case "date":
      return dayText(BigInt(view.getInt32(4 * row, true)));
    case "time":
      return clockText(view.getBigInt64(8 * row, true), 6);
    case "timestamp":
      return timestampText(view.getBigInt64(8 * row, true), 6, type.zone);
    case "timestamp_ns":
      return timestampText(view.getBigInt64(8 * row, true), 9, type.zone);
    case "string":
      return Buffer.from(data.slice(start, end)).toString("utf8");
    case "uuid": {
      const hex = bytes(16).toHex();
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    }
    case "fixed":
      return bytesText(bytes(type.length));
    case "binary":
      return bytesText(data.slice(start, end));
  }
}

/** JSON has no word for NaN and infinity. A float's shortest text is not that of the double it is. */
function numberJson(value: number, isSingle: boolean): unknown {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : String(value);
  return isSingle ? Number(shortestSingle(value)) : value;
}

function shortestSingle(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return value.toPrecision(9);
}

function decimalText(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
  const sign = value < 0n ? "-" : "";
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

const DAY_MS = 86_400_000n;

function dayText(days: bigint): string {
  const date = new Date(Number(days * DAY_MS));
  const year = date.getUTCFullYear();
  const rest = `-${pad(date.getUTCMonth() + 1)}-${pad(date.getUTCDate())}`;
  return year > 0 ? `${String(year).padStart(4, "0")}${rest}` : `${pad4(1 - year)}${rest} (BC)`;
}

function timestampText(value: bigint, digits: number, zone: boolean): string {
  const perDay = 86_400n * 10n ** BigInt(digits);
  const time = ((value % perDay) + perDay) % perDay;
  const day = dayText((value - time) / perDay);
  const [date = "", era = ""] = day.split(" ");
  return `${date} ${clockText(time, digits)}${zone ? "+00" : ""}${era === "" ? "" : ` ${era}`}`;
}

/** A time of day of units of 10^-digits seconds: `12:00:00.5`. */
function clockText(value: bigint, digits: number): string {
  const unit = 10n ** BigInt(digits);
  const seconds = Number(value / unit);
  const fraction = String(value % unit)
    .padStart(digits, "0")
    .replace(/0+$/, "");
  const text = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map(pad);
  return `${text.join(":")}${fraction === "" ? "" : `.${fraction}`}`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

function pad4(value: number): string {
  return String(value).padStart(4, "0");
}

function bytesText(bytes: Uint8Array): string {
  const text = [...bytes].map((byte) => {
    const letter = String.fromCharCode(byte);
    const isPlain = PRINTABLE.test(letter) && !"\\'\"".includes(letter);
    return isPlain ? letter : `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return text.join("");
}

/** Microseconds of a timestamp column; the least there is without such a column or value. */
export function timestampAt(columns: readonly LiveColumn[], name: string, row: number): bigint {
  const column = columns.find(({ field }) => field.name === name);
  const { data = null, validity = null } = column ?? {};
  const isThere = validity === null || (((validity[row >> 3] as number) >> (row & 7)) & 1) === 1;
  if (column?.field.type.kind !== "timestamp" || data === null || !isThere) return -(2n ** 63n);
  return new DataView(data.buffer, data.byteOffset).getBigInt64(8 * row, true);
}
