/**
 * Looks at many JSON documents and proposes a column for each field, for people to paste (SPEC section 3,
 * `check --suggest`): here, and only here, texts are taken for times, UUIDs and decimals.
 *
 * A type is proposed for texts only when its parser, the one that rows are made by, takes every one of
 * them. Not on the data path: documents become objects.
 */
import { type Json, parseJson } from "#base/json.ts";
import { LIMITS } from "#base/limits.ts";
import { ColumnBuilder } from "#columns/builder.ts";
import { isReservedName, isUnusableName } from "#columns/names.ts";
import { joinPath, TakenPaths } from "#columns/paths.ts";
import {
  DECIMAL_PRECISION_MAX,
  type Field,
  type PrimitiveType,
  type Type,
} from "#columns/schema.ts";
import { textParser } from "./values.ts";

/** A unit of numbers that look like times, as `source.event_time_format` calls it. */
export type EpochFormat = "epoch_seconds" | "epoch_millis" | "epoch_micros";

/** What was seen of one column. */
export interface SurveyedColumn {
  readonly name: string;
  /** Null: no value that tells was seen. */
  readonly type: Type | null;
  /** Documents with a value that is not null. */
  readonly seen: number;
  /** Documents whose value is not of that type. */
  readonly misfits: number;
  /** Whole numbers that are times by this unit, all of them; null: they are not. */
  readonly epoch: EpochFormat | null;
}

/** Texts are tried for these, in this order. */
const TEXT_TYPES: readonly PrimitiveType[] = [
  { kind: "uuid" },
  { kind: "timestamp", zone: true },
  { kind: "timestamp", zone: false },
  { kind: "date" },
  { kind: "time" },
];
/** A decimal text: no zeros in front, two digits of fraction at least. `1.2` may be a version. */
const DECIMAL = /^-?(?:0|[1-9]\d{0,27})\.(\d{2,9})$/;
/** Digits before the point that are kept free for values larger than those seen. */
const DIGITS_SPARE = 6;
/** The precision up to which the decode kernel reads decimals itself. */
const FAST_PRECISION = 18;
/** An object with more different keys, of one type, each in less than a tenth of the objects, is a map. */
const MAP_KEYS_MIN = 50;
const MAP_SHARE_MAX = 0.1;
const LONG = [-(2n ** 63n), 2n ** 63n - 1n] as const;
/** 2000-01-01 and 2100-01-01, in seconds. */
const EPOCH_SECONDS = [946_684_800n, 4_102_444_800n] as const;
const EPOCHS: readonly (readonly [EpochFormat, bigint])[] = [
  ["epoch_seconds", 1n],
  ["epoch_millis", 1000n],
  ["epoch_micros", 1_000_000n],
];

type Kind = "boolean" | "number" | "string" | "object" | "array";

/** Documents, and what they hold. */
export class Survey {
  /** Documents that were objects. */
  documents = 0;
  /** Values that were no JSON object. */
  unreadable = 0;
  readonly #root = new Place();

  /** Looks at one document. */
  add(text: string): void {
    let value: Json;
    try {
      value = parseJson(text);
    } catch {
      this.unreadable++;
      return;
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.unreadable++;
      return;
    }
    this.documents++;
    this.#root.see(value, 0);
  }

  /**
   * A column for each field that may be one, in the order first seen.
   * @param separator objects become columns of their own, joined by it; null: they are structs
   */
  columns(separator: string | null): SurveyedColumn[] {
    const taken = new TakenPaths([]);
    return columnsOf(this.#root, "", separator, taken);
  }
}

function columnsOf(
  place: Place,
  prefix: string,
  separator: string | null,
  taken: TakenPaths,
): SurveyedColumn[] {
  return [...place.members].flatMap(([own, member]) => {
    const name = prefix + own;
    const kind = member.kind();
    if (separator !== null && kind === "object") {
      return columnsOf(member, name + separator, separator, taken);
    }
    if (isUnusableName(name) || isReservedName(name) || !taken.add(name)) return [];
    const { seen } = member;
    const misfits = seen - (kind === null ? 0 : member.countOf(kind));
    return [{ name, type: member.type(name, taken), seen, misfits, epoch: member.epoch() }];
  });
}

/** One place of the documents. */
class Place {
  readonly members = new Map<string, Place>();
  /** Values that are not null. */
  seen = 0;
  readonly #kinds = new Map<Kind, number>();
  #element: Place | null = null;
  #hasFraction = false;
  #least: bigint | null = null;
  #most: bigint | null = null;
  #textTypes: readonly PrimitiveType[] = TEXT_TYPES;
  /** Digits before and behind the point of texts that are decimals; null: some are not. */
  #decimal: { readonly whole: number; readonly scale: number } | null = { whole: 0, scale: -1 };

  see(value: Json, depth: number): void {
    if (value === null || depth > LIMITS.jsonDepthMax) return;
    this.seen++;
    const kind = kindOf(value);
    this.#kinds.set(kind, this.countOf(kind) + 1);
    if (typeof value === "string") this.#text(value);
    else if (typeof value === "number" || typeof value === "bigint") this.#number(value);
    else if (Array.isArray(value)) {
      this.#element ??= new Place();
      for (const each of value) this.#element.see(each, depth + 1);
    } else if (typeof value === "object") {
      for (const [name, each] of Object.entries(value)) this.#member(name).see(each, depth + 1);
    }
  }

