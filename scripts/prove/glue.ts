/**
 * Proof on Glue: moto with Glue's optimistic locking, behind a proxy that makes commits fail in every way.
 *
 * bun scripts/prove/glue.ts [kills]
 */
import { type FaultMode, type FaultProxy, startFaultProxy } from "../services/faultProxy.ts";
import { type KafkaBroker, startKafka } from "../services/kafka.ts";
import { type Moto, startMoto } from "../services/moto.ts";
import { type CatalogKillsReport, proveCatalogKills } from "./catalogKills.ts";

/** Glue and S3, and what stands before Glue. */
export interface GlueRig {
  readonly moto: Moto;
  readonly proxy: FaultProxy;
  stop(): Promise<void>;
}

/** Starts moto and the proxy. */
export async function startGlueRig(): Promise<GlueRig> {
  const moto = await startMoto();
  const proxy = startFaultProxy(`127.0.0.1:${moto.port}`);
  return {
    moto,
    proxy,
    stop: async () => {
      proxy.stop();
      await moto.stop();
    },
  };
}

const COMMIT = /AWSGlue\.UpdateTable/;
/** Once each: the answer is lost, the request is lost, both are late. */
const TROUBLE: readonly FaultMode[] = [
  { kind: "swallow", match: COMMIT, once: true },
  { kind: "refuse", match: COMMIT, once: true },
  { kind: "stall", match: COMMIT, ms: 2000 },
  { kind: "pass" },
];

/** Events flow through Glue into a table while the process is killed and commits fail. */
export function proveGlueKills(
  { bootstrap }: KafkaBroker,
  { moto, proxy }: GlueRig,
  size: { readonly kills: number; readonly events: number },
): Promise<CatalogKillsReport> {
  const topic = "glue_kills";
  const { endpoint, region } = moto;
  const keys = { access_key_id: "key", secret_access_key: "secret" };
  return proveCatalogKills({
    bootstrap,
    topic,
    partitions: 3,
    rate: 400,
    seed: 11,
    ...size,
    config: {
      iceberg: {
        catalog_type: "glue",
        warehouse_path: "s3://warehouse/lake",
        glue: { endpoint: `http://127.0.0.1:${proxy.port}`, region },
      },
      storage: { s3: { endpoint, region, ...keys } },
    },
    env: moto.environment,
    table: { catalog: { table: `default.${topic}`, properties: glueProperties(moto) } },
    s3: { endpoint, region, accessKey: "key", secretKey: "secret" },
    trouble: async (random) => {
      proxy.set(TROUBLE[Math.floor(random() * TROUBLE.length)] ?? { kind: "pass" });
    },
    calm: async () => proxy.set({ kind: "pass" }),
  });
}

/** Of PyIceberg's catalog, without those of the store. */
export function glueProperties({ endpoint, region }: Moto): Record<string, string> {
  return {
    type: "glue",
    "glue.endpoint": endpoint,
    "glue.region": region,
    "glue.access-key-id": "key",
    "glue.secret-access-key": "secret",
  };
}

if (import.meta.main) {
  const kills = Number(process.argv[2] ?? 10);
  const [broker, glue] = await Promise.all([startKafka({ heapMb: 256 }), startGlueRig()]);
  try {
    const events = kills * 2000;
    const { verdict, outcomes } = await proveGlueKills(broker, glue, { kills, events });
    console.log(JSON.stringify({ outcomes, ...verdict }, null, 2));
    process.exitCode = verdict.ok && verdict.readers.duckdb?.rows === events ? 0 : 1;
  } finally {
    await Promise.all([broker.stop(), glue.stop()]);
  }
}
