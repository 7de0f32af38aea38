/** What a store lets us do, and whether its conditional writes hold, as they are found out by trying. */
import { describe, expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { systemRandom } from "#base/random.ts";
import { missingRights, requireConditionalWrites } from "#storage/probe.ts";
import type { Storage } from "#storage/storage.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { errorOf } from "../../support/s3Rig.ts";

const refuse = (what: string) => async (): Promise<never> => {
  throw fail("storage_refused", `no ${what}`);
};

describe("rights on a store", () => {
  test("nothing is missing where all may be done, and nothing is left", async () => {
    const storage = createMemoryStorage();
    expect(await missingRights(storage, "s3://b/w/", systemRandom)).toEqual([]);
    expect(storage.objects.size).toBe(0);
    expect(storage.calls["put"]).toBe(1);
  });

  test.each([
    ["list", { list: () => never("list") }],
    ["write", { put: refuse("write") }],
    ["read", { get: refuse("read") }],
    ["delete", { remove: refuse("delete") }],
  ] as const)("a missing right to %s is named, with what the store says", async (right, over) => {
    const storage: Storage = { ...createMemoryStorage(), ...over };
    const missing = await missingRights(storage, "s3://b/w", systemRandom);
    expect(missing.map((each) => [each.right, each.refusal.message])).toEqual([
      [right, `no ${right}`],
    ]);
  });

  test("all that are missing are told at once", async () => {
    const storage: Storage = {
      ...createMemoryStorage(),
      put: refuse("write"),
      remove: refuse("delete"),
      list: () => never("list"),
    };
    const missing = await missingRights(storage, "s3://b/w", systemRandom);
    expect(missing.map(({ right }) => right)).toEqual(["list", "write", "delete"]);
  });

  test("a store that does not answer, and a bucket that is not there, are no missing right", async () => {
    for (const kind of ["storage_unreachable", "storage_missing"] as const) {
      const put = async (): Promise<never> => {
        throw fail(kind, "trouble");
      };
      const storage: Storage = { ...createMemoryStorage(), put };
      const error = await errorOf(missingRights(storage, "s3://b/w", systemRandom));
      expect(error.kind).toBe(kind);
    }
  });
});

describe("conditional writes", () => {
  test("hold in a store that keeps the port's promise, and nothing is left", async () => {
    const storage = createMemoryStorage();
    await requireConditionalWrites(storage, "s3://b/w", systemRandom);
    expect(storage.objects.size).toBe(0);
  });

  test("that are ignored are refused in one sentence that says what to use instead", async () => {
    const memory = createMemoryStorage();
    const overwrites = async (location: string, content: Uint8Array): Promise<boolean> => {
      memory.objects.set(location, { content, modifiedMs: 0 });
      return true;
    };
    const storage: Storage = { ...memory, putIfAbsent: overwrites };
    const error = await errorOf(requireConditionalWrites(storage, "s3://b/w", systemRandom));
    expect(error.kind).toBe("catalog_refused");
    expect(error.message).toContain("s3://b/w does not honour conditional writes");
    expect(error.message).toContain('"sql" or "rest"');
    expect(memory.objects.size).toBe(0);
  });

  test("that a store looks up before it writes lose a race, and are refused", async () => {
    const memory = createMemoryStorage();
    const looksFirst = async (location: string, content: Uint8Array): Promise<boolean> => {
      const isTaken = memory.objects.has(location);
      await Promise.resolve();
      if (isTaken) return false;
      memory.objects.set(location, { content, modifiedMs: 0 });
      return true;
    };
    const storage: Storage = { ...memory, putIfAbsent: looksFirst };
    const error = await errorOf(requireConditionalWrites(storage, "s3://b/w", systemRandom));
    expect(error.kind).toBe("catalog_refused");
  });
});

function never(what: string): AsyncIterable<never> {
  return {
    [Symbol.asyncIterator]: () => ({ next: refuse(what) }),
  };
}
