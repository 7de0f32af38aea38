/**
 * Files of deletes by equality (Iceberg spec, "Equality Delete Files"): of every key that a flush changes the values of
 * its columns, under the spec whose deletes reach all its rows (`iceberg/deletes/equalityScope.ts`).
 */
import { assert } from "#base/assert.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Ledger } from "#commit/ledger.ts";
import { equalitySpec } from "#iceberg/deletes/equalityScope.ts";
import { dataFile } from "./dataFile.ts";
import { fileForm } from "./fileForm.ts";
import type { FeedFlush, WriterOptions, WriterParts } from "./parts.ts";
import { currentFields } from "./schema.ts";
import { reducedMetrics } from "./tableProperties.ts";
import { type FileContent, NOTHING_BEGUN, type WrittenUnit, writeFiles } from "./write.ts";

/**
 * Writes the deletes of a flush; the rows that are selected of it are those whose keys are deleted.
 * @param key names of the key's columns
 */
export async function writeEqualityDeletes(
  parts: WriterParts,
  options: WriterOptions,
  table: LoadedTable,
  flushes: readonly FeedFlush[],
  key: readonly string[],
  ledger: Ledger,
): Promise<WrittenUnit[]> {
  if (flushes.every(({ batches }) => batches.length === 0)) return [];
  const names = new Set(key);
  const keys = flushes.map((flush) => ({
    ...flush,
    batches: flush.batches.map((batch) => projected(batch, names)),
  }));
  const content = keyContent(options, table, key);
  return await writeFiles(parts, options, table, keys, ledger, NOTHING_BEGUN, content);
}

/** The columns of these names. */
function projected(batch: ColumnBatch, names: ReadonlySet<string>): ColumnBatch {
  const columns = batch.columns.filter(({ field }) => names.has(field.name));
  return { ...batch, columns, fields: columns.map(({ field }) => field) };
}

/** The keys that are deleted. */
function keyContent(
  options: WriterOptions,
  table: LoadedTable,
  key: readonly string[],
): FileContent {
  const { metadata } = table;
  const fields = currentFields(table).filter(({ name }) => key.includes(name));
  assert(fields.length === key.length, "the table has the columns of its key");
  const ids = fields.map(({ id }) => id);
  const spec = equalitySpec(metadata, ids);
  assert(spec !== null, "a table got a spec for its deletes before they are written");
  const { encode, ...form } = fileForm(options, table);
  const reduced = reducedMetrics(currentFields(table), metadata.properties);
  return {
    shape: { fields, spec },
    form: { ...form, encode: { ...encode, bloomFilters: [] } },
    describe: ({ path, partition }, stored) => ({
      ...dataFile(path, stored, spec.specId, partition, reduced),
      content: "equality-deletes",
      equalityIds: ids,
      sortOrderId: null,
    }),
  };
}
