/** A way to delete that was asked for by name, and the tables that it is about. */
import { expect, test } from "bun:test";
import { buildPipeline } from "#config/buildPipeline.ts";
import { openEnvironment } from "#config/environment.ts";
import { letterTable } from "#config/letterTable.ts";
import { deleteModeRefusal } from "#writer/deleteMode.ts";
import { loadRight } from "../config/helpers.ts";

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
  expect(deleteModeRefusal("t", 2, main)).toBeNull();
  expect(deleteModeRefusal("t", 3, main)?.message).toContain('"equality" is for v2');
  // They may have been there before, in the format of then.
  for (const beside of [log, letterTable(main), letterTable(log)]) {
    expect(deleteModeRefusal("t", 3, beside)).toBeNull();
  }
});
