/**
 * Numbers in float columns against exact fractions: texts in the middle between two floats, and a
 * hair beside it, where rounding to a double first goes wrong.
 *
 * `FUZZ_RUNS` / 10 numbers (default 20,000) from `FUZZ_SEED` (default: of today).
 */
import { expect, test } from "bun:test";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { rowsOf, type Value } from "../support/columnValues.ts";
import { recordBatch } from "../support/records.ts";
import { floatNearestTo } from "./floatOracle.ts";
import { Picks } from "./picks.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200_000) / 10;
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const BATCH = 500;

class Numbers extends Picks {
  /** A number halfway between two floats, exactly or not quite. */
  text(): string {
    const [low, high] = this.neighbours();
    const middle = exactText((low + high) / 2);
    const sign = this.oneOf(["", "-"]);
    switch (this.below(5)) {
      case 0:
        return sign + middle;
      case 1:
        return `${sign}${middle}${middle.includes(".") ? "" : "."}${"0".repeat(this.below(20))}1`;
      case 2:
        return `${sign}${justBelow(middle)}`;
      case 3:
        return `${sign}${((low + high) / 2).toPrecision(1 + this.below(20))}`;
      default:
        return `${sign}${((low + high) / 2).toExponential(this.below(25))}`;
    }
  }

  /** A float that is not negative and the next one; behind the largest comes 2^128. */
  private neighbours(): [number, number] {
    const words = new Uint32Array(1);
    const floats = new Float32Array(words.buffer);
    const ends = [0, 1, 0x007f_ffff, 0x0080_0000, 0x7f7f_ffff];
    const first = this.below(3) > 0 ? this.below(0x7f7f_ffff) : this.oneOf(ends);
    words[0] = first;
    const low = floats[0] ?? 0;
    words[0] = first + 1;
    const high = floats[0] ?? 0;
    return [low, Number.isFinite(high) ? high : 2 ** 128];
  }
}

/** Every digit of a double. */
function exactText(value: number): string {
  let scaled = value;
  let twos = 0;
  for (; !Number.isInteger(scaled); twos++) scaled *= 2;
  const digits = (BigInt(scaled) * 5n ** BigInt(twos)).toString().padStart(twos + 1, "0");
  return twos === 0 ? digits : `${digits.slice(0, -twos)}.${digits.slice(-twos)}`;
}

/** A decimal text a hair smaller: its last digit that is not 0 one less, and nines behind it. */
function justBelow(text: string): string {
  const at = text.search(/[1-9](?=[0.]*$)/);
  if (at < 0) return text;
  const rest = text.slice(at + 1).replaceAll("0", "9");
  return `${text.slice(0, at)}${Number(text[at]) - 1}${rest}${rest.includes(".") || text.slice(0, at).includes(".") ? "" : "."}9`;
}

function decodeAll(documents: readonly string[], kernel: "always" | false): Value[] {
  const float = { id: 0, name: "v", required: false, type: { kind: "float" } } as const;
  const options = { ...DECODER_DEFAULTS, fields: [float], metadataColumns: [], kernel };
  const segment = createDecoder(options).builder();
  const result = segment.decode(recordBatch(documents));
  const refused = new Set(result.rejected.map(({ offset }) => Number(offset)));
  const rows = rowsOf(segment.seal());
  return documents.map((_, index) =>
    refused.has(index) ? "refused" : (rows.shift()?.["v"] ?? null),
  );
}

test(`a float is the one nearest to the number's text (${RUNS} numbers, seed ${SEED})`, () => {
  const numbers = new Numbers(SEED);
  for (let done = 0; done < RUNS; done += BATCH) {
    // A whole number, written as one, is refused where digits are lost: here it is about rounding.
    const texts = Array.from({ length: BATCH }, () => numbers.text()).map((text) =>
      /^-?\d+$/.test(text) ? `${text}.0` : text,
    );
    const documents = texts.map((text) => `{"v":${text}}`);
    const wanted = texts.map((text) => {
      const float = floatNearestTo(text);
      return [text, Number.isFinite(float) ? float : "refused"];
    });
    for (const kernel of ["always", false] as const) {
      const got = decodeAll(documents, kernel);
      expect(got.map((value, index) => [texts[index], value])).toEqual(wanted as never);
    }
  }
}, 600_000);
