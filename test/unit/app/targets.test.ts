/** Tables that topics ask for, and those beside them. */
import { expect, test } from "bun:test";
import { Targets } from "#app/targets.ts";
import { buildPipeline } from "#config/buildPipeline.ts";
import { openEnvironment } from "#config/environment.ts";
import { Feeds } from "#pipeline/feeds.ts";
import { Sinks } from "#pipeline/sinks.ts";
import { MemoryLog, partsOf } from "../../sim/process.ts";
import { SimClock } from "../../sim/simClock.ts";
import { World } from "../../sim/world.ts";
import { loadRight } from "../config/helpers.ts";

const TEXT = `[kafka]
topic_pattern = ".*"
[source]
event_time_field = "ts"
late_threshold_seconds = 5
late_table = "{schema}_{table}_late"
[iceberg]
table_name = "{schema}{table}"
`;

async function targets(text = TEXT): Promise<Targets> {
  const [pipeline] = (await loadRight(text)).pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  const options = await buildPipeline(pipeline, await openEnvironment(null, null, {}), "instance");
  const world = new World(1, "sequence", 1);
  const clock = new SimClock(world.nowMs, () => undefined);
  const log = new MemoryLog().reopen(() => 0);
  return new Targets(
    options,
    partsOf(world, "A", log, () => true, clock),
    null,
  );
}

test("topics whose names meet in one table have one late table, or are refused", async () => {
  const made = await targets();
  const [first] = made.of("ab.c");
  expect(first?.sides?.map(({ sink }) => sink.name)).toEqual([
    "default.abc__dead_letter",
    "default.ab_c_late",
  ]);
  expect(made.of("ab.c")[0]).toBe(first as never);
  expect(made.of("x.ab.c")[0]).toBe(first as never);
  expect(() => made.of("a.bc")).toThrow(
    "Late rows of topic a.bc would go into table default.a_bc_late, and those of its table's other topics go into default.ab_c_late",
  );
});

test("the log of a table's changes is the second table of its topic, with dead letters of its own", async () => {
  const text = `[kafka]
topic_pattern = ".*"
[source]
mode = "cdc"
track_changes = true
key_field = ["id"]
key_format = "json"
[schema]
fields = [{name = "id", type = "long", required = true}, {name = "n", type = "int", required = true}]
`;
  const made = await targets(text);
  const [main, log] = made.of("a");
  expect([main, log].map((each) => each?.sink.name)).toEqual(["default.a", "default.a__changes"]);
  expect(made.of("a")[1]).toBe(log as never);
  expect(log?.sides?.map(({ sink }) => sink.name)).toEqual(["default.a__changes__dead_letter"]);
  expect([main?.sink.rank, log?.sink.rank]).toEqual(["main", "changes"]);
  const { key, create, coordinates } = log?.sink.options ?? {};
  expect([key, create?.partitionForms]).toEqual([[], ["day(_kafka_timestamp)"]]);
  expect(coordinates).toMatchObject({ partition: "_kafka_partition", offset: "_kafka_offset" });
  const names = log?.source.decoder.fields.map(({ name }) => name);
  expect(names).toEqual([
    "id",
    "n",
    ...["partition", "offset", "timestamp", "op", "source_ts", "source_lsn", "source_table"].map(
      (name) => `_kafka_${name}`,
    ),
    "_kafka_deleted",
  ]);
  expect(() => made.of("a__changes")).toThrow("would share table default.a__changes");
});

test("a table and the log of its changes end for one reason: the log is written to its end, the table only with it", async () => {
  const text = '[kafka]\ntopic = "a"\n[source]\nmode = "ktable"\ntrack_changes = true\n';
  for (const [kind, which, ofTable, ofLog, running] of [
    ["unreadable", "table", "draining", "draining", 2],
    ["unreadable", "log", "draining", "draining", 2],
    ["failed", "table", "stopped", "draining", 1],
    ["failed", "log", "stopped", "stopped", 0],
  ] as const) {
    const made = await targets(text);
    const sinks = new Sinks(
      (topic) => made.of(topic),
      new Feeds(),
      () => undefined,
      () => undefined,
    );
    const error = new Error("why");
    const [table, log] = sinks.of("a").map(({ sink }) => sink);
    (which === "table" ? table : log)?.apply({ kind, error });
    expect([table?.state, log?.state]).toEqual([
      { kind: ofTable, error },
      { kind: ofLog, error },
    ]);
    expect(sinks.running).toBe(running);
  }
});
