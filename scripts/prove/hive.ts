/**
 * Proof on a Hive Metastore, its tables on the local disk, behind a proxy that makes commits fail in every way.
 *
 * bun scripts/prove/hive.ts [4.0.0|4.0.1] [kills]
 */
import { systemClock } from "#base/clock.ts";
import { createMetastore } from "#catalog/hive/metastore.ts";
import { type FaultMode, startFaultProxy } from "../services/faultProxy.ts";
import { startHive } from "../services/hive.ts";
import type { HiveVersion } from "../services/hiveJars.ts";
import { type KafkaBroker, startKafka } from "../services/kafka.ts";
import { type CatalogKillsReport, proveCatalogKills } from "./catalogKills.ts";

const COMMIT = /alter_table_with_environment_context/;
/** Once each: the answer is lost, the request is lost; or both are late. */
const TROUBLE: readonly FaultMode[] = [
  { kind: "swallow", match: COMMIT, once: true },
  { kind: "refuse", match: COMMIT, once: true },
  { kind: "stall", match: COMMIT, ms: 1000 },
  { kind: "pass" },
];

/** Events flow through a metastore into a table while the process is killed and commits fail. */
export async function proveHiveKills(
  { bootstrap }: KafkaBroker,
  version: HiveVersion,
  size: { readonly kills: number; readonly events: number },
): Promise<CatalogKillsReport> {
  const hive = await startHive({ version });
  const proxy = startFaultProxy(`127.0.0.1:${hive.port}`);
  const topic = `hive_kills_${version.replaceAll(".", "_")}`;
  const { uri, warehouse } = hive;
  try {
    return await proveCatalogKills({
      bootstrap,
      topic,
      partitions: 3,
      rate: 150,
      seed: 13,
      ...size,
      config: {
        iceberg: {
          catalog_type: "hive",
          warehouse_path: warehouse,
          // `default` is there already, and lies in the managed warehouse.
          database_name: "lake",
          hive: { metastore_uri: `thrift://127.0.0.1:${proxy.port}` },
        },
      },
      // PyIceberg asks for tables by a call that 4.0.1 has no more.
      table: async () =>
        version === "4.0.1"
          ? { metadata: await metadataLocation(hive.port, topic) }
          : { catalog: { table: `lake.${topic}`, properties: { type: "hive", uri, warehouse } } },
      trouble: async (random) => {
        proxy.set(TROUBLE[Math.floor(random() * TROUBLE.length)] ?? { kind: "pass" });
      },
      calm: async () => proxy.set({ kind: "pass" }),
    });
  } finally {
    proxy.stop();
    await hive.stop();
  }
}

async function metadataLocation(port: number, table: string): Promise<string> {
  const metastore = createMetastore({
    addresses: [{ host: "127.0.0.1", port }],
    login: null,
    connectionsMax: 1,
    timeoutMs: 10_000,
    clock: systemClock,
  });
  const answer = await metastore.getTable("lake", table);
  metastore.close();
  if (answer.kind !== "done") throw answer.error;
  return answer.value.parameters?.["metadata_location"] ?? "";
}

if (import.meta.main) {
  const version = process.argv[2] === "4.0.1" ? "4.0.1" : "4.0.0";
  const kills = Number(process.argv[3] ?? 10);
  const broker = await startKafka({ heapMb: 256 });
  try {
    const events = kills * 1500;
    const { verdict, outcomes } = await proveHiveKills(broker, version, { kills, events });
    console.log(JSON.stringify({ outcomes, ...verdict }, null, 2));
    process.exitCode = verdict.ok && verdict.readers.duckdb?.rows === events ? 0 : 1;
  } finally {
    await broker.stop();
  }
}
