/** `/health` blames the dependency that an error is about, and readiness follows the services. */
import { describe, expect, test } from "bun:test";
import { healthOf, type WatchedPipeline } from "#app/health.ts";
import { type ReportedPipeline, statusSource } from "#app/status.ts";
import { diskError } from "#base/disk.ts";
import { type ErrorKind, fail, POLICY } from "#base/errors.ts";
import { systemError } from "../../fakes/lossyDisk.ts";
import { AppRig } from "../../support/appRig.ts";

const QUIET: WatchedPipeline = {
  state: "running",
  pipeline: null,
  kafkaTrouble: null,
  storageTrouble: null,
  registryTrouble: null,
  lastError: null,
};

/** Checks that are not ok, with their sentences. */
function blamed(run: Partial<WatchedPipeline>, state: unknown = null): Record<string, string> {
  const { checks } = healthOf([{ ...QUIET, ...run }], state, null);
  const bad = Object.entries(checks).filter(([, { status }]) => status !== "ok");
  return Object.fromEntries(bad.map(([name, { detail }]) => [name, detail]));
}

describe("/health", () => {
  test("blames exactly one check for an error of any kind, with its cause", () => {
    for (const kind of Object.keys(POLICY) as ErrorKind[]) {
      const found = blamed({ lastError: fail(kind, "It failed", {}, new TypeError("because")) });
      expect(Object.values(found)).toEqual(["It failed: because"]);
    }
  });

  test("blames what an error is about, not who met it", () => {
    const full = diskError(systemError("ENOSPC", "/wh/a"), "write", "/wh/a");
    const held = fail("catalog_unreachable", "The first position is not committed yet", {}, full);
    expect(Object.keys(blamed({ lastError: held }))).toEqual(["storage"]);
    const deleted = fail("topic_unreadable", "Topic a was deleted");
    expect(blamed({ lastError: deleted })).toEqual({ kafka: "Topic a was deleted" });
  });

  test("a disk of the state directory that is full, read-only or locked is the log's trouble, not the store's", () => {
    for (const code of ["ENOSPC", "EROFS", "EACCES", "ENOENT", "EIO"]) {
      for (const path of ["/state/transaction_logs/1.log", "/logs/1.log", "/state"]) {
        const held = fail(
          "storage_full",
          "Commit held",
          {},
          diskError(systemError(code, path), "write", path),
        );
        const { checks } = healthOf([{ ...QUIET, lastError: held }], null, null, [
          "/state",
          "/logs",
        ]);
        expect([checks.storage.status, checks.transaction_log.status]).toEqual(["ok", "degraded"]);
      }
      const elsewhere = diskError(systemError(code, "/state2/a"), "write", "/state2/a");
      const { checks } = healthOf([{ ...QUIET, lastError: elsewhere }], null, null, ["/state"]);
      expect([checks.storage.status, checks.transaction_log.status]).toEqual(["degraded", "ok"]);
    }
  });

  test("says of a read-only warehouse why it cannot be written", () => {
    const readOnly = diskError(systemError("EROFS", "/wh/a"), "write", "/wh/a");
    const held = fail(
      "catalog_unreachable",
      "The first position is not committed yet",
      {},
      readOnly,
    );
    expect(blamed({ lastError: held })["storage"]).toContain(
      "The disk of /wh/a is read-only: EROFS",
    );
  });

  test("tells of a store, of Kafka and of the state directory that are away", () => {
    const storageTrouble = fail("storage_unreachable", "S3 did not do PutObject");
    const kafkaTrouble = fail("kafka_unreachable", "Kafka has not answered for 9 s");
    const state = fail("state", "The folder /s is gone");
    expect(blamed({ storageTrouble, kafkaTrouble }, state)).toEqual({
      storage: "S3 did not do PutObject",
      kafka: "Kafka has not answered for 9 s",
      transaction_log: "The folder /s is gone",
    });
  });

  test("is failed only when every pipeline has stopped", () => {
    const stopped = { ...QUIET, state: "stopped" as const, lastError: fail("data", "bad") };
    expect(healthOf([stopped, QUIET], null, null).status).toBe("degraded");
    expect(healthOf([stopped, stopped], null, null).status).toBe("failed");
    expect(healthOf([QUIET], null, null).status).toBe("ok");
  });
});

describe("the reports of a running pipeline", () => {
  const reported = (rig: AppRig, more: Partial<ReportedPipeline> = {}): ReportedPipeline => ({
    ...QUIET,
    name: "p",
    pipeline: rig.pipeline,
    positions: { of: () => undefined, observe: () => undefined } as never,
    assigned: true,
    recordsConsumed: 0,
    circuit: "closed",
    maintenanceOf: () => [],
    ...more,
  });
  const sourceOf = (rig: AppRig, run: ReportedPipeline, recordsMax = 0) =>
    statusSource({
      clock: rig.clock,
      version: "1",
      commit: "c",
      startedMs: 0,
      lag: { msMax: 0, recordsMax },
      stateTrouble: () => null,
      stateFolders: [],
      pipelines: [run],
    });

  test("are ready once every partition has its offset, and not while a service is away", async () => {
    const rig = new AppRig();
    const run = reported(rig);
    expect(sourceOf(rig, { ...run, state: "starting" }).ready()).toBe(false);
    await rig.start();
    expect(sourceOf(rig, run).ready()).toBe(true);
    expect(sourceOf(rig, { ...run, assigned: false }).ready()).toBe(false);
    expect(sourceOf(rig, { ...run, state: "retrying" }).ready()).toBe(false);
  });

  test("blame Kafka for a topic that is gone, and name it at its table", async () => {
    const rig = await new AppRig().start();
    rig.table.failedTopics.set("t", fail("topic_unreadable", "Topic t was deleted"));
    const source = sourceOf(rig, reported(rig));
    expect(source.health().checks.kafka.detail).toBe("Topic t was deleted");
    expect(source.health().checks.catalog.status).toBe("ok");
    expect(source.status().pipelines[0]?.tables[0]?.lastError).toBe("Topic t was deleted");
  });

  test("tell the lag by what Kafka has said, and nothing while it has said nothing", async () => {
    const rig = await new AppRig().start();
    const [partition] = sourceOf(rig, reported(rig)).status().pipelines[0]?.partitions ?? [];
    expect(partition).toMatchObject({ highWatermark: null, lastStableOffset: null, lag: null });
    const where = { topic: "t", partition: 0, position: 0n, timestampMs: 0 };
    const seen = { ...where, type: "position", highWatermark: 30n, lastStableOffset: 20n } as const;
    const positions = { of: () => seen, observe: () => undefined } as never;
    const source = sourceOf(rig, reported(rig, { positions }), 10);
    expect(source.status().pipelines[0]?.partitions[0]).toMatchObject({
      highWatermark: 30n,
      lastStableOffset: 20n,
      lag: 30n,
    });
    expect(source.health().checks.lag.detail).toBe("t/0 is 30 records behind");
  });
});