  countOf(kind: Kind): number {
    return this.#kinds.get(kind) ?? 0;
  }

  /** The kind that most values have; null: there are none. */
  kind(): Kind | null {
    let most: Kind | null = null;
    for (const [kind, count] of this.#kinds) {
      if (most === null || count > this.countOf(most)) most = kind;
    }
    return most;
  }

  type(path: string, taken: TakenPaths): Type | null {
    switch (this.kind()) {
      case null:
        return null;
      case "boolean":
        return { kind: "boolean" };
      case "number":
        return this.#numberType();
      case "string":
        return this.#textTypes[0] ?? this.#decimalType() ?? { kind: "string" };
      case "object":
        return this.#mapType(path, taken) ?? this.#structType(path, taken);
      case "array": {
        const type = this.#element?.type(joinPath(path, "element"), taken) ?? null;
        return type === null ? null : { kind: "list", element: fieldOf("element", type) };
      }
    }
  }

  /** The unit by which all numbers here are times of this century; null: none. */
  epoch(): EpochFormat | null {
    const [least, most] = [this.#least, this.#most];
    if (this.kind() !== "number" || this.#hasFraction || least === null || most === null) {
      return null;
    }
    const [first, last] = EPOCH_SECONDS;
    return EPOCHS.find(([, unit]) => least >= first * unit && most < last * unit)?.[0] ?? null;
  }

  #member(name: string): Place {
    const known = this.members.get(name);
    if (known !== undefined) return known;
    const place = new Place();
    this.members.set(name, place);
    return place;
  }

  #number(value: number | bigint): void {
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      this.#hasFraction = true;
      return;
    }
    const whole = BigInt(value);
    if (this.#least === null || whole < this.#least) this.#least = whole;
    if (this.#most === null || whole > this.#most) this.#most = whole;
  }

  #numberType(): Type {
    if (this.#hasFraction || this.#least === null || this.#most === null) return { kind: "double" };
    if (this.#least >= LONG[0] && this.#most <= LONG[1]) return { kind: "long" };
    const precision = DECIMAL_PRECISION_MAX;
    const bound = 10n ** BigInt(precision);
    const fits = this.#least > -bound && this.#most < bound;
    return fits ? { kind: "decimal", precision, scale: 0 } : { kind: "double" };
  }

  #text(text: string): void {
    if (this.#textTypes.length > 0) {
      this.#textTypes = this.#textTypes.filter((type) => takes(type, text));
    }
    if (this.#decimal === null) return;
    const match = DECIMAL.exec(text);
    const scale = match?.[1]?.length ?? 0;
    const isSame = this.#decimal.scale < 0 || this.#decimal.scale === scale;
    const whole = text.replace("-", "").length - scale - 1;
    this.#decimal =
      match === null || !isSame ? null : { scale, whole: Math.max(whole, this.#decimal.whole) };
  }

  #decimalType(): Type | null {
    if (this.#decimal === null) return null;
    const { whole, scale } = this.#decimal;
    const precision =
      whole + DIGITS_SPARE + scale <= FAST_PRECISION ? FAST_PRECISION : DECIMAL_PRECISION_MAX;
    return { kind: "decimal", precision, scale };
  }

  #structType(path: string, taken: TakenPaths): Type | null {
    const fields = [...this.members].flatMap(([name, member]) => {
      const full = joinPath(path, name);
      if (isUnusableName(name) || !taken.add(full)) return [];
      const type = member.type(full, taken);
      return type === null ? [] : [fieldOf(name, type)];
    });
    return fields.length === 0 ? null : { kind: "struct", fields };
  }

  #mapType(path: string, taken: TakenPaths): Type | null {
    if (this.members.size < MAP_KEYS_MIN) return null;
    const members = [...this.members.values()];
    const often = members.some(({ seen }) => seen > this.seen * MAP_SHARE_MAX);
    const [first, ...others] = members.map((member) => member.type(path, taken));
    const isOne = others.every((type) => type?.kind === first?.kind);
    if (often || !isOne || !isScalar(first)) return null;
    const key: Field = { ...fieldOf("key", { kind: "string" }), required: true };
    return { kind: "map", key, value: fieldOf("value", first) };
  }
}

/** Only types without members or parameters: texts of several keys may differ in those. */
function isScalar(type: Type | null | undefined): type is Type {
  return ["boolean", "long", "double", "string"].includes(type?.kind ?? "");
}

function kindOf(value: NonNullable<Json>): Kind {
  if (typeof value === "boolean" || typeof value === "string") {
    return typeof value as "boolean" | "string";
  }
  if (typeof value !== "object") return "number";
  return Array.isArray(value) ? "array" : "object";
}

function fieldOf(name: string, type: Type): Field {
  return { id: 0, name, required: false, type };
}

/** Whether a column of this type takes the text. */
function takes(type: PrimitiveType, text: string): boolean {
  const column = new ColumnBuilder(fieldOf("x", type));
  return textParser(type)?.(text, column) ?? false;
}
