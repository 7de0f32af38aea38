/**
 * A warehouse with one table for the commands to look at: two data files (in metadata only) and
 * committed offsets, and a terminal that remembers.
 */

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import type { ExitCode } from "#base/errors.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import type { Feed } from "#base/offsets.ts";
import { systemRandom } from "#base/random.ts";
import { openCatalog } from "#catalog/open.ts";
import type { Actions, TopicDescription } from "#cli/actions.ts";
import { runProgram } from "#cli/program.ts";
import { emptyDocument, SUMMARY, withOffsets } from "#commit/progressDocument.ts";
import { writeDocument } from "#commit/progressText.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { newTableMetadata } from "#iceberg/metadata/newTable.ts";
import { partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";
import { openStorage } from "#storage/open.ts";
import { storeOptions } from "../../fakes/storeOptions.ts";

const parts = {
  clock: systemClock,
  random: systemRandom,
  disk: systemDisk,
  log: silentLogger,
  observe: ignoreObservations,
};

/** What the table and Kafka know about the topic. */
export const CLUSTER = "cluster-1";
/** The topic's id in the table. */
export const TOPIC_ID = "11111111-1111-4111-8111-111111111111";
/** The topic's id in Kafka now. */
export const NEW_TOPIC_ID = "22222222-2222-4222-8222-222222222222";

/** A prepared folder. */
export interface Place {
  readonly folder: string;
  readonly config: string;
}

/** Makes the folder, with `default.events` in a file catalog, with these table properties. */
export async function makePlace(
  text = "",
  properties: Readonly<Record<string, string>> = {},
): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "cli-"));
  const config = join(folder, "config.toml");
  const own = `[kafka]\ntopic = "events"\n[state]\ndir = "${folder}/state"\n`;
  writeFileSync(config, text === "" ? `${own}[iceberg]\nwarehouse_path = "${folder}/wh"\n` : text);
  await makeTable(`${folder}/wh`, properties);
  return { folder, config };
}

async function makeTable(
  warehouse: string,
  properties: Readonly<Record<string, string>>,
): Promise<void> {
  const storage = openStorage(storeOptions, parts);
  const catalog = openCatalog({ type: "file", warehouse, readOnly: false }, { ...parts, storage });
  await catalog.open();
  const name = { namespace: ["default"], table: "events" };
  const columns = [
    { id: 0, name: "id", required: false, type: { kind: "long" } },
    { id: 0, name: "at", required: false, type: { kind: "timestamp", zone: true } },
  ] as const;
  const metadataAt = (location: string) =>
    newTableMetadata({
      uuid: systemRandom.uuid(),
      location,
      fields: columns,
      spec: (fields) => partitionSpecOf(fields, ["day(at)"]),
      formatVersion: 2,
      properties,
      timestampMs: Date.UTC(2026, 0, 8),
    });
  const created = await catalog.create({ name, metadataAt });
  if (created.kind !== "committed") throw new Error(created.kind);
  const head = created.table;
  const staged = await stageAppend({
    storage,
    metadata: head.metadata,
    branch: "main",
    snapshotId: 7_000_000_000_000_000_001n,
    timestampMs: Date.UTC(2026, 0, 8),
    files: [fileOf(head.metadata.location, 0, 20_461), fileOf(head.metadata.location, 1, 20_462)],
    summary: {
      [SUMMARY.commitId]: "commit-1",
      [SUMMARY.group]: "kafka-iceberg",
      [SUMMARY.offsets]: writeDocument(
        withOffsets(emptyDocument("main"), [
          { feed: feedOf(0), offset: 100n },
          { feed: feedOf(1), offset: 200n },
        ]),
      ),
    },
    nameSuffix: "x-1",
  });
  const committed = await catalog.commit(name, [], staged.updates);
  if (committed.kind !== "committed") throw new Error(committed.kind);
  await catalog.close();
}

function feedOf(partition: number): Feed {
  return { clusterId: CLUSTER, topic: "events", topicId: TOPIC_ID, partition };
}

function fileOf(location: string, partition: number, day: number): DataFile {
  const empty = new Map<number, never>();
  return {
    content: "data",
    filePath: `${location}/data/at_day=2026/${partition}.parquet`,
    fileFormat: "PARQUET",
    specId: 0,
    partition: [day],
    recordCount: 50n,
    fileSizeBytes: 1234n,
    columnSizes: empty,
    valueCounts: empty,
    nullValueCounts: empty,
    nanValueCounts: empty,
    lowerBounds: empty,
    upperBounds: empty,
    splitOffsets: [],
    equalityIds: null,
    sortOrderId: null,
    firstRowId: null,
    referencedDataFile: null,
    contentOffset: null,
    contentSizeBytes: null,
  };
}

/** The topic as Kafka describes it: re-created, with two partitions. */
export const RECREATED: TopicDescription = {
  clusterId: CLUSTER,
  topic: "events",
  topicId: NEW_TOPIC_ID,
  partitions: [
    { partition: 0, logStart: 5n, logEnd: 50n },
    { partition: 1, logStart: 0n, logEnd: 60n },
  ],
};

/** The topic as Kafka describes it: the one that the table knows, with a third partition. */
export const SAME: TopicDescription = {
  clusterId: CLUSTER,
  topic: "events",
  topicId: TOPIC_ID,
  partitions: [
    { partition: 0, logStart: 20n, logEnd: 300n },
    { partition: 1, logStart: 0n, logEnd: 300n },
    { partition: 2, logStart: 0n, logEnd: 40n },
  ],
};

/** What a command did. */
export interface Outcome {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/**
 * Runs a command line.
 * @param until ends `log --follow` once what was printed satisfies it
 */
export async function cli(
  words: readonly string[],
  actions: Partial<Actions> = {},
  until: (out: string) => boolean = () => false,
): Promise<Outcome> {
  const stop = new AbortController();
  let out = "";
  let err = "";
  const code = await runProgram(words, {
    actions: {
      run: () => Promise.reject(new TypeError("not here")),
      loadTest: () => Promise.reject(new TypeError("not here")),
      suggest: () => Promise.reject(new TypeError("not here")),
      deadLetter: () => Promise.reject(new TypeError("not here")),
      replay: () => Promise.reject(new TypeError("not here")),
      describeTopics: async () => [SAME],
      ...actions,
    },
    terminal: {
      out: (text) => {
        out += typeof text === "string" ? text : Buffer.from(text).toString("latin1");
        if (until(out)) stop.abort();
      },
      err: (text) => {
        err += text;
      },
    },
    build: { version: "1.2.3", commit: "abc" },
    stop: stop.signal,
  });
  return { code, out, err };
}
