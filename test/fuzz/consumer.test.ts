/**
 * What brokers and producers may send us: any bytes at all. Codecs and the batch walk answer with
 * the right bytes or with `batch_corrupt`, never with less, and never with another error.
 */
import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { kindOf } from "#base/errors.ts";
import { walkBatches } from "#consumer/fetch/recordBatch.ts";
import { assignSticky, type MemberView } from "#consumer/group/assigner.ts";
import { decompressBoth as decompress } from "../fakes/decompressBoth.ts";
import { buildBatch, lz4Frame, lz4Stored, snappyLiterals } from "../fakes/recordBatches.ts";

const BOUND = 64 * 1024;

/** A piece of LZ4 or snappy input, and how it is to be understood. */
interface Piece {
  readonly literal: Uint8Array;
  readonly back: number;
  readonly length: number;
}

const pieces = fc.array(
  fc.record({
    literal: fc.uint8Array({ minLength: 1, maxLength: 90 }),
    back: fc.nat(),
    length: fc.integer({ min: 4, max: 300 }),
  }),
  { minLength: 1, maxLength: 12 },
);

/** What the pieces mean, by the definition of LZ77. */
function expand(list: readonly Piece[], lastIsLiteral: boolean): number[] {
  const out: number[] = [];
  list.forEach(({ literal, back, length }, i) => {
    out.push(...literal);
    if (lastIsLiteral && i === list.length - 1) return;
    const offset = 1 + (back % Math.min(out.length, 65_535));
    for (let n = 0; n < length; n++) out.push(out[out.length - offset] ?? 0);
  });
  return out;
}

function offsets(list: readonly Piece[]): number[] {
  let made = 0;
  return list.map(({ literal, back, length }) => {
    made += literal.length;
    const offset = 1 + (back % Math.min(made, 65_535));
    made += length;
    return offset;
  });
}

const extended = (n: number): number[] =>
  n < 15 ? [] : [...Array.from({ length: Math.floor((n - 15) / 255) }, () => 255), (n - 15) % 255];

function lz4Encode(list: readonly Piece[]): Uint8Array {
  const at = offsets(list);
  const bytes = list.flatMap(({ literal, length }, i) => {
    const last = i === list.length - 1;
    const match = last ? 0 : length - 4;
    const token = (Math.min(15, literal.length) << 4) | Math.min(15, match);
    const head = [token, ...extended(literal.length), ...literal];
    const offset = at[i] ?? 1;
    return last ? head : [...head, offset & 255, offset >> 8, ...extended(match)];
  });
  return lz4Frame([{ stored: false, bytes: Uint8Array.from(bytes) }]);
}

function snappyEncode(list: readonly Piece[]): Uint8Array {
  const at = offsets(list);
  const total = expand(list, false).length;
  const body = list.flatMap(({ literal, length }, i) => {
    const size = literal.length - 1;
    const head = size < 60 ? [size << 2, ...literal] : [60 << 2, size, ...literal];
    const copies: number[] = [];
    const offset = at[i] ?? 1;
    for (let rest = length; rest > 0; ) {
      const n = Math.min(64, rest);
      copies.push(((n - 1) << 2) | 2, offset & 255, offset >> 8);
      rest -= n;
    }
    return [...head, ...copies];
  });
  const size = [(total & 127) | 128, ((total >> 7) & 127) | 128, total >> 14];
  return Uint8Array.from([...size, ...body]);
}

function kindOfThrown(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    return kindOf(error);
  }
}

