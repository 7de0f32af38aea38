/**
 * Our unit, as it is shipped, under a real systemd: `bun scripts/prove/systemd.ts [--events N]`, as root.
 *
 * The service runs with the unit's whole sandbox and a limit of memory, its token from `LoadCredential`. It commits, answers SQL and compacts; it is reloaded, hangs and is started again by the watchdog, and stops. Foreign
 * readers say whether each row is there once. A wrong configuration is not started again.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { produceEvents } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { judgeTable, readTopic } from "../judge/judge.ts";
import { startKafka } from "../services/kafka.ts";
import { freePort, until } from "../services/process.ts";
import { toml } from "../services/product.ts";
import { startSystemd } from "../services/systemd.ts";

const { values } = parseArgs({ options: { events: { type: "string" } } });
const EVENTS = Number(values.events ?? 400_000);
const TOPIC = "events";
const UNIT = "kafka-iceberg.service";
const CONFIG = "/etc/kafka-iceberg/config.toml";
/** Read by the process itself, from `LoadCredential`. */
const SECRET = `$${"{credential:query-token}"}`;
const PATIENCE_MS = 120_000;
const say = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

const TOKEN = "a token that nobody sees";
/** As docs/OPERATE.md says of local warehouses, it is named by `ReadWritePaths`. */
const warehouse = `/srv/kafka-iceberg-proof-${process.pid}`;
mkdirSync(warehouse);
chmodSync(warehouse, 0o777);
const broker = await startKafka();
const { bootstrap } = broker;
const address = `127.0.0.1:${freePort()}`;
const configuration = (level: string): string =>
  toml({
    kafka: { bootstrap_servers: bootstrap, topic: TOPIC },
    iceberg: { warehouse_path: warehouse },
    "iceberg.commit": { interval_ms: 1000 },
    maintenance: { compact_interval_seconds: 10 },
    server: { health_address: address, metrics_address: "", query_token: SECRET },
    logging: { level },
  });
await createTopic(bootstrap, { topic: TOPIC, partitions: 4 });
const files = {
  "/etc/systemd/system/kafka-iceberg.service": Bun.file("deploy/systemd/kafka-iceberg.service"),
  "/etc/systemd/system/kafka-iceberg.service.d/proof.conf": `[Service]\nMemoryMax=768M\nWatchdogSec=10\nReadWritePaths=${warehouse}\nLoadCredential=query-token:/etc/kafka-iceberg/query-token\n`,
  "/usr/local/bin/kafka-iceberg": Bun.file(resolve("dist/kafka-iceberg")),
  "/etc/kafka-iceberg/query-token": TOKEN,
  [CONFIG]: configuration("info"),
};
const systemd = await startSystemd(files, warehouse);
try {
  await systemd.run(["systemctl", "start", UNIT]);
  say(
    `started, ${(await systemd.run(["systemd-analyze", "security", UNIT])).trim().split("\n").at(-1)}`,
  );
  await passes();
  await reload();
  await hang();
  await systemd.run(["systemctl", "stop", UNIT]);
  say(
    `stopped: ${await systemd.property(UNIT, "Result")}, exit ${await systemd.property(UNIT, "ExecMainStatus")}`,
  );
  await judge();
  await refuse();
} catch (error) {
  console.log(await systemd.run(["journalctl", "--no-pager", "-n", "40", "-o", "cat"]));
  throw error;
} finally {
  await systemd.stop();
  await broker.stop();
  rmSync(warehouse, { recursive: true });
}
process.exit(0);

/** The main job, SQL and a compaction within the limit of memory. */
async function passes(): Promise<void> {
  const flowing = produceEvents({ bootstrap, topic: TOPIC, count: EVENTS, rate: EVENTS / 20 });
  await until("rows by SQL", async () => (await rows()) > 0, PATIENCE_MS, 500);
  await until(
    "a compaction",
    async () =>
      /maintenance_runs_total\{[^}]*compact[^}]*outcome="done"[^}]*\} [1-9]/.test(
        await get("/metrics"),
      ),
    PATIENCE_MS,
    500,
  );
  await flowing;
  await until("all rows", async () => (await rows()) === EVENTS, PATIENCE_MS, 500);
  const group = `/sys/fs/cgroup/memory/system.slice/${UNIT}/memory`;
  const [peak, limit] = await Promise.all(
    ["max_usage_in_bytes", "limit_in_bytes"].map((name) =>
      systemd.run(["cat", `${group}.${name}`]),
    ),
  );
  const mib = (bytes: string | undefined): string => `${Math.round(Number(bytes) / 2 ** 20)} MiB`;
  say(
    `${EVENTS} events, SQL, compaction: ${mib(peak)} at most, cache of files included, of ${mib(limit)}`,
  );
}

async function reload(): Promise<void> {
  await write(configuration("debug"));
  await systemd.run(["systemctl", "reload", UNIT]);
  await until(
    "it has read again",
    async () => (await journal()).includes("Configuration read again"),
    PATIENCE_MS,
  );
  say("reloaded");
}

/** A process that hangs is ended and started again. */
async function hang(): Promise<void> {
  const pid = await systemd.property(UNIT, "MainPID");
  await produceEvents({ bootstrap, topic: TOPIC, count: 20_000, seed: 2 });
  await systemd.run(["kill", "-STOP", pid]);
  await until(
    "it is started again",
    async () => (await systemd.property(UNIT, "NRestarts")) === "1",
    PATIENCE_MS,
    500,
  );
  await until(
    "all rows",
    async () => (await rows().catch(() => 0)) === EVENTS + 20_000,
    PATIENCE_MS,
    500,
  );
  say("hung: ended by the watchdog, started again, all rows");
}

async function judge(): Promise<void> {
  const copy = await readTopic(bootstrap, TOPIC);
  const table = { folder: join(warehouse, "default", TOPIC) };
  const verdict = await judgeTable({ table, topics: [copy], snapshots: "none" });
  if (!verdict.ok) throw new Error(JSON.stringify(verdict.violations));
  say(`each row once: ${JSON.stringify(verdict.readers)}`);
}

/** Exit 2 is told once. */
async function refuse(): Promise<void> {
  await write("[kafka]\ntopc = 1\n");
  const refused = await systemd.run(["systemctl", "start", UNIT]).then(
    () => false,
    () => true,
  );
  await Bun.sleep(7000);
  const [code, restarts, state] = await Promise.all(
    ["ExecMainStatus", "NRestarts", "ActiveState"].map((name) => systemd.property(UNIT, name)),
  );
  if (!refused || code !== "2" || state !== "failed") throw new Error(`${code} ${state}`);
  say(`a wrong configuration: exit ${code}, started again ${restarts} times`);
}

async function rows(): Promise<number> {
  const sql = `SELECT count(*) AS n FROM "${TOPIC}"`;
  const answer = await fetch(`http://${address}/query`, {
    method: "POST",
    body: JSON.stringify({ sql }),
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const { rows: found } = (await answer.json()) as {
    readonly rows?: readonly (readonly number[])[];
  };
  return Number(found?.[0]?.[0] ?? 0);
}

async function get(path: string): Promise<string> {
  return (await fetch(`http://${address}${path}`)).text();
}

function journal(): Promise<string> {
  return systemd.run(["journalctl", "--no-pager", "-u", UNIT, "-o", "cat"]);
}

async function write(text: string): Promise<void> {
  await systemd.run(["sh", "-c", `printf %s "$0" > ${CONFIG}`, text]);
}
