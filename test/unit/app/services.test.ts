/** What is known of services, and what looks at them while nothing flows. */
import { describe, expect, test } from "bun:test";
import { folderSizes, probeStorage, watchFolders } from "#app/probes.ts";
import { Services } from "#app/services.ts";
import { fail, describe as sentenceOf } from "#base/errors.ts";
import type { Observation } from "#base/events.ts";
import { seededRandom } from "#base/random.ts";
import type { Storage } from "#storage/storage.ts";
import { openStateDir } from "#txlog/stateDir.ts";
import { createLossyDisk } from "../../fakes/lossyDisk.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { SimClock } from "../../sim/simClock.ts";

const clockAtZero = (): SimClock => new SimClock(0, () => undefined);
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};
const POSITION: Observation = {
  type: "position",
  topic: "t",
  partition: 0,
  position: 1n,
  highWatermark: 1n,
  lastStableOffset: 1n,
  timestampMs: 0,
};

describe("what is known of a service", () => {
  test("is its newest failure, until it answers", () => {
    const services = new Services(clockAtZero());
    const trouble = fail("storage_unreachable", "no answer");
    services.observe({ type: "service", service: "storage", trouble });
    expect(services.trouble("storage")).toBe(trouble);
    expect(services.trouble("kafka")).toBeNull();
    services.observe({ type: "service", service: "storage", trouble: null });
    expect(services.trouble("storage")).toBeNull();
  });

  test("of Kafka ends with the answer to a fetch", () => {
    const services = new Services(clockAtZero());
    const trouble = fail("kafka_unreachable", "connection refused");
    services.observe({ type: "service", service: "kafka", trouble });
    expect(services.kafkaTrouble(500, () => true)).toBe(trouble);
    services.observe(POSITION);
    expect(services.kafkaTrouble(500, () => true)).toBeNull();
  });

  test("of Kafka is its silence as well, while it is asked for records", () => {
    const clock = clockAtZero();
    const services = new Services(clock);
    services.observe(POSITION);
    clock.advance(5400);
    expect(services.kafkaTrouble(500, () => true)).toBeNull();
    clock.advance(3600);
    expect(services.kafkaTrouble(500, () => false)).toBeNull();
    expect(sentenceOf(services.kafkaTrouble(500, () => true))).toBe(
      "Kafka has not answered for 9 s",
    );
  });
});

describe("the probe of a store", () => {
  function probed(head: Storage["head"]) {
    const clock = clockAtZero();
    const seen: (string | null)[] = [];
    const stop = new AbortController();
    const storage = Object.assign(createMemoryStorage(), { head });
    const observe = (each: Observation): void => {
      if (each.type !== "service") return;
      seen.push(each.trouble === null ? null : sentenceOf(each.trouble));
    };
    const ended = probeStorage({ clock, storage, observe }, "s3://b/probe", stop.signal);
    const pass = async (ms: number): Promise<void> => {
      clock.advance(ms);
      await settle();
    };
    return { seen, pass, stop, ended };
  }

  test("finds a store that is away, and that it is back, while nothing is written", async () => {
    let isAway = true;
    const { seen, pass, stop, ended } = probed(async () => {
      if (isAway) throw fail("storage_unreachable", "S3 did not do HeadObject");
      return null;
    });
    await pass(10_000);
    isAway = false;
    await pass(10_000);
    expect(seen).toEqual(["S3 did not do HeadObject", null]);
    stop.abort();
    await ended;
  });

  test("finds a store that hangs", async () => {
    const { seen, pass, stop } = probed(() => new Promise(() => undefined));
    await pass(10_000);
    await pass(5000);
    expect(seen).toEqual(["The store has not answered for 5000 ms"]);
    stop.abort();
  });

  test("does not take a refusal for a store that is away, and asks no more", async () => {
    const refuse = () => Promise.reject(fail("storage_refused", "no ListBucket"));
    const { seen, pass, ended } = probed(refuse);
    await pass(10_000);
    await ended;
    expect(seen).toEqual([null]);
  });
});

test("a folder of the process that somebody removed is found, and named", async () => {
  const clock = clockAtZero();
  const disk = createLossyDisk({ random: seededRandom(1) }).mount();
  const state = await openStateDir("/state", { disk, random: seededRandom(2), pid: 7 });
  const stop = new AbortController();
  const watch = watchFolders({ clock, disk, state }, [], stop.signal);
  await settle();
  expect(watch.trouble).toBeNull();
  const other = watchFolders({ clock, disk, state }, ["/state/log"], stop.signal);
  await settle();
  expect(sentenceOf(other.trouble)).toContain("The folder /state/log is gone");
  await disk.mkdir("/state/log");
  clock.advance(10_000);
  await settle();
  expect(other.trouble).toBeNull();
  stop.abort();
});

test("a state directory that was removed and made again under the process is found", async () => {
  const clock = clockAtZero();
  const disk = createLossyDisk({ random: seededRandom(1) }).mount();
  const state = await openStateDir("/state", { disk, random: seededRandom(2), pid: 7 });
  const stop = new AbortController();
  const watch = watchFolders({ clock, disk, state }, [], stop.signal);
  await settle();
  expect(watch.trouble).toBeNull();
  // A process that was refused leaves an empty lock file, one that was not its own number.
  for (const content of ["", "8\n"]) {
    await disk.unlink("/state/lock");
    await (await disk.create("/state/lock")).write(new TextEncoder().encode(content), 0);
    clock.advance(10_000);
    await settle();
    expect(sentenceOf(watch.trouble)).toContain("was replaced");
  }
  stop.abort();
});

test("the size on disk counts a log beside the state directory, and one inside it once", async () => {
  const disk = createLossyDisk({ random: seededRandom(1) }).mount();
  for (const folder of ["/state", "/logs", "/state/logs"]) await disk.mkdir(folder);
  for (const path of ["/state/a", "/logs/b", "/state/logs/c"]) {
    await (await disk.create(path)).write(new Uint8Array(100), 0);
  }
  expect(await folderSizes(disk, ["/state", "/logs"])).toBe(300);
  expect(await folderSizes(disk, ["/state", "/state/logs"])).toBe(200);
  expect(await folderSizes(disk, ["/state", "/gone"])).toBe(200);
});
