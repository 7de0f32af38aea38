/** How much is written anew at once, over all tables of a process, and who waits for whom. */
import { expect, test } from "bun:test";
import { LIMITS } from "#base/limits.ts";
import { CopySlots } from "#maintenance/copySlots.ts";
import { rejection } from "../../support/rejection.ts";

/** Work that ends when it is told to, and what is under way. */
class Work {
  readonly begun: number[] = [];
  underWay = 0;
  most = 0;
  readonly #ends: (() => void)[] = [];

  begin(slots: CopySlots, bytes: number, beside?: "none"): Promise<void> {
    return slots.run(
      bytes,
      async () => {
        this.begun.push(bytes);
        this.most = Math.max(this.most, ++this.underWay);
        await new Promise<void>((resolve) => this.#ends.push(resolve));
        this.underWay--;
      },
      beside,
    );
  }

  /** Ends the one that began first. */
  async endOne(): Promise<void> {
    this.#ends.shift()?.();
    await settled();
  }
}

/** Lets all that can go on go on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** Scratch room of so many bytes. */
function roomOf(bytes: number) {
  let left = bytes;
  return (wanted: number): (() => void) | null => {
    if (wanted > left) return null;
    left -= wanted;
    return () => {
      left += wanted;
    };
  };
}

test("all commits of a process together write a bounded number of files anew at once, first come first served", async () => {
  const slots = new CopySlots(() => () => undefined);
  const work = new Work();
  const all = [1, 2, 3, 4, 5, 6, 7].map((bytes) => work.begin(slots, bytes));
  for (let end = 0; end < all.length; end++) {
    await settled();
    expect(work.underWay).toBe(Math.min(LIMITS.copiesAtOnce, all.length - end));
    await work.endOne();
  }
  await Promise.all(all);
  expect(work.begun).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

test("where scratch files have room for one only, the next waits for it, also behind a smaller one; what has no room by itself is refused", async () => {
  const slots = new CopySlots(roomOf(100));
  const work = new Work();
  const all = [60, 70, 10].map((bytes) => work.begin(slots, bytes));
  const large = rejection(work.begin(slots, 101));
  await settled();
  expect(work.begun).toEqual([60]);
  await work.endOne();
  expect(work.begun).toEqual([60, 70, 10]);
  await work.endOne();
  await work.endOne();
  await Promise.all(all);
  expect(await large).toMatchObject({ kind: "storage_full" });
  // One that was refused keeps nobody back.
  const next = work.begin(slots, 100);
  await settled();
  await work.endOne();
  await next;
});

test("what is written with nothing beside it waits for those before it, and those behind wait for it", async () => {
  const slots = new CopySlots(() => () => undefined);
  const work = new Work();
  const all = [work.begin(slots, 1), work.begin(slots, 2, "none"), work.begin(slots, 3)];
  for (const begun of [[1], [1, 2], [1, 2, 3]]) {
    await settled();
    expect(work.begun).toEqual(begun);
    await work.endOne();
  }
  await Promise.all(all);
  expect(work.most).toBe(1);
});
