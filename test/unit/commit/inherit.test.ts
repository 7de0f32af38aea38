/** What a restart makes of flushes that an earlier process left open (SPEC 2.4). */
import { expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createFileCatalog } from "#catalog/file.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { LogEntry, TransactionLog } from "#txlog/log.ts";
import type { WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { recordBatch } from "../../support/records.ts";
import { WRITER_OPTIONS } from "../../support/writerOptions.ts";

const FEED = { clusterId: "c", topic: "t", topicId: "1", partition: 0 };
const FILE = "/wh/db/t/data/left.parquet";

/** A table of three commits and a log that an earlier process left. */
async function world() {
  const storage = createMemoryStorage();
  const recovered: { sequence: bigint; timeMs: number; entry: LogEntry }[] = [];
  const txlog: TransactionLog = {
    recovered,
    append: async () => undefined,
    close: async () => undefined,
  };
  const parts = { storage, clock: systemClock, log: silentLogger };
  const all: WriterParts = {
    random: seededRandom(1),
    txlog,
    clock: systemClock,
    catalog: createFileCatalog({ warehouse: "/wh", readOnly: false }, parts),
    encoder: createInlineEncoder(),
    logger: silentLogger,
    observe: () => undefined,
  };
  const writer = await TableWriter.open(all, WRITER_OPTIONS, []);
  for (let partition = 0; partition < 3; partition++) {
    await writer.claim([{ feed: { ...FEED, partition }, offset: 0n }]);
  }
  const log = (entry: LogEntry): void => {
    recovered.push({ sequence: 1n, timeMs: 0, entry });
  };
  const started = (commitId: string, path: string): void =>
    log({
      type: "FlushStarted",
      table: "db.t",
      commit_id: commitId,
      base_sequence_number: 0n,
      file_paths: [path],
      upload_ids: {},
      offsets: {},
    });
  return { storage, all, writer, log, started };
}

/** The table opened again after a crash whose attempt was made for `tableUuid`. */
async function inherit(tableUuid: (own: string) => string): Promise<boolean> {
  const { storage, all, writer, log, started } = await world();
  await storage.put(FILE, new Uint8Array([1]));
  started("lost", FILE);
  log({
    type: "CommitAttempt",
    table: "db.t",
    table_uuid: tableUuid(writer.lastSeen.metadata.tableUuid),
    commit_id: "lost",
    snapshot_id: 7n,
    base_snapshot_id: null,
    base_sequence_number: 1n,
    file_paths: [],
  });
  await TableWriter.open(all, WRITER_OPTIONS, []);
  return storage.objects.has(FILE);
}

test("a file that the head lists stays, although the log does not know that it was ever sent", async () => {
  const { storage, all, writer, started } = await world();
  const segment = createDecoder({ ...DECODER_DEFAULTS, fields: [] }).builder();
  segment.decode(recordBatch(['{"a":1}']));
  const range = { feed: FEED, start: 0n, end: 1n };
  const result = await writer.flush(writer.newFlush([{ range, batch: segment.seal() }]));
  expect(result.kind).toBe("committed");
  const live = [...storage.objects.keys()].find((path) => path.endsWith(".parquet")) ?? "";
  started("of a restored backup", live);
  await TableWriter.open(all, WRITER_OPTIONS, []);
  expect(storage.objects.has(live)).toBe(true);
});

test("files of an attempt that every later snapshot passed over are removed", async () => {
  expect(await inherit((own) => own)).toBe(false);
});

test("files of an attempt on another table of this name stay: that table may list them", async () => {
  // Renamed away, or a database and a table whose names join to the same text.
  expect(await inherit(() => "another")).toBe(true);
});

test("without the right to list, what the log names is removed, and the start goes on", async () => {
  const { storage, all, started } = await world();
  await storage.put(FILE, new Uint8Array([1]));
  started("lost", FILE);
  const list = (): never => {
    throw fail("storage_refused", "not allowed");
  };
  const { catalog } = all;
  const load: typeof catalog.load = async (name) => {
    const table = await catalog.load(name);
    return table && { ...table, storage: { ...table.storage, list } };
  };
  await TableWriter.open({ ...all, catalog: { ...catalog, load } }, WRITER_OPTIONS, []);
  expect(storage.objects.has(FILE)).toBe(false);
});

test("files that only a snapshot before the head lists stay, although no request is in the log", async () => {
  const { storage, all, writer, started } = await world();
  const segment = createDecoder({ ...DECODER_DEFAULTS, fields: [] }).builder();
  segment.decode(recordBatch(['{"a":1}']));
  const range = { feed: FEED, start: 0n, end: 1n };
  await writer.flush(writer.newFlush([{ range, batch: segment.seal() }]));
  const lists = [...storage.objects.keys()].filter((path) => path.includes("/snap-"));
  for (const path of lists) started(`of a restored backup ${path}`, path);
  await TableWriter.open(all, WRITER_OPTIONS, []);
  expect([...storage.objects.keys()].filter((path) => path.includes("/snap-"))).toEqual(lists);
});
