/** Ways in which older rows of a key go, or stay, and the tables that they are about. */
import { expect, test } from "bun:test";
import { LATEST_PROPERTY, writeLatest } from "#columns/latest.ts";
import { buildPipeline } from "#config/buildPipeline.ts";
import { openEnvironment } from "#config/environment.ts";
import { letterTable } from "#config/letterTable.ts";
import { deleteModeRefusal } from "#writer/deleteMode.ts";
import { loadRight } from "../config/helpers.ts";

const LATEST = {
  ...{ key: ["id"], orderField: null, deleted: "_kafka_deleted" },
  ...{ partition: "_kafka_partition", offset: "_kafka_offset" },
};
const table = (latest: typeof LATEST | null, formatVersion: 2 | 3 = 2) => ({
  formatVersion,
  properties: (latest === null ? {} : { [LATEST_PROPERTY]: writeLatest(latest) }) as Record<
    string,
    string
  >,
});

test("a way to delete is asked of the table whose rows are changed, not of those beside it, whose rows are appended", async () => {
  const text = `[kafka]
topic = "t"
[source]
mode = "cdc"
key_field = ["id"]
key_format = "json"
track_changes = true
[iceberg]
write = { delete_mode = "equality", format_version = 2 }
`;
  const [values] = (await loadRight(text)).pipelines;
  if (values === undefined) throw new Error("no pipeline");
  const built = await buildPipeline(values, await openEnvironment(null, null, {}), "instance");
  const main = built.writer("t");
  const log = built.changeLog?.tableOf(main);
  if (log === undefined) throw new Error("no log of changes");
  expect(deleteModeRefusal("t", table(null), main)).toBeNull();
  expect(deleteModeRefusal("t", table(null, 3), main)?.message).toContain('"equality" is for v2');
  // They may have been there before, in the format of then.
  for (const beside of [log, letterTable(main), letterTable(log)]) {
    expect(deleteModeRefusal("t", table(null, 3), beside)).toBeNull();
  }
});

test("a table whose changes stay is written so, by one key and order, and no other table is", () => {
  expect(deleteModeRefusal("t", table(null), {})).toBeNull();
  expect(deleteModeRefusal("t", table(LATEST), { latest: LATEST })).toBeNull();
  expect(deleteModeRefusal("t", table(LATEST), {})?.message).toContain("keeps every change");
  const refusal = deleteModeRefusal("t", table(null), { latest: LATEST })?.message;
  expect(refusal).toContain("was not made for");
  expect(refusal).toContain(writeLatest(LATEST));
  const others = [{ key: ["other"] }, { deleted: null as unknown as string }];
  for (const other of others) {
    const latest = { ...LATEST, ...other };
    expect(deleteModeRefusal("t", table(LATEST), { latest })?.message).toContain("was not made");
  }
});
