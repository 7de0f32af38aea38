/** The engine that rewrites data files, with files in a folder of its own. */
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import type { PlannedInput } from "#maintenance/compactPlan.ts";
import type { RewriteEngine, RewriteJob, RewrittenGroup } from "#maintenance/engine.ts";
import { createRewriteEngine } from "#maintenance/rewriteEngine.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { Instance, sqlText } from "#sql/duckdb/instance.ts";
import { locateLibrary } from "#sql/library.ts";
import { openStorage } from "#storage/open.ts";
import type { Storage } from "#storage/storage.ts";
import { storeOptions } from "../fakes/storeOptions.ts";
import { batchOf, bytesOf, encodeWhole, type Row } from "../unit/parquet/rows.ts";
import { encodeVector } from "./deletionVectors.ts";
import { fileOf } from "./tableOf.ts";

/** Files, tables and an engine. */
export class RewriteRig {
  readonly folder: string;
  readonly storage: Storage;
  readonly engine: RewriteEngine;
  readonly stop: AbortSignal = new AbortController().signal;

  /** @param memoryBytesMax of the engine. Default: its own */
  constructor(folder: string, memoryBytesMax?: number) {
    this.folder = folder;
    this.storage = openStorage(storeOptions, {
      ...{ clock: systemClock, random: systemRandom, disk: systemDisk },
      ...{ log: silentLogger, observe: ignoreObservations },
    });
    this.engine = createRewriteEngine({
      libraryFolder: null,
      scratch: join(folder, "scratch"),
      codec: { codec: "zstd", codecLevel: null },
      encoder: createInlineEncoder(),
      ...(memoryBytesMax !== undefined && { memoryBytesMax }),
    });
  }

  tableOf(fields: readonly Field[], formatVersion: 2 | 3): LoadedTable {
    const metadata = newTableMetadata({
      uuid: "11111111-2222-4333-8444-555555555555",
      location: this.folder,
      fields: [],
      spec: () => ({ specId: 0, fields: [] }),
      formatVersion,
      properties: {},
      timestampMs: 1000,
    });
    const [schema] = metadata.schemas;
    if (schema === undefined) throw new Error("there is a schema");
    const withFields = { ...metadata, schemas: [{ ...schema, fields }] };
    return {
      name: { namespace: ["db"], table: "t" },
      metadata: withFields,
      metadataLocation: `${this.folder}/v1`,
      storage: this.storage,
    };
  }

  /** A file as ingest writes it. */
  async write(
    fields: readonly Field[],
    rows: readonly Row[],
    more: Partial<PlannedInput> = {},
    metadata: Readonly<Record<string, string>> = {},
    rowGroupRows = 50,
  ): Promise<PlannedInput> {
    const path = join(this.folder, `${systemRandom.uuid()}.parquet`);
    const options = { codec: "snappy", level: null, rowGroupRows, metadata } as const;
    const bytes = bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], options));
    await Bun.write(path, bytes);
    return {
      ...{ path, fileFormat: "PARQUET", specId: 0, partition: [], deletes: [] },
      ...{ recordCount: BigInt(rows.length), sizeBytes: BigInt(bytes.length) },
      ...{ sequenceNumber: 1n, snapshotId: null, firstRowId: null },
      ...more,
    };
  }

  /** A deletion vector of a file. */
  async vector(path: string, rows: readonly number[]): Promise<LiveFile> {
    const puffin = join(this.folder, `${systemRandom.uuid()}.puffin`);
    const blob = encodeVector([...rows], "plain");
    await Bun.write(puffin, blob);
    return {
      file: {
        ...fileOf("v", []),
        ...{ content: "position-deletes", fileFormat: "PUFFIN", filePath: puffin },
        ...{ referencedDataFile: path, recordCount: BigInt(rows.length) },
        ...{ contentOffset: 0n, contentSizeBytes: BigInt(blob.length) },
        fileSizeBytes: BigInt(blob.length),
      },
      ...{ snapshotId: 1n, sequenceNumber: 4n },
    };
  }

  /** @param more of the job. Default: rows stay as they come */
  async rewrite(
    head: LoadedTable,
    inputs: readonly PlannedInput[],
    more: Partial<RewriteJob> = {},
  ): Promise<RewrittenGroup> {
    const bytes = inputs.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
    const location = join(this.folder, `${systemRandom.uuid()}.parquet`);
    const job = { head, group: { inputs, bytes }, location, commitId: "new", ...more };
    return await this.engine.rewrite(job, this.stop);
  }

  /** Count, least and greatest id, and number of names, as DuckDB reads them. */
  async rowsByDuckDb(path: string): Promise<(string | null)[]> {
    const library = await locateLibrary(null);
    const options = { library, memoryBytesMax: 200e6, spillFolder: `${this.folder}/` };
    const instance = new Instance(options, [`${this.folder}/`]);
    try {
      const columns =
        "count(*)::VARCHAR, min(id)::VARCHAR, max(id)::VARCHAR, count(DISTINCT name)::VARCHAR";
      const [row = []] = instance.rows(`SELECT ${columns} FROM read_parquet(${sqlText(path)})`);
      return row;
    } finally {
      instance.close();
    }
  }
}
