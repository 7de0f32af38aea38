/**
 * Each alert of deploy/prometheus/alerts.yml fires when its cause is there, and clears when it has gone; each
 * query of the dashboard has data: a real Prometheus over a real run, `bun scripts/prove/alerts.ts`.
 *
 * The broker, the catalog, the store, the disk of the state directory (a small one in memory, which wants root), and
 * the process itself go away and come back, a table is dropped, and memory is short. Minutes of the rules are seconds here, so that an hour of outages takes
 * five minutes.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboardQueries } from "../docs/grafana.ts";
import { produceEvents, produceValues } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { startKafka } from "../services/kafka.ts";
import { startPostgres } from "../services/postgres.ts";
import { freePort, run, temporaryFolder, until } from "../services/process.ts";
import { type Config, type Product, startProduct } from "../services/product.ts";
import { type Prometheus, startPrometheus } from "../services/prometheus.ts";
import { startS3 } from "../services/versitygw.ts";

const TOPIC = "events";
/** Of a table that is dropped, so that the other one goes on. */
const DOOMED = "doomed";
/** Less than the process takes. */
const LITTLE_MEMORY_MB = 128;
const PATIENCE_MS = 120_000;

/** The rules with seconds for minutes, and small numbers for large ones. */
function hurried(rules: string): string {
  return rules
    .replaceAll(/\[(\d+)m\]/g, (_, minutes) => `[${Math.max(30, Number(minutes))}s]`)
    .replaceAll(/for: (\d+)m/g, "for: 2s")
    .replaceAll("> 300", "> 10")
    .replaceAll("> 100000", "> 1000");
}

const say = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

const rules = hurried(await Bun.file("deploy/prometheus/alerts.yml").text());
const names = [...rules.matchAll(/alert: (\w+)/g)].map(([, name = ""]) => name);
const [broker, store, catalog, folder] = await Promise.all([
  startKafka(),
  startS3(),
  startPostgres(),
  temporaryFolder("alerts"),
]);
await catalog.createDatabase("catalog");
/** A disk of its own. */
const state = join(folder, "state");
mkdirSync(state);
await run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", state]);
const { bootstrap } = broker;
await createTopic(bootstrap, { topic: TOPIC, partitions: 2 });
await createTopic(bootstrap, { topic: DOOMED, partitions: 1 });
const start = (more: Config = {}): Promise<Product> =>
  startProduct({
    folder,
    config: {
      kafka: {
        bootstrap_servers: bootstrap,
        topics: [TOPIC, DOOMED],
        consumer_group: "alerts",
      },
      // A catalog of its own: of a file catalog in the store, the store's trouble is the catalog's.
      iceberg: { catalog_type: "sql", warehouse_path: "s3://warehouse/tables" },
      "iceberg.sql": { uri: catalog.uri("catalog") },
      "iceberg.commit": { interval_ms: 1000 },
      "storage.s3": {
        endpoint: store.endpoint,
        region: store.region,
        access_key_id: store.accessKey,
        secret_access_key: store.secretKey,
      },
      state: { dir: state },
      // By default the first error of a store that is away is told after a minute and a half.
      storage: { max_retries: 2 },
      "iceberg.catalog_manager": { health_check_interval_seconds: 2 },
      hot_buffer: { max_size_mb: 16 },
      server: { health_address: address },
      ...more,
    },
  });
const address = `127.0.0.1:${freePort()}`;
let product = await start();
const prometheus: Prometheus = await startPrometheus(rules, address);
const flow = new AbortController();
const flowing = produceUntil(flow.signal);
const ballast = join(state, "ballast");
const shown = new Map<string, string>();

