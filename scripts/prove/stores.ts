/**
 * Proof on a store: tables of the file catalog, whose commits are conditional writes, behind a proxy that
 * loses answers and requests, while the process is killed again and again.
 *
 * bun scripts/prove/stores.ts versitygw|minio|s3proxy|moto|gcs|azure [kills]
 */
import type { StoreAccess } from "../judge/judge.ts";
import { startAzurite } from "../services/azurite.ts";
import { startFakeGcs } from "../services/fakeGcs.ts";
import { type FaultMode, type FaultProxy, startFaultProxy } from "../services/faultProxy.ts";
import { startKafka } from "../services/kafka.ts";
import { startMoto } from "../services/moto.ts";
import type { Config } from "../services/product.ts";
import { type S3Service, startS3 } from "../services/versitygw.ts";
import { type CatalogKillsReport, proveCatalogKills } from "./catalogKills.ts";

/** A store with a proxy before it. */
export interface StoreRig {
  /** What the product is told, by way of the proxy. */
  readonly storage: Config;
  readonly warehouse: string;
  /** For readers, past the proxy. */
  readonly access: StoreAccess;
  readonly proxy: FaultProxy;
  /** Requests that write. */
  readonly writes: RegExp;
  stop(): Promise<void>;
}

/** Starts a store. */
export type StartStore = () => Promise<StoreRig>;

/** By name. */
export const STORES: Readonly<Record<string, StartStore>> = {
  versitygw: () => s3Rig("versitygw"),
  minio: () => s3Rig("minio"),
  s3proxy: () => s3Rig("s3proxy"),
  moto: async () => {
    const moto = await startMoto();
    const { endpoint, region } = moto;
    const access = { endpoint, region, accessKey: "key", secretKey: "secret" };
    return ofS3(moto.port, access, () => moto.stop());
  },
  gcs: async () => {
    const { endpoint, port, stop } = await startFakeGcs();
    const proxy = startFaultProxy(`127.0.0.1:${port}`);
    return {
      storage: { gcs: { endpoint: `http://127.0.0.1:${proxy.port}`, auth: "none" } },
      warehouse: "gs://warehouse/tables",
      access: { kind: "gcs", endpoint },
      proxy,
      writes: /^(POST|PUT) /,
      stop: () => ended(proxy, stop),
    };
  },
  azure: async () => {
    const { endpoint, port, account, key, stop } = await startAzurite();
    const proxy = startFaultProxy(`127.0.0.1:${port}`);
    const address = `http://127.0.0.1:${proxy.port}/${account}`;
    return {
      storage: { azure: { endpoint: address, account_key: key } },
      warehouse: `abfss://warehouse@${account}.dfs.core.windows.net/tables`,
      access: { kind: "azure", endpoint, account, key },
      proxy,
      writes: /^PUT /,
      stop: () => ended(proxy, stop),
    };
  },
};

async function s3Rig(kind: S3Service["kind"]): Promise<StoreRig> {
  const { port, endpoint, region, accessKey, secretKey, stop } = await startS3({ kind });
  return ofS3(port, { endpoint, region, accessKey, secretKey }, stop);
}

function ofS3(
  port: number,
  access: Extract<StoreAccess, { readonly region: string }>,
  stop: () => Promise<void>,
): StoreRig {
  const proxy = startFaultProxy(`127.0.0.1:${port}`);
  const keys = { access_key_id: access.accessKey, secret_access_key: access.secretKey };
  const endpoint = `http://127.0.0.1:${proxy.port}`;
  return {
    storage: { s3: { endpoint, region: access.region, ...keys } },
    warehouse: "s3://warehouse/tables",
    access,
    proxy,
    writes: /^PUT /,
    stop: () => ended(proxy, stop),
  };
}

async function ended(proxy: FaultProxy, stop: () => Promise<void>): Promise<void> {
  proxy.stop();
  await stop();
}

/** Runs the proof on one store. */
export function proveStoreKills(
  bootstrap: string,
  name: string,
  rig: StoreRig,
  size: { readonly kills: number; readonly events: number },
): Promise<CatalogKillsReport> {
  const topic = `store-${name}`;
  const { proxy, writes: match, warehouse } = rig;
  const troubles: readonly FaultMode[] = [
    { kind: "swallow", match, once: true },
    { kind: "refuse", match, once: true },
    { kind: "stall", match, ms: 500 },
    { kind: "pass" },
  ];
  return proveCatalogKills({
    bootstrap,
    topic,
    partitions: 3,
    rate: 200,
    seed: 13,
    ...size,
    config: {
      iceberg: { warehouse_path: warehouse },
      storage: { ...rig.storage, base_delay_ms: 20 },
    },
    table: { folder: `${warehouse}/default/${topic}` },
    s3: rig.access,
    trouble: async (random) => {
      proxy.set(troubles[Math.floor(random() * troubles.length)] ?? { kind: "pass" });
    },
    calm: async () => proxy.set({ kind: "pass" }),
  });
}

if (import.meta.main) {
  const [name = "", kills = "10"] = process.argv.slice(2);
  const start = Object.entries(STORES).find(([known]) => known === name)?.[1];
  if (start === undefined) {
    console.error(`usage: bun scripts/prove/stores.ts ${Object.keys(STORES).join("|")} [kills]`);
    process.exit(2);
  }
  const broker = await startKafka({ heapMb: 256 });
  const rig = await start();
  const began = performance.now();
  try {
    const size = { kills: Number(kills), events: Number(kills) * 1500 };
    const { verdict, outcomes } = await proveStoreKills(broker.bootstrap, name, rig, size);
    const rows = verdict.readers.duckdb?.rows;
    const { counters } = rig.proxy;
    console.log(JSON.stringify({ ...verdict, outcomes, counters }, null, 1));
    console.log(`${name}: ${((performance.now() - began) / 1000).toFixed(0)} s, ${rows} rows`);
    process.exitCode = verdict.ok && rows === size.events ? 0 : 1;
  } finally {
    await Promise.all([broker.stop(), rig.stop()]);
  }
}
