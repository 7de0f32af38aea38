import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { openStorage } from "#storage/open.ts";
import { createLossyDisk } from "../../fakes/lossyDisk.ts";
import { createS3Fake } from "../../fakes/s3Http.ts";
import { storeOptions } from "../../fakes/storeOptions.ts";

const content = new TextEncoder().encode("x");

function open() {
  const fake = createS3Fake({ buckets: ["b"] });
  const random = seededRandom(1);
  const disk = createLossyDisk({ random }).mount();
  const parts = { disk, clock: systemClock, random, log: silentLogger };
  const storage = openStorage(storeOptions, { ...parts, ...fake });
  return { storage, fake };
}

test("each location goes to the store of its scheme, in one list too", async () => {
  const { storage, fake } = open();
  for (const location of ["/w/a", "file:/w/c", "s3://b/d", "s3a://b/e"]) {
    await storage.put(location, content);
    expect(await storage.putIfAbsent(location, content)).toBe(false);
    expect(await storage.get(location)).toEqual(content);
    expect(await storage.getRange(location, 0, 1)).toEqual(content);
    expect((await storage.head(location))?.location).toBe(location);
  }
  expect([...fake.objects.keys()].sort()).toEqual(["b/d", "b/e"]);
  const writer = await storage.writer("file:///w/f");
  await writer.abort();
  await storage.abortUploads([
    { location: "/w/a", uploadId: "" },
    { location: "s3://b/d", uploadId: "" },
  ]);
  await storage.remove(["/w/a", "s3://b/d", "file:/w/c"]);
  expect(await Array.fromAsync(storage.list("/w"))).toEqual([]);
  expect([...fake.objects.keys()]).toEqual(["b/e"]);
  await storage.close();
});

test.each([
  ["ftp://h/k", "not known"],
  ["hdfs://h/k", "known are file, s3"],
  ["gs:/b/k", "gs://bucket/key"],
  ["abfss://account.dfs.core.windows.net/k", "abfss://container@account"],
])("%s is refused with a sentence that says what it is", async (location, words) => {
  const { storage } = open();
  const error = await storage.get(location).catch((thrown: unknown) => thrown);
  expect(kindOf(error)).toBe("usage");
  expect(String(error)).toContain(words);
});
