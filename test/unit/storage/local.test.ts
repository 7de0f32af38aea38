import { describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Disk, systemDisk } from "#base/disk.ts";
import { AppError } from "#base/errors.ts";
import { type Random, seededRandom, systemRandom } from "#base/random.ts";
import { createLocalStorage } from "#storage/local.ts";
import type { Storage } from "#storage/storage.ts";
import { createLossyDisk, type DiskStep, type LossyDisk } from "../../fakes/lossyDisk.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (content: Uint8Array): string => new TextDecoder().decode(content);

async function errorOf(run: Promise<unknown>): Promise<AppError> {
  const error = await run.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw new Error(`no AppError but ${String(error)}`);
}

/** Local storage on a disk that fails a step with a system error. */
function failing(fault: (step: DiskStep) => string | null): { storage: Storage; disk: LossyDisk } {
  const disk = createLossyDisk({ random: seededRandom(1), fault });
  return { storage: createLocalStorage({ disk: disk.mount(), random: seededRandom(2) }), disk };
}

describe("local storage: order of durable steps", () => {
  test("put syncs the file before it is linked, and its folder after that", async () => {
    const { storage, disk } = failing(() => null);
    await storage.put("/w/t/a", bytes("x"));
    const order = disk.steps
      .filter(({ operation }) => !["stat", "size", "close"].includes(operation))
      .map(({ operation, path }) => `${operation} ${path.replace(/[0-9a-f-]{36}/, "ID")}`);
    expect(order).toEqual([
      "mkdir /w",
      "syncDir /",
      "mkdir /w/t",
      "syncDir /w",
      "create /w/t/.a.ID.tmp",
      "write /w/t/.a.ID.tmp",
      "sync /w/t/.a.ID.tmp",
      "link /w/t/a",
      "unlink /w/t/.a.ID.tmp",
      "syncDir /w/t",
    ]);
  });

  test("a folder is synced into its parent once per process, not for every object", async () => {
    const { storage, disk } = failing(() => null);
    await Promise.all(["a", "b", "c"].map((name) => storage.put(`/w/t/${name}`, bytes(name))));
    const parents = disk.steps.filter(
      ({ operation, path }) => operation === "syncDir" && path === "/w",
    );
    expect(parents.length).toBe(1);
  });
});

interface Outcome {
  readonly acknowledged: Map<string, string>;
  readonly tried: Map<string, string>;
}

/** Two processes write objects, some of one name, until the power fails at `crashStep`. */
async function writeUntilCrash(
  lossy: LossyDisk,
  random: Random,
  crashStep: number,
  mount: (disk: Disk) => Disk,
): Promise<Outcome> {
  lossy.crashAt(crashStep);
  const acknowledged = new Map<string, string>();
  const tried = new Map<string, string>();
  const processes = [1, 2].map(async (process) => {
    const storage = createLocalStorage({ disk: mount(lossy.mount()), random });
    for (let at = 0; at < 3; at++) {
      const own = `/w/db/t${at}/data/p=${process}/${at}.parquet`;
      const content = `${process}-${at}`.repeat(300);
      tried.set(own, content);
      await storage.put(own, bytes(content));
      acknowledged.set(own, content);
      const shared = `/w/db/t${at}/metadata/v1`;
      if (await storage.putIfAbsent(shared, bytes(content))) acknowledged.set(shared, content);
    }
  });
  await Promise.allSettled(processes);
  return { acknowledged, tried };
}

/** What the promise of durable writes is broken by after a crash; empty when it is kept. */
async function brokenPromises(lossy: LossyDisk, outcome: Outcome): Promise<string[]> {
  const storage = createLocalStorage({ disk: lossy.mount(), random: seededRandom(9) });
  const broken: string[] = [];
  for (const [location, content] of outcome.acknowledged) {
    if ((await storage.head(location)) === null) broken.push(`lost ${location}`);
    else if (text(await storage.get(location)) !== content) broken.push(`altered ${location}`);
  }
  for (const [location, content] of outcome.tried) {
    if ((await storage.head(location)) === null) continue;
    if (text(await storage.get(location)) !== content) broken.push(`half written ${location}`);
  }
  return broken;
}

/** Crashes at every step of the run, each with several outcomes of chance. */
async function crashEverywhere(mount: (disk: Disk) => Disk): Promise<string[]> {
  const broken: string[] = [];
  for (let crashStep = 0; ; crashStep++) {
    let finished = 0;
    for (let seed = 0; seed < 6; seed++) {
      const random = seededRandom(crashStep * 100 + seed);
      const lossy = createLossyDisk({ random });
      const outcome = await writeUntilCrash(lossy, random, crashStep, mount);
      if (lossy.steps.length <= crashStep) {
        finished++;
        lossy.crash();
      }
      const found = await brokenPromises(lossy, outcome);
      broken.push(...found.map((what) => `seed ${seed}, step ${crashStep}: ${what}`));
    }
    if (finished === 6) return broken;
  }
}

describe("local storage: power loss at every step", () => {
  test("an acknowledged put is there whole, another one is absent or whole", async () => {
    expect(await crashEverywhere((disk) => disk)).toEqual([]);
  });

  test("the check finds a storage whose file sync does nothing", async () => {
    const noSync = (disk: Disk): Disk => ({
      ...disk,
      create: async (path) => ({ ...(await disk.create(path)), sync: async () => undefined }),
    });
    expect((await crashEverywhere(noSync)).length).toBeGreaterThan(0);
  });

  test("the check finds a storage whose folder sync does nothing", async () => {
    const noSyncDir = (disk: Disk): Disk => ({ ...disk, syncDir: async () => undefined });
    expect((await crashEverywhere(noSyncDir)).length).toBeGreaterThan(0);
  });
});