describe("decompression", () => {
  test("any sequence of LZ4 literals and matches means what the format says", () => {
    fc.assert(
      fc.property(pieces, (list) => {
        expect([...decompress(3, lz4Encode(list), BOUND)]).toEqual(expand(list, true));
      }),
    );
  });

  test("any sequence of snappy literals and copies means what the format says", () => {
    fc.assert(
      fc.property(pieces, (list) => {
        expect([...decompress(2, snappyEncode(list), BOUND)]).toEqual(expand(list, false));
      }),
    );
  });

  test("input that is cut off anywhere is an error, never a shorter result", () => {
    const encoders = [
      [1, (b: Uint8Array) => gzipSync(b)],
      [2, (b: Uint8Array) => snappyLiterals(b)],
      [3, (b: Uint8Array) => lz4Stored(b)],
      [4, (b: Uint8Array) => zstdCompressSync(b)],
    ] as const;
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 3000 });
    fc.assert(
      fc.property(fc.constantFrom(...encoders), bytes, fc.nat(), ([codec, encode], data, at) => {
        const whole = encode(data);
        const cut = whole.subarray(0, at % whole.length);
        expect([...decompress(codec, whole, BOUND)]).toEqual([...data]);
        expect(kindOfThrown(() => decompress(codec, cut, BOUND))).toBe("batch_corrupt");
      }),
    );
  });

  test("arbitrary and altered bytes give at most the bound, or batch_corrupt", () => {
    const starts = [
      new Uint8Array(0),
      Uint8Array.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]),
      Uint8Array.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]),
      Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd]),
      Uint8Array.from(gzipSync("abc")).subarray(0, 10),
      Uint8Array.from(lz4Encode([{ literal: Uint8Array.of(1, 2, 3), back: 1, length: 99 }])),
    ];
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(...starts),
        fc.uint8Array({ maxLength: 200 }),
        (codec, start, rest) => {
          const bytes = Uint8Array.from([...start, ...rest]);
          let made = 0;
          const kind = kindOfThrown(() => {
            made = decompress(codec, bytes, 4096).length;
          });
          expect(kind ?? "batch_corrupt").toBe("batch_corrupt");
          expect(made).toBeLessThanOrEqual(4096);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("the batch walk", () => {
  test("never throws, never goes back, and never reaches past its input, whatever the bytes", () => {
    const batch = [...buildBatch({ baseOffset: 3, records: [{ value: "abc" }], producerId: 5 })];
    const input = fc
      .tuple(fc.array(fc.constant(batch), { maxLength: 3 }), fc.uint8Array({ maxLength: 150 }))
      .map(([whole, tail]) => [...whole.flat(), ...tail]);
    const change = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
    fc.assert(
      fc.property(input, change, (bytes, changes) => {
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        const list = [{ producerId: 5n, firstOffset: 0n }];
        const { batches } = walkBatches(Uint8Array.from(bytes), 0n, list, true);
        let size = 0;
        let position = 0n;
        for (const view of batches) {
          expect(view.nextOffset).toBeGreaterThan(position);
          position = view.nextOffset;
          size += view.bytes.length;
        }
        expect(size).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 1000 },
    );
  });
});

test("a batch that is cut off anywhere is left for the next fetch, whatever its length says", () => {
  const batch = buildBatch({ baseOffset: 3, records: [{ value: "abc" }] });
  const far = Buffer.from(batch);
  far.writeInt32BE(-(2 ** 31), 8);
  for (const next of [Buffer.from(batch), far]) {
    for (let cut = 0; cut <= 16; cut++) {
      const bytes = Buffer.concat([batch, next.subarray(0, cut)]);
      const { batches, malformed } = walkBatches(bytes, 0n, [], true);
      expect([cut, batches.length, malformed]).toEqual([cut, 1, null]);
    }
  }
});

describe("the sticky assignment", () => {
  const names = ["t0", "t1", "t2"];
  const cluster = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 3, maxLength: 3 });
  const member = fc.record({
    topics: fc.subarray(names),
    owned: fc.array(
      fc.tuple(fc.constantFrom(...names), fc.nat(11)).map(([t, p]) => `${t}/${p}`),
      { maxLength: 8 },
    ),
    generation: fc.integer({ min: -1, max: 3 }),
  });
  const partitionsOf = (counts: readonly number[]) =>
    counts.flatMap((count, i) =>
      Array.from({ length: count }, (_, p) => ({
        topic: names[i] ?? "",
        key: `${names[i]}/${p}`,
      })),
    );
  const named = (list: readonly Omit<MemberView, "memberId">[]): MemberView[] =>
    list.map((view, i) => ({ ...view, memberId: `m${i}` }));

  test("every partition with a subscriber has exactly one owner, who subscribes to it", () => {
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 6 }), cluster, (list, counts) => {
        const members = named(list);
        const partitions = partitionsOf(counts);
        const assigned = assignSticky(members, partitions);
        const given = [...assigned.values()].flat().sort();
        const wanted = new Set(members.flatMap((m) => m.topics));
        expect(given).toEqual(
          partitions
            .filter((p) => wanted.has(p.topic))
            .map((p) => p.key)
            .sort(),
        );
        for (const { memberId, topics } of members) {
          for (const key of assigned.get(memberId) ?? []) {
            expect(topics).toContain(key.split("/")[0] ?? "");
          }
        }
      }),
    );
  });

  test("with one subscription for all, no member has two more than another", () => {
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 6 }), cluster, (list, counts) => {
        const members = named(list.map((view) => ({ ...view, topics: names })));
        const sizes = [...assignSticky(members, partitionsOf(counts)).values()].map(
          (k) => k.length,
        );
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("an assignment that stands is kept as it is; a member that leaves or comes moves little", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), cluster, (count, counts) => {
        const partitions = partitionsOf(counts);
        const fresh = named(
          Array.from({ length: count }, () => ({ topics: names, owned: [], generation: -1 })),
        );
        const first = assignSticky(fresh, partitions);
        const owning = fresh.map((m) => ({
          ...m,
          owned: first.get(m.memberId) ?? [],
          generation: 1,
        }));
        const again = assignSticky(owning, partitions);
        for (const [id, keys] of first) expect(again.get(id)?.sort()).toEqual(keys.sort());
        const fewer = assignSticky(owning.slice(1), partitions);
        for (const { memberId, owned } of owning.slice(1)) {
          expect(fewer.get(memberId)).toEqual(expect.arrayContaining([...owned]));
        }
        const newcomer = { memberId: "new", topics: names, owned: [], generation: -1 };
        const more = assignSticky([...owning, newcomer], partitions);
        for (const { memberId, owned } of owning) {
          expect(owned).toEqual(expect.arrayContaining(more.get(memberId) ?? []));
        }
      }),
    );
  });

  test("of two claims to a partition the later generation's counts", () => {
    const members = named([
      { topics: ["t0"], owned: ["t0/0"], generation: 3 },
      { topics: ["t0"], owned: ["t0/0", "t0/1"], generation: 2 },
    ]);
    const assigned = assignSticky(members, partitionsOf([2, 0, 0]));
    expect([...assigned]).toEqual([
      ["m0", ["t0/0"]],
      ["m1", ["t0/1"]],
    ]);
  });
});
