/**
 * `google.protobuf.Struct`, `Value` and `ListValue` as JSON text, as Protobuf's own JSON mapping writes
 * them, without blanks; members stand in the order in which they came first.
 *
 * What comes twice is merged as the wire format says: the last kind of a `Value` counts, a member's
 * last value counts, lists go on.
 */
import { LIMITS } from "#base/limits.ts";
import { strictUtf8Text } from "#base/text.ts";
import { isUtf8 } from "#decode/json/strings.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { WIRE } from "./model.ts";
import { floating } from "./scalars.ts";
import type { WireReader } from "./wire.ts";

/** The text, or why there is none. */
export type JsonText =
  | { readonly fault: null; readonly json: string }
  | { readonly fault: RejectReason };

/** Which of the three messages it is. */
export type JsonForm = "struct" | "value" | "list";

/** Reads the message in `[at, end)` of the reader, and leaves the reader at its end. */
export function jsonText(wire: WireReader, form: JsonForm): JsonText {
  const { at, end } = wire;
  const reader = new TextReader(wire);
  const json = reader[form]([[at, end]], 1);
  wire.at = end;
  wire.end = end;
  if (json === null) return { fault: reader.fault };
  return reader.fits ? { fault: null, json } : { fault: "type_conflict" };
}

/** Bytes of a message; several ranges are read as one. */
type Range = readonly [start: number, end: number];

/** What a value was so far. */
interface Found {
  kind: number;
  /** Of a plain value. */
  text: string;
  isBadText: boolean;
  /** Of a struct or list. */
  bodies: Range[];
}

const KIND = { null: 1, number: 2, string: 3, bool: 4, struct: 5, list: 6 } as const;
/** The wire type of each kind. */
const WIRES: readonly number[] = [-1, 0, 1, 2, 0, 2, 2];

class TextReader {
  fault: RejectReason = "bad_protobuf";
  private readonly wire: WireReader;
  /** False: a field came with another wire type than its own. */
  fits = true;

  constructor(wire: WireReader) {
    this.wire = wire;
  }

  struct(ranges: readonly Range[], depth: number): string | null {
    const entries = this.bodies(ranges, 1, depth);
    if (entries === null) return null;
    const members = new Map<string, string | null>();
    for (const entry of entries) {
      const key = this.key(entry);
      const values = key === null ? null : this.bodies([entry], 2, depth);
      if (key === null || values === null) return null;
      const json = this.value(values, depth + 1);
      if (json === null && this.fault !== "type_conflict") return null;
      members.set(key, json);
    }
    if ([...members.values()].includes(null)) return this.refuse("type_conflict");
    return `{${[...members].map(([key, json]) => `${JSON.stringify(key)}:${json}`).join(",")}}`;
  }

  list(ranges: readonly Range[], depth: number): string | null {
    const items: string[] = [];
    for (const item of this.bodies(ranges, 1, depth) ?? [null]) {
      const json = item === null ? null : this.value([item], depth + 1);
      if (json === null) return null;
      items.push(json);
    }
    return `[${items.join(",")}]`;
  }

  value(ranges: readonly Range[], depth: number): string | null {
    const found: Found = { kind: 0, text: "", isBadText: false, bodies: [] };
    for (const [start, end] of ranges) {
      const { wire } = this;
      for (wire.at = start, wire.end = end; wire.at < end; wire.end = end) {
        if (!this.kind(found, depth)) return null;
      }
    }
    const { kind, text, isBadText, bodies } = found;
    if (kind === KIND.struct) return this.struct(bodies, depth);
    if (kind === KIND.list) return this.list(bodies, depth);
    // No kind is set, or a number or a text that JSON does not have.
    return text === "" ? this.refuse(isBadText ? "bad_utf8" : "type_conflict") : text;
  }

  /** Reads the next kind of a value, which replaces an earlier one; false for a fault. */
  private kind(found: Found, depth: number): boolean {
    const { wire } = this;
    if (!wire.tag()) return this.broken() !== null;
    const { number, wire: type } = wire;
    if (!wire.skip(depth)) return this.broken() !== null;
    if (number > KIND.list) return true;
    if (type !== WIRES[number]) {
      this.fits = false;
      return true;
    }
    const { at } = wire;
    if (number !== found.kind) {
      if (!this.isWhole(found, depth)) return false;
      found.bodies = [];
      wire.at = at;
    }
    if (number >= KIND.struct) found.bodies.push([at - wire.size, at]);
    else this.plain(number, found);
    found.kind = number;
    return true;
  }

  /** True when the struct or list that a later kind replaces is whole, whatever is in it. */
  private isWhole({ kind, bodies }: Found, depth: number): boolean {
    if (kind < KIND.struct) return true;
    const { size } = this.wire;
    const json = kind === KIND.struct ? this.struct(bodies, depth) : this.list(bodies, depth);
    this.wire.size = size;
    return json !== null || this.fault === "type_conflict";
  }

  /** Notes the text of the plain value that was read last; "" when there is none. */
  private plain(kind: number, found: Found): void {
    const { wire } = this;
    found.isBadText = false;
    if (kind === KIND.null) found.text = "null";
    else if (kind === KIND.bool) found.text = (wire.low | wire.high) === 0 ? "false" : "true";
    else if (kind === KIND.number) {
      const number = floating(wire, "double");
      found.text = Number.isFinite(number) ? JSON.stringify(number) : "";
    } else {
      const text = this.string(wire.at - wire.size, wire.at);
      found.isBadText = text === null;
      found.text = text === null ? "" : JSON.stringify(text);
    }
  }

  private string(start: number, end: number): string | null {
    const { bytes } = this.wire;
    return isUtf8(bytes, start, end) ? strictUtf8Text(bytes.subarray(start, end)) : null;
  }

  /** The key of a struct's entry, "" when it is missing. */
  private key(entry: Range): string | null {
    const found = this.bodies([entry], 1, 0);
    if (found === null) return null;
    const last = found.at(-1);
    if (last === undefined) return "";
    return this.string(...last) ?? this.refuse("bad_utf8");
  }

  /** The bytes of each field `number` in the ranges; null for a fault. */
  private bodies(ranges: readonly Range[], number: number, depth: number): Range[] | null {
    const { wire } = this;
    if (depth > LIMITS.jsonDepthMax) return this.refuse("too_deep");
    const found: Range[] = [];
    for (const [start, end] of ranges) {
      wire.at = start;
      wire.end = end;
      while (wire.at < end) {
        if (!wire.tag()) return this.broken();
        const isWanted = wire.number === number;
        const isBody = wire.wire === WIRE.bytes;
        if (!wire.skip(depth)) return this.broken();
        this.fits &&= isBody || !isWanted;
        if (isWanted && isBody) found.push([wire.at - wire.size, wire.at]);
      }
    }
    return found;
  }

  private broken(): null {
    return this.refuse(this.wire.fault);
  }

  private refuse(fault: RejectReason): null {
    this.fault = fault;
    return null;
  }
}
