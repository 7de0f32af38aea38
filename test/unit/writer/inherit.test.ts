/** What a restart makes of flushes that an earlier process left open (SPEC 2.4). */
import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createFileCatalog } from "#iceberg/catalog/file.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { LogEntry, TransactionLog } from "#txlog/log.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";

const OPTIONS: WriterOptions = {
  name: { database: "db", table: "t" },
  branch: "main",
  group: "g",
  commitRetriesMax: 5,
  codec: "none",
  codecLevel: null,
  rowGroupRows: 1000,
  preserveKafkaPartitions: true,
  thinning: null,
  schemaChanges: "evolve",
  create: { allowed: true, formatVersion: 2, properties: {}, partitionForms: [] },
};
const FILE = "/wh/db/t/data/left.parquet";

/** A table of three commits, opened again after a crash whose attempt was made for `tableUuid`. */
async function inherit(tableUuid: (own: string) => string): Promise<boolean> {
  const storage = createMemoryStorage();
  const random = seededRandom(1);
  const parts = { storage, clock: systemClock, log: silentLogger };
  const recovered: { sequence: bigint; timeMs: number; entry: LogEntry }[] = [];
  const txlog: TransactionLog = {
    recovered,
    append: async () => undefined,
    close: async () => undefined,
  };
  const all: WriterParts = {
    storage,
    random,
    txlog,
    clock: systemClock,
    catalog: createFileCatalog({ warehouse: "/wh", readOnly: false }, parts),
    encoder: createInlineEncoder(),
    logger: silentLogger,
    observe: () => undefined,
  };
  const writer = await TableWriter.open(all, OPTIONS, []);
  for (let partition = 0; partition < 3; partition++) {
    const feed = { clusterId: "c", topic: "t", topicId: "1", partition };
    await writer.claim([{ feed, offset: 0n }]);
  }
  await storage.put(FILE, new Uint8Array([1]));
  const entries: LogEntry[] = [
    {
      type: "FlushStarted",
      table: "db.t",
      commit_id: "lost",
      file_paths: [FILE],
      upload_ids: {},
      offsets: {},
    },
    {
      type: "CommitAttempt",
      table: "db.t",
      table_uuid: tableUuid(writer.lastSeen.metadata.tableUuid),
      commit_id: "lost",
      snapshot_id: 7n,
      base_snapshot_id: null,
      base_sequence_number: 1n,
      file_paths: [],
    },
  ];
  for (const entry of entries) recovered.push({ sequence: 1n, timeMs: 0, entry });
  await TableWriter.open(all, OPTIONS, []);
  return storage.objects.has(FILE);
}

test("files of an attempt that every later snapshot passed over are removed", async () => {
  expect(await inherit((own) => own)).toBe(false);
});

test("files of an attempt on another table of this name stay: that table may list them", async () => {
  // Renamed away, or a database and a table whose names join to the same text.
  expect(await inherit(() => "another")).toBe(true);
});