try {
  await quiet("at the start");
  const empty: string[] = [];
  await until(
    "the dashboard's data",
    async () => {
      empty.length = 0;
      for (const query of dashboardQueries("20s")) {
        if ((await prometheus.series(query)) === 0) empty.push(query);
      }
      return empty.length === 0;
    },
    PATIENCE_MS,
    2000,
  ).catch((error: unknown) => {
    throw new Error(`${error}\nwithout data: ${empty.join("\n")}`);
  });
  say(`all ${dashboardQueries("20s").length} queries of the dashboard have data`);

  await cause("records that are no rows", ["KafkaIcebergDeadLetters"], async () => {
    await produceValues({ bootstrap, topic: TOPIC }, [{ partition: 0, value: "{" }]);
  });
  await cause("the broker is away", ["KafkaIcebergKafkaTrouble"], () => broker.kill());
  await cleared("the broker is back", () => broker.restart());
  await cause(
    "the store is away",
    ["KafkaIcebergStorageErrors", "KafkaIcebergCommitsStalled"],
    () => store.kill(),
  );
  await cause(
    "meanwhile the buffer is full",
    ["KafkaIcebergHeldBack", "KafkaIcebergLagGrows"],
    async () => {
      await produceEvents({ bootstrap, topic: TOPIC, count: 300_000, seed: 7 });
    },
  );
  await cleared("the store is back", () => store.restart());
  await cause("the catalog is away", ["KafkaIcebergCatalogUnhealthy"], () => catalog.kill());
  await cleared("the catalog is back", () => catalog.restart());
  await cause("the disk is full", ["KafkaIcebergStorageErrors"], fill);
  await cleared("the disk has room", async () => rmSync(ballast));
  await cause("a table is dropped", ["KafkaIcebergCommitFailed"], async () => {
    await catalog.sql(`DELETE FROM iceberg_tables WHERE table_name = '${DOOMED}'`, "catalog");
    await produceEvents({ bootstrap, topic: DOOMED, count: 100, seed: 8 });
  });
  await cause("the process is gone", ["KafkaIcebergAbsent"], () => product.kill());
  await cleared("it is started again", () => restart());
  await cause("memory is short", ["KafkaIcebergMemory"], async () => {
    await product.kill();
    await restart({ memory: { limit_mb: LITTLE_MEMORY_MB } });
  });
  await cleared("memory is not short", async () => {
    await product.kill();
    await restart();
  });
  const missing = names.filter((name) => !shown.has(name));
  say(`fired and cleared: ${[...shown.keys()].join(", ")}; not caused here: ${missing.join(", ")}`);
} finally {
  flow.abort();
  await flowing;
  await prometheus.stop();
  await product.terminate();
  await store.stop();
  await catalog.stop();
  await broker.stop();
  await run(["umount", state]);
}
process.exit(0);

async function restart(more: Config = {}): Promise<void> {
  product = await start(more);
  await product.ready(60_000);
}

/** Takes all the room that there is. */
async function fill(): Promise<void> {
  for (const bytes of [2 ** 20, 2 ** 12, 1]) {
    try {
      for (;;) writeFileSync(ballast, new Uint8Array(bytes), { flag: "a" });
    } catch {
      // No room for so much: what is left is filled in smaller pieces.
    }
  }
}

/** A hundred records a second; a broker that is away is tried again. */
async function produceUntil(signal: AbortSignal): Promise<void> {
  for (let seed = 100; !signal.aborted; seed++) {
    const job = { bootstrap, topic: TOPIC, count: 200, rate: 100, seed };
    await produceEvents(job).catch(() => Bun.sleep(1000));
  }
}

/** Does something, and waits until all of these alerts fire. */
async function cause(what: string, wanted: readonly string[], act: () => Promise<unknown>) {
  await act();
  const left = new Set(wanted);
  await until(
    `${what}: ${wanted}`,
    async () => {
      for (const name of await prometheus.firing()) {
        left.delete(name);
        shown.set(name, what);
      }
      return left.size === 0;
    },
    PATIENCE_MS,
    500,
  ).catch((error: unknown) => {
    throw new Error(`${error}\nnot fired: ${[...left].join(", ")}`);
  });
  say(`${what}: ${wanted.join(", ")}`);
}

async function cleared(what: string, act: () => Promise<unknown>): Promise<void> {
  await act();
  await quiet(what);
}

async function quiet(what: string): Promise<void> {
  let firing: readonly string[] = [];
  await until(
    `no alert: ${what}`,
    async () => {
      firing = await prometheus.firing();
      return firing.length === 0;
    },
    PATIENCE_MS,
    500,
  ).catch((error: unknown) => {
    throw new Error(`${error}\nfiring: ${firing.join(", ")}`);
  });
  say(`${what}: no alert`);
}
