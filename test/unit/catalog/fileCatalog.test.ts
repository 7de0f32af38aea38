import { describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import type { Catalog, CommitOutcome } from "#catalog/catalog.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { writeTableMetadata } from "#iceberg/metadata/tableMetadataJson.ts";
import { createMemoryStorage, type Fault, type MemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";
import { rejection } from "../../support/rejection.ts";

const NAME = { namespace: ["db"], table: "t" };
const FOLDER = "/wh/db/t/metadata";
const HINT = `${FOLDER}/version-hint.text`;
const HOUR = 3_600_000;

interface Bench {
  readonly storage: MemoryStorage;
  readonly time: { nowMs: number };
  readonly fault: { next: (operation: string, location: string) => Fault };
  readonly open: (readOnly?: boolean) => Catalog;
}

function bench(): Bench {
  const time = { nowMs: 10_000 };
  const fault: Bench["fault"] = { next: () => null };
  const storage = createMemoryStorage({
    nowMs: () => time.nowMs,
    fault: (operation, location) => fault.next(operation, location),
  });
  const clock: Clock = { ...systemClock, nowMs: () => time.nowMs };
  const open = (readOnly = false): Catalog =>
    createFileCatalog({ warehouse: "/wh", readOnly }, { storage, clock, log: silentLogger });
  return { storage, time, fault, open };
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function textAt(storage: MemoryStorage, location: string): string {
  return new TextDecoder().decode(storage.objects.get(location)?.content);
}

function put(b: Bench, location: string, content: Uint8Array): void {
  b.storage.objects.set(location, { content, modifiedMs: b.time.nowMs });
}

function versions(storage: MemoryStorage): number[] {
  return [...storage.objects.keys()]
    .flatMap((location) => /\/v(\d+)\.metadata\.json$/.exec(location)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

async function create(catalog: Catalog, properties: Record<string, string> = {}): Promise<void> {
  const metadataAt = (location: string) => sampleTable(location, { properties });
  expect((await catalog.create({ name: NAME, metadataAt })).kind).toBe("committed");
}

function touch(catalog: Catalog, value: string): Promise<CommitOutcome> {
  return catalog.commit(NAME, [], [{ action: "set-properties", properties: { touched: value } }]);
}

async function touched(catalog: Catalog): Promise<string | undefined> {
  return (await catalog.load(NAME))?.metadata.properties["touched"];
}

describe("the layout", () => {
  test("versions count from 1, and the hint names the newest", async () => {
    const b = bench();
    const catalog = b.open();
    await create(catalog);
    await touch(catalog, "a");
    expect([...b.storage.objects.keys()].sort()).toEqual([
      `${FOLDER}/v1.metadata.json`,
      `${FOLDER}/v2.metadata.json`,
      HINT,
    ]);
    expect(textAt(b.storage, HINT)).toBe("2");
  });

  test("gzip'ed metadata of another engine is read and committed upon", async () => {
    const b = bench();
    const text = writeTableMetadata(sampleTable("/wh/db/t"));
    put(b, `${FOLDER}/v1.gz.metadata.json`, Bun.gzipSync(text));
    const catalog = b.open();
    expect((await catalog.load(NAME))?.metadataLocation).toBe(`${FOLDER}/v1.gz.metadata.json`);
    expect((await touch(catalog, "a")).kind).toBe("committed");
    expect(await touched(b.open())).toBe("a");
  });

  test("a metadata file that is cut off is refused, naming the file", async () => {
    const b = bench();
    put(b, `${FOLDER}/v1.metadata.json`, encode('{"format-version": 2'));
    expect((await rejection(b.open().load(NAME))).message).toContain(`${FOLDER}/v1.metadata.json`);
    put(b, `${FOLDER}/v2.gz.metadata.json`, new Uint8Array([0x1f, 0x8b, 1, 2]));
    expect((await rejection(b.open().load(NAME))).message).toContain("not gzip");
  });
});

describe("the hint is never trusted alone", () => {
  const HINTS: Record<string, string | null> = {
    missing: null,
    stale: "3",
    "very stale": "1",
    "too high": "4000",
    "no number": "latest",
  };
  for (const [title, hint] of Object.entries(HINTS)) {
    test(`${title}: the highest version is found, and the hint repaired`, async () => {
      const b = bench();
      const writer = b.open();
      await create(writer);
      for (let n = 2; n <= 40; n++) await touch(writer, `v${n}`);
      b.storage.objects.delete(HINT);
      if (hint !== null) put(b, HINT, encode(hint));
      expect(await touched(b.open())).toBe("v40");
      expect(textAt(b.storage, HINT)).toBe("40");
    });
  }

  test("read-only: a wrong hint is left as it is", async () => {
    const b = bench();
    await create(b.open());
    put(b, HINT, encode("7"));
    expect(await b.open(true).load(NAME)).not.toBeNull();
    expect(textAt(b.storage, HINT)).toBe("7");
  });

  test("a stale hint whose version was removed long ago does not hide the head", async () => {
    const b = bench();
    const writer = b.open();
    await create(writer);
    for (let n = 2; n <= 30; n++) await touch(writer, `v${n}`);
    for (let n = 1; n <= 10; n++) b.storage.objects.delete(`${FOLDER}/v${n}.metadata.json`);
    put(b, HINT, encode("5"));
    expect(await touched(b.open())).toBe("v30");
  });

  test("a hint that cannot be written is no failure of the commit", async () => {
    const b = bench();
    const catalog = b.open();
    await create(catalog);
    b.fault.next = (_operation, location) => (location === HINT ? "before" : null);
    expect((await touch(catalog, "a")).kind).toBe("committed");
    expect(await touched(b.open())).toBe("a");
  });
});

describe("outcomes", () => {
  test("a version that another writer took is a conflict, and that writer's stays", async () => {
    const b = bench();
    const [one, two] = [b.open(), b.open()];
    await create(one);
    let raced = false;
    b.fault.next = (operation, location) => {
      if (operation === "putIfAbsent" && location.endsWith("v2.metadata.json") && !raced) {
        raced = true;
        const other = sampleTable("/wh/db/t", { properties: { touched: "two" } });
        put(b, location, encode(writeTableMetadata(other)));
      }
      return null;
    };
    expect((await touch(one, "one")).kind).toBe("conflict");
    expect(await touched(two)).toBe("two");
  });

  test("a name found taken by our own bytes is our commit: the store sent it twice", async () => {
    const b = bench();
    const catalog = b.open();
    await create(catalog);
    const putIfAbsent = b.storage.putIfAbsent.bind(b.storage);
    b.storage.putIfAbsent = async (location, content) => {
      await putIfAbsent(location, content);
      return putIfAbsent(location, content);
    };
    expect((await touch(catalog, "a")).kind).toBe("committed");
  });

  test("a version that had been removed and was created again by a sleeper is unknown, never the head", async () => {
    const b = bench();
    const sleeper = b.open();
    const writer = b.open();
    await create(writer, { "write.metadata.previous-versions-max": "100" });
    await touch(sleeper, "v2");
    // The sleeper has read version 2 and stands still while the others go on for hours.
    const putIfAbsent = b.storage.putIfAbsent.bind(b.storage);
    b.storage.putIfAbsent = async (location, content) => {
      b.storage.putIfAbsent = putIfAbsent;
      for (let n = 3; n <= 300; n++) {
        b.time.nowMs += 60_000;
        expect((await touch(writer, `v${n}`)).kind).toBe("committed");
      }
      expect(versions(b.storage)[0]).toBeGreaterThan(3);
      return putIfAbsent(location, content);
    };
    expect((await touch(sleeper, "lost")).kind).toBe("unknown");
    expect(versions(b.storage)[0]).toBe(3);
    expect(await touched(b.open())).toBe("v300");
    expect(await touched(sleeper)).toBe("v300");
    put(b, HINT, encode("3"));
    expect(await touched(b.open())).toBe("v300");
  });

  test("a commit overtaken at once is committed: it is in the newest version's log, and its hint does not go back", async () => {
    const b = bench();
    const [one, two] = [b.open(), b.open()];
    await create(one);
    const putIfAbsent = b.storage.putIfAbsent.bind(b.storage);
    b.storage.putIfAbsent = async (location, content) => {
      b.storage.putIfAbsent = putIfAbsent;
      const created = await putIfAbsent(location, content);
      for (let n = 3; n < 6; n++) await touch(two, `v${n}`);
      return created;
    };
    expect((await touch(one, "one")).kind).toBe("committed");
    expect(await touched(one)).toBe("v5");
    expect(textAt(b.storage, HINT)).toBe("5");
  });

  test("a commit that cannot be verified is unknown", async () => {
    const b = bench();
    const catalog = b.open();
    await create(catalog);
    const head = b.storage.head.bind(b.storage);
    const putIfAbsent = b.storage.putIfAbsent.bind(b.storage);
    b.storage.putIfAbsent = (location, content) => {
      b.storage.head = () => Promise.reject(new Error("the connection was lost"));
      return putIfAbsent(location, content);
    };
    expect((await touch(catalog, "a")).kind).toBe("unknown");
    b.storage.head = head;
    expect(await touched(catalog)).toBe("a");
  });

  test("a head that cannot be read is a conflict: nothing was sent", async () => {
    const b = bench();
    const catalog = b.open();
    await create(catalog);
    b.storage.head = () => Promise.reject(fail("storage_unreachable", "the connection was lost"));
    expect((await touch(catalog, "a")).kind).toBe("conflict");
    const metadataAt = (location: string) => sampleTable(location);
    expect((await catalog.create({ name: NAME, metadataAt })).kind).toBe("conflict");
    expect(versions(b.storage)).toEqual([1]);
  });
});

describe("a table dropped and created again", () => {
  test("during a commit: the commit is a conflict and leaves nothing in the new table", async () => {
    for (const recreated of [false, true]) {
      const b = bench();
      const catalog = b.open();
      await create(catalog);
      for (let n = 2; n <= 5; n++) await touch(catalog, `v${n}`);
      const putIfAbsent = b.storage.putIfAbsent.bind(b.storage);
      b.storage.putIfAbsent = async (location, content) => {
        b.storage.putIfAbsent = putIfAbsent;
        b.storage.objects.clear();
        if (recreated) await create(b.open());
        return putIfAbsent(location, content);
      };
      expect((await touch(catalog, "lost")).kind).toBe("conflict");
      expect(versions(b.storage)).toEqual(recreated ? [1] : []);
      expect((await catalog.load(NAME)) === null).toBe(!recreated);
    }
  });

  test("is loaded as what it is now, although this process has seen higher versions", async () => {
    const b = bench();
    const catalog = b.open();
    await create(catalog);
    for (let n = 2; n <= 20; n++) await touch(catalog, `v${n}`);
    b.storage.objects.clear();
    expect(await catalog.load(NAME)).toBeNull();
    await create(b.open());
    expect((await catalog.load(NAME))?.metadataLocation).toBe(`${FOLDER}/v1.metadata.json`);
  });
});

describe("old versions", () => {
  test("are removed only when both 100 versions and an hour old", async () => {
    const b = bench();
    const catalog = b.open();
    await create(catalog);
    for (let n = 2; n <= 320; n++) {
      b.time.nowMs += 5_000;
      await touch(catalog, `v${n}`);
    }
    expect(versions(b.storage).length).toBe(320);
    b.time.nowMs += HOUR;
    for (let n = 321; n <= 400; n++) await touch(catalog, `v${n}`);
    const left = versions(b.storage);
    expect(left[0]).toBeGreaterThan(200);
    expect(left[0]).toBeLessThanOrEqual(300);
    expect(left.at(-1)).toBe(400);
    expect(left.length).toBe(401 - (left[0] ?? 0));
  });

  test("young ones take a bounded number of bytes, however large a version is", async () => {
    const b = bench();
    const catalog = b.open();
    await create(catalog, { large: "x".repeat(1 << 20) });
    let most = 0;
    for (let n = 2; n <= 200; n++) {
      await touch(catalog, `v${n}`);
      most = Math.max(most, b.storage.objects.size);
    }
    // A hundred versions, those between two clean-ups, and the hint.
    expect(most).toBeLessThanOrEqual(100 + 16 + 2);
    expect(await touched(b.open())).toBe("v200");
  }, 60_000);

  test("stay when the table does not ask for their removal, or asks to keep more", async () => {
    for (const properties of [
      { "write.metadata.delete-after-commit.enabled": "false" },
      { "write.metadata.previous-versions-max": "1000" },
    ] as Record<string, string>[]) {
      const b = bench();
      const catalog = b.open();
      await create(catalog, properties);
      for (let n = 2; n <= 200; n++) {
        b.time.nowMs += HOUR;
        await touch(catalog, `v${n}`);
      }
      expect(versions(b.storage).length).toBe(200);
    }
  });

  test("that cannot be removed are no failure of the commit", async () => {
    const b = bench();
    const catalog = b.open();
    await create(catalog);
    b.fault.next = (operation, at) => (operation === "remove" && at !== HINT ? "before" : null);
    for (let n = 2; n <= 150; n++) {
      b.time.nowMs += HOUR;
      expect((await touch(catalog, `v${n}`)).kind).toBe("committed");
    }
    expect(versions(b.storage).length).toBe(150);
  });
});

test("a load that stood still while its version was removed finds the newer one", async () => {
  const b = bench();
  const writer = b.open();
  await create(writer);
  for (let n = 2; n <= 5; n++) await touch(writer, `v${n}`);
  const get = b.storage.get.bind(b.storage);
  b.storage.get = async (location) => {
    if (location === HINT) return get(location);
    b.storage.get = get;
    await touch(writer, "v6");
    b.storage.objects.delete(location);
    return get(location);
  };
  expect(await touched(b.open())).toBe("v6");
});

describe("cost", () => {
  test("with 10,000 versions neither loads nor commits list the folder", async () => {
    const b = bench();
    const content = encode(writeTableMetadata(sampleTable("/wh/db/t")));
    for (let n = 1; n <= 10_000; n++) put(b, `${FOLDER}/v${n}.metadata.json`, content);
    put(b, HINT, encode("9998"));
    const catalog = b.open();
    for (let n = 0; n < 3; n++) {
      expect((await touch(catalog, String(n))).kind).toBe("committed");
    }
    const cold = b.open();
    expect((await cold.load(NAME))?.metadataLocation).toBe(`${FOLDER}/v10003.metadata.json`);
    expect(b.storage.calls["list"] ?? 0).toBe(0);
    b.storage.calls["head"] = 0;
    await cold.load(NAME);
    expect(b.storage.calls["head"]).toBeLessThanOrEqual(4);
  });
});
