/**
 * Proofs on a catalog's server, each by its name (`scripts/services/catalogServers.ts`):
 *
 * bun scripts/prove/catalogs.ts kills|outcomes|together|conflicts|away|operations|flushes|ingest|steady|through|modes NAME [count]
 *
 * `kills`: the process is killed again and again while the server fails (default 10). `outcomes`: so many
 * commits meet trouble in turn (default 200). `together`: the same of commits of eight tables in one request (default 60).
 * `conflicts`: PyIceberg writes the same table until so many commits of both were refused (default 500). `away`: the server is gone for so many seconds (default 300). `operations`: so many loads
 * and commits are timed (default 300), beside file and SQLite. `flushes`: requests for each flush are counted for so many
 * seconds (default 30). `ingest`: rows per CPU-second of so many million rows (default 2), beside file on the local disk. `steady`:
 * nothing is done for so many seconds (default 120) but that tokens and keys end. `through`: Spark and DuckDB find a table
 * of so many rows (default 20,000) by its name. `modes`: they find tables whose rows were changed so many times (default 6000), one for each `delete_mode`.
 */
import { CATALOG_SERVERS, type CatalogServer, topicOf } from "../services/catalogServers.ts";
import { startKafka } from "../services/kafka.ts";
import { proveAway } from "./away.ts";
import { measureOperations, proveFlushCosts, proveIngestCosts } from "./catalogCosts.ts";
import { proveCatalogKills } from "./catalogKills.ts";
import { proveConflicts } from "./conflicts.ts";
import { proveModes } from "./modes.ts";
import { proveOutcomes } from "./outcomes.ts";
import { proveSteady } from "./steady.ts";
import { proveThrough } from "./through.ts";
import { proveTogether } from "./together.ts";

type Proof = (
  bootstrap: string,
  name: string,
  server: CatalogServer,
  count: number | undefined,
) => Promise<{ readonly ok: boolean }>;

/** Of `ingest`: each is a run with either. */
const ROUNDS = 5;

const PROOFS: Readonly<Record<string, Proof>> = {
  kills: async (bootstrap, name, server, kills = 10) => {
    const events = kills * 2500;
    const { troubles, calm, config, env, s3, hidesAncestors, secrets } = server;
    const topic = topicOf("kills", name);
    const { verdict, outcomes } = await proveCatalogKills({
      bootstrap,
      topic,
      partitions: 3,
      events,
      rate: 800,
      kills,
      seed: 7,
      config,
      env,
      secrets,
      table: () => server.table(topic),
      ...(s3 && { s3 }),
      ...(hidesAncestors === true && { hidesAncestors }),
      trouble: async (random) => {
        if (random() < 0.5) await troubles[Math.floor(random() * troubles.length)]?.begin();
      },
      calm,
      readers: s3 ? ["duckdb", "pyiceberg"] : ["duckdb", "pyiceberg", "spark"],
    });
    const rows = Object.values(verdict.readers).map((reader) => reader.rows);
    const ok = verdict.ok && rows.every((count) => count === events);
    return { outcomes, ...verdict, ok };
  },
  outcomes: async (bootstrap, name, server, cases = 200) => {
    const topic = topicOf("outcomes", name);
    return proveOutcomes({ bootstrap, topic, server, cases, seed: 11, say: console.log });
  },
  together: async (bootstrap, name, server, cases = 60) => {
    const topic = topicOf("together", name);
    return proveTogether({ bootstrap, topic, server, cases, seed: 17, say: console.log });
  },
  conflicts: async (bootstrap, name, server, conflicts = 500) => {
    const topic = topicOf("conflicts", name);
    return proveConflicts({ bootstrap, topic, server, conflicts, writers: 3, seed: 13 });
  },
  away: async (bootstrap, name, server, seconds = 300) => {
    const topic = topicOf("away", name);
    return proveAway({ bootstrap, topic, server, awayMs: seconds * 1000, rate: 1000 });
  },
  operations: async (_, __, server, count = 300) => {
    const table = await server.table("");
    if (!("rest" in table)) throw new Error("operations are timed on a REST catalog");
    const times = await measureOperations(count, table.rest.properties["uri"] ?? "");
    const { file, sql, rest } = times;
    const isFast = [file, sql].every(({ load, commit }) => Math.max(load.p99, commit.p99) < 100);
    const ok =
      isFast && Math.max(rest.load.p99, rest.commit.p99) < 500 && (rest.ours?.p99 ?? 0) <= 5;
    return { ok, ...times };
  },
  flushes: async (bootstrap, name, server, seconds = 30) => {
    const costs = await proveFlushCosts(bootstrap, topicOf("flushes", name), server, seconds);
    return { ok: costs.flushes > 0, ...costs };
  },
  steady: async (bootstrap, name, server, seconds = 120) =>
    proveSteady(bootstrap, topicOf("steady", name), server, seconds),
  through: async (bootstrap, name, server, events = 20_000) =>
    proveThrough(bootstrap, topicOf("through", name), server, events),
  modes: async (bootstrap, name, server, changes = 6000) =>
    proveModes(bootstrap, topicOf("modes", name), server, changes),
  ingest: async (bootstrap, _, server, millions = 2) => {
    const costs = await proveIngestCosts(bootstrap, server, {
      rows: millions * 1e6,
      rounds: ROUNDS,
    });
    return { ok: costs.ratio >= 0.9, ...costs };
  },
};

const [proofName = "", name = "", count] = process.argv.slice(2);
const proof = PROOFS[proofName];
const start = Object.entries(CATALOG_SERVERS).find(([known]) => known === name)?.[1];
if (proof === undefined || start === undefined) {
  const names = Object.keys(CATALOG_SERVERS).join("|");
  console.error(
    `usage: bun scripts/prove/catalogs.ts ${Object.keys(PROOFS).join("|")} ${names} [count]`,
  );
  process.exit(2);
}
const broker = await startKafka({ heapMb: 256 });
const server = await start();
const began = performance.now();
try {
  const found = await proof(broker.bootstrap, name, server, count ? Number(count) : undefined);
  console.log(JSON.stringify(found, null, 1));
  console.log(`${proofName} ${name}: ${((performance.now() - began) / 1000).toFixed(0)} s`);
  process.exitCode = found.ok ? 0 : 1;
} finally {
  await Promise.all([broker.stop(), server.stop()]);
}
