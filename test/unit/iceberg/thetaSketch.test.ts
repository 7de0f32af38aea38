/** Theta sketches as blobs: those of Apache DataSketches are read, ours are what it writes. */
import { expect, test } from "bun:test";
import {
  decodeSketch,
  encodeSketch,
  estimateOf,
  THETA_MAX,
} from "#iceberg/statistics/thetaSketch.ts";

/** Compact ordered sketches of DataSketches 5.2.0 (C++): of nothing, of "a", and of three texts. */
const FOREIGN = {
  none: "01030300001ecc93",
  one: "01030300001acc9317c11d528507017b",
  three: "02030300001acc930300000000000000be398585c57aa728dd323a99c0f8074617c11d528507017b",
};

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

test("sketches of DataSketches are read", () => {
  expect(estimateOf(decodeSketch(bytes(FOREIGN.none)))).toBe(0);
  expect(decodeSketch(bytes(FOREIGN.one)).hashes).toEqual(
    BigUint64Array.from([0x7b0107_8552_1dc1_17n]),
  );
  expect(estimateOf(decodeSketch(bytes(FOREIGN.three)))).toBe(3);
});

test("what is written is what DataSketches for Java writes: a flag for one hash, the sampling probability 1", () => {
  const written = (hex: string): string =>
    Buffer.from(encodeSketch(decodeSketch(bytes(hex)))).toString("hex");
  expect(written(FOREIGN.none)).toBe(FOREIGN.none);
  expect(written(FOREIGN.one)).toBe(FOREIGN.one.replace("1acc93", "3acc93"));
  expect(written(FOREIGN.three)).toBe(
    FOREIGN.three.replace("0300000000000000", "030000000000803f"),
  );
});

test("a sketch that dropped hashes says its theta, and estimates by it", () => {
  const hashes = BigUint64Array.from([7n, 3n, 5n]);
  const sketch = { theta: THETA_MAX / 1000n, hashes };
  expect(estimateOf(sketch)).toBe(3000);
  expect(decodeSketch(encodeSketch(sketch))).toEqual({ ...sketch, hashes: hashes.toSorted() });
});

test("what is no such sketch is refused", () => {
  const whole = encodeSketch({ theta: THETA_MAX, hashes: BigUint64Array.from([1n, 2n]) });
  const other = whole.slice();
  other[6] = 1;
  for (const blob of [new Uint8Array(0), new Uint8Array(64), whole.subarray(0, 20), other]) {
    expect(() => decodeSketch(blob)).toThrow("A blob of statistics");
  }
});
