/**
 * Counts the different values of columns of data files, in a process of its own (`rewrite/child.ts`): live rows by
 * field id, one column after the other, so that memory does not grow with their number.
 */
import { assert } from "#base/assert.ts";
import { deletedRows } from "#sql/deletedRows.ts";
import { columnMemory } from "#sql/duckdb/arrowBatches.ts";
import { columnsOfFiles } from "#sql/parquetNodes.ts";
import { openEngine } from "#sql/rewrite/openEngine.ts";
import type { SketchedColumn, SketchTask } from "#sql/rewrite/protocol.ts";
import { selectsOfRows } from "#sql/selectRows.ts";
import { countedForm, Sketcher } from "./sketcher.ts";

/** Does a task; the columns as they were asked for. @throws AppError `query`, `query_engine`, `rewrite_process` */
export async function sketchFiles(task: SketchTask): Promise<SketchedColumn[]> {
  const { files } = task;
  const instance = await openEngine(task);
  const sketcher = new Sketcher();
  try {
    const paths = [...files.data, ...files.equalityDeletes].map(({ path }) => path);
    const nodes = columnsOfFiles((sql) => instance.rows(sql), paths);
    const deleted = deletedRows(files.vectors);
    return task.columns.map(({ field, sketch }) => {
      const form = countedForm(field);
      assert(form !== null, "only columns that can be counted are asked for");
      sketcher.begin(sketch);
      // One after the other: together they may be no stream (decision 0479), and all values of a column do not fit into memory.
      for (const rows of selectsOfRows([{ ...field, name: "c" }], files, nodes, 0)) {
        instance.hot.begin([deleted]);
        const statement = instance.prepare(`SELECT ${form.sql} FROM (${rows})`);
        try {
          for (const array of statement.runArrays()) {
            sketcher.add(form, columnMemory(array, 0, form.width));
          }
        } finally {
          statement.close();
          instance.hot.end();
        }
      }
      return { field, sketch: sketcher.finish() };
    });
  } finally {
    instance.close();
  }
}