describe("local storage: errors", () => {
  test.each([
    ["ENOSPC", "storage_full"],
    ["EDQUOT", "storage_full"],
    ["EROFS", "storage_full"],
    ["EACCES", "storage_refused"],
    ["EPERM", "storage_refused"],
    ["EIO", "storage_unreachable"],
  ])("%s while writing is %s, names the path and leaves nothing behind", async (code, kind) => {
    const { storage } = failing(({ operation }) => (operation === "write" ? code : null));
    const error = await errorOf(storage.put("/w/a", bytes("x")));
    expect(error.kind).toBe(kind as AppError["kind"]);
    expect(error.message).toContain("/w/a");
    expect(await Array.fromAsync(storage.list("/w"))).toEqual([]);
  });

  test("a failed sync of the file leaves no object", async () => {
    const { storage, disk } = failing(({ operation }) => (operation === "sync" ? "EIO" : null));
    expect((await errorOf(storage.put("/w/a", bytes("x")))).kind).toBe("storage_unreachable");
    expect(await storage.head("/w/a")).toBeNull();
    expect(disk.steps.some(({ operation }) => operation === "link")).toBe(false);
  });

  test("a failed sync of the folder is not acknowledged", async () => {
    const { storage } = failing(({ operation, path }) =>
      operation === "syncDir" && path === "/w" ? "EIO" : null,
    );
    expect((await errorOf(storage.put("/w/a", bytes("x")))).kind).toBe("storage_unreachable");
  });

  test("a file that is shorter than what was written is storage_corrupt", async () => {
    const lossy = createLossyDisk({ random: seededRandom(1) });
    const disk = lossy.mount();
    const short: Disk = {
      ...disk,
      create: async (path) => ({ ...(await disk.create(path)), size: async () => 0 }),
    };
    const storage = createLocalStorage({ disk: short, random: seededRandom(1) });
    expect((await errorOf(storage.put("/w/a", bytes("x")))).kind).toBe("storage_corrupt");
    expect(await storage.head("/w/a")).toBeNull();
  });

  test("a parent folder that may not be read is no hindrance when nothing is created in it", async () => {
    const disk = createLossyDisk({
      random: seededRandom(1),
      fault: ({ operation, path }) => (operation === "syncDir" && path === "/" ? "EACCES" : null),
    });
    await disk.mount().mkdir("/w");
    const storage = createLocalStorage({ disk: disk.mount(), random: seededRandom(1) });
    await storage.put("/w/t/a", bytes("x"));
    const other = createLocalStorage({ disk: disk.mount(), random: seededRandom(2) });
    expect((await errorOf(other.put("/new/a", bytes("x")))).kind).toBe("storage_refused");
  });

  test("a location that is not an absolute path is a usage error", async () => {
    const { storage } = failing(() => null);
    for (const location of ["a/b", "file:a", "file://host/a", "s3://b/k"])
      expect((await errorOf(storage.head(location))).kind).toBe("usage");
  });
});

describe("local storage: leftovers", () => {
  test("temporary files are not listed and are removed by their upload id or location", async () => {
    const { storage, disk } = failing(() => null);
    const known = await storage.writer("/w/known");
    const unknown = await storage.writer("/w/unknown");
    const other = await storage.writer("/w/unknown.other");
    for (const writer of [known, unknown, other]) await writer.write(bytes("x"));
    expect(await Array.fromAsync(storage.list("/w"))).toEqual([]);
    await storage.abortUploads([
      { location: "/w/known", uploadId: known.uploadId ?? "" },
      { location: "/w/unknown", uploadId: "" },
      { location: "/w/never", uploadId: "" },
      { location: "/nowhere/never", uploadId: "" },
    ]);
    const names = await Array.fromAsync(disk.mount().list("/w"));
    expect(names).toEqual([`.unknown.other.${other.uploadId}.tmp`]);
    await other.close();
    expect(text(await storage.get("/w/unknown.other"))).toBe("x");
  });

  test("a folder that was removed meanwhile is made again", async () => {
    const { disk } = failing(() => null);
    const storage = createLocalStorage({ disk: disk.mount(), random: seededRandom(1) });
    await storage.put("/w/t/a", bytes("x"));
    let isGone = true;
    const mounted = disk.mount();
    const forgetful: Disk = {
      ...mounted,
      create: async (path) => {
        if (!isGone) return mounted.create(path);
        isGone = false;
        throw Object.assign(new Error("gone"), { code: "ENOENT" });
      },
    };
    const other = createLocalStorage({ disk: forgetful, random: seededRandom(2) });
    await other.put("/w/t/b", bytes("x"));
    expect(await other.head("/w/t/b")).not.toBeNull();
  });
});

test("a name of 255 bytes, the longest that a disk takes, is written, listed and its leavings removed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kafka-iceberg-long-"));
  try {
    const storage = createLocalStorage({ disk: systemDisk, random: systemRandom });
    for (const name of ["x".repeat(255), `${"é".repeat(123)}.parquet`]) {
      const location = `${folder}/${name}`;
      await storage.put(location, bytes("content"));
      const left = await storage.writer(`${location.slice(0, -1)}y`);
      await left.write(bytes("lost"));
      expect(await storage.get(location)).toEqual(bytes("content"));
      await storage.abortUploads([{ location: `${location.slice(0, -1)}y`, uploadId: "" }]);
      expect((await readdir(folder)).filter((each) => each.endsWith(".tmp"))).toEqual([]);
    }
    expect((await Array.fromAsync(storage.list(`${folder}/`))).length).toBe(2);
    const error = await errorOf(storage.put(`${folder}/${"x".repeat(256)}`, bytes("x")));
    expect([error.kind, error.message]).toEqual([
      "storage_refused",
      expect.stringContaining("too long for the disk"),
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
