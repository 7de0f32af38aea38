/** Commands find the pipeline of a table, also of those beside the tables that topics feed. */
import { expect, test } from "bun:test";
import { cpSync } from "node:fs";
import { withTable } from "#cli/open.ts";
import { coordinatesBeside } from "#config/besideTables.ts";
import { openEnvironment } from "#config/environment.ts";
import { loadRight } from "../config/helpers.ts";
import { makePlace } from "./place.ts";

test("a log of changes and letters belong to the pipeline that writes their table, and have columns of their own that name records", async () => {
  const { folder } = await makePlace();
  const pipeline = (name: string, topic: string): string => `
[[pipelines]]
name = "${name}"
kafka = { topic = "${topic}" }
iceberg = { warehouse_path = "${folder}/wh", database_name = "default" }
source = { mode = "cdc", key_field = ["id"], key_format = "json", track_changes = true }
`;
  const config = await loadRight(pipeline("first", "a") + pipeline("second", "b"));
  const opened = { config, environment: await openEnvironment(null, null, {}) };
  const [, second] = config.pipelines;
  if (second === undefined) throw new Error("no pipeline");
  const of = (table: string) => coordinatesBeside(second.values, { namespace: ["default"], table });
  const letters = { topic: "topic", partition: "partition", offset: "offset" };
  const changes = { topic: null, partition: "_kafka_partition", offset: "_kafka_offset" };
  for (const [table, columns] of [
    ["b", null],
    ["b__changes", changes],
    ["b__dead_letter", letters],
    ["b__changes__dead_letter", letters],
    ["a__changes", null],
  ] as const) {
    expect(of(table)).toEqual(columns);
    cpSync(`${folder}/wh/default/events`, `${folder}/wh/default/${table}`, { recursive: true });
    const found = await withTable(opened, table, true, async (each) => each.pipeline.name);
    expect(found).toBe(table.startsWith("b") ? "second" : "first");
  }
});
