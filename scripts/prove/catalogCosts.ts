/**
 * What a catalog costs (SPEC section 11): how long its operations take and how much of that is ours,
 * requests to catalog and store for each flush, and rows per CPU-second beside the file catalog on the
 * local disk.
 */
import { systemClock } from "#base/clock.ts";
import { createHttp, type Http } from "#base/http.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, TableName } from "#catalog/catalog.ts";
import { createRestCatalog } from "#catalog/rest/restCatalog.ts";
import { restOptions } from "../../test/support/catalogPlaces.ts";
import {
  commitEmpty,
  createSample,
  localStorage,
  realCatalog,
} from "../../test/support/realCatalogs.ts";
import { produceEvents } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import type { CatalogServer } from "../services/catalogServers.ts";
import { temporaryFolder, until } from "../services/process.ts";
import { commitOutcomes } from "./catalogKills.ts";
import { merge, newCourse, runToEnd, start } from "./course.ts";

/** Times of one operation, ms. */
interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Of a catalog's operations. */
export interface OperationTimes {
  readonly load: Times;
  readonly commit: Times;
  /** What is left of an operation when the time between request and answer is taken off. */
  readonly ours?: Times;
}

const NAME: TableName = { namespace: ["default"], table: "times" };
/** The first operations of a process are not like the others. */
const WARM_UP = 20;

/** Measures loads and commits of empty snapshots: file and SQLite on the local disk, and REST. */
export async function measureOperations(
  count: number,
  restUri: string,
): Promise<Readonly<Record<"file" | "sql" | "rest", OperationTimes>>> {
  const folder = await temporaryFolder("operations");
  const warehouse = `${folder}/warehouse`;
  const shared = { warehouse, readOnly: false };
  const file = await realCatalog({ type: "file", ...shared });
  const uri = `sqlite://${folder}/catalog.db`;
  const sql = await realCatalog({ type: "sql", uri, name: "default", ...shared });
  let waitedMs = 0;
  const rest = createRestCatalog(restOptions(restUri), {
    storage: localStorage,
    storageWith: () => localStorage,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    http: timed((ms) => {
      waitedMs += ms;
    }),
  });
  await rest.open();
  return {
    file: await timesOf(file, count, null),
    sql: await timesOf(sql, count, null),
    rest: await timesOf(rest, count, () => waitedMs),
  };
}

function timed(waited: (ms: number) => void): Http {
  const http = createHttp({ clock: systemClock, timeoutMs: 30_000, connectionsMax: 5 });
  return {
    send: async (request) => {
      const began = performance.now();
      try {
        return await http.send(request);
      } finally {
        waited(performance.now() - began);
      }
    },
    close: http.close,
  };
}

async function timesOf(
  catalog: Catalog,
  count: number,
  waitedMs: (() => number) | null,
): Promise<OperationTimes> {
  await createSample(catalog, NAME, []);
  const [load, commit, ours]: [number[], number[], number[]] = [[], [], []];
  const measure = async (into: number[], run: () => Promise<unknown>): Promise<void> => {
    const [began, waited] = [performance.now(), waitedMs?.() ?? 0];
    await run();
    const took = performance.now() - began;
    into.push(took);
    if (waitedMs !== null) ours.push(took - (waitedMs() - waited));
  };
  // The snapshot's own files are written between load and commit, and are no part of either.
  const counted: Catalog = {
    ...methodsOf(catalog),
    load: async (name) => {
      let loaded: Awaited<ReturnType<Catalog["load"]>> = null;
      await measure(load, async () => {
        loaded = await catalog.load(name);
      });
      return loaded;
    },
    commit: async (...request) => {
      let outcome: Awaited<ReturnType<Catalog["commit"]>> | null = null;
      await measure(commit, async () => {
        outcome = await catalog.commit(...request);
      });
      if (outcome === null) throw new Error("no outcome");
      return outcome;
    },
  };
  for (let turn = 0; turn < WARM_UP + count; turn++) await commitEmpty(counted, NAME);
  await catalog.close();
  const warm = WARM_UP;
  return {
    load: spread(load.slice(warm)),
    commit: spread(commit.slice(warm)),
    ...(waitedMs !== null && { ours: spread(ours.slice(2 * warm)) }),
  };
}

function methodsOf(catalog: Catalog): Catalog {
  return {
    traits: catalog.traits,
    open: () => catalog.open(),
    load: (name) => catalog.load(name),
    locationOf: (name) => catalog.locationOf(name),
    create: (request) => catalog.create(request),
    commit: (...request) => catalog.commit(...request),
    list: (namespace) => catalog.list(namespace),
    close: () => catalog.close(),
  };
}

function spread(values: readonly number[]): Times {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Number((sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(2));
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Requests of a run. */
export interface FlushCosts {
  readonly flushes: number;
  /** Requests to the catalog for each flush, by method and status. */
  readonly catalog: Readonly<Record<string, number>>;
  /** Requests to the store for each flush, by method and what they are about. */
  readonly store: Readonly<Record<string, number>>;
}

/** Counts requests for each flush while events flow into one partition of a table. */
export async function proveFlushCosts(
  bootstrap: string,
  topic: string,
  server: CatalogServer,
  seconds: number,
): Promise<FlushCosts> {
  const config = merge(server.config, { "iceberg.commit": { interval_ms: 500 } });
  const course = await newCourse({ bootstrap, topic, partitions: 1, config, env: server.env });
  const product = await start(course);
  await product.ready();
  const flow = produceEvents({ bootstrap, topic, count: seconds * 400, rate: 400 });
  const committed = async (): Promise<number> =>
    Object.fromEntries(await commitOutcomes(product))["committed"] ?? 0;
  await until("some commits", async () => (await committed()) >= WARM_COMMITS, 60_000);
  const begin = { flushes: await committed(), ...(await requestsOf(server)) };
  await flow;
  const end = { flushes: await committed(), ...(await requestsOf(server)) };
  await product.terminate();
  const flushes = end.flushes - begin.flushes;
  return costsBetween(begin, end, flushes);
}

type Requests = Awaited<ReturnType<typeof requestsOf>>;

function costsBetween(begin: Requests, end: Requests, flushes: number): FlushCosts {
  const each = (of: keyof Requests): Record<string, number> =>
    Object.fromEntries(
      Object.entries(end[of]).map(([key, count]) => [
        key,
        Number(((count - (begin[of][key] ?? 0)) / flushes).toFixed(2)),
      ]),
    );
  return { flushes, catalog: each("catalog"), store: each("store") };
}

const WARM_COMMITS = 6;

async function requestsOf(
  server: CatalogServer,
): Promise<Record<"catalog" | "store", Readonly<Record<string, number>>>> {
  const store = Object.fromEntries(server.front?.requests ?? []);
  return { catalog: (await server.counts?.()) ?? {}, store };
}

/** Rows per CPU-second of whole processes, in turn. */
export interface IngestCosts {
  readonly rows: number;
  /** File catalog on the local disk. */
  readonly file: readonly number[];
  /** The catalog's server and its store. */
  readonly server: readonly number[];
  /** Median of the second to that of the first. */
  readonly ratio: number;
  /** The best of the second to that of the first: of the rounds that others disturbed least. */
  readonly bestRatio: number;
  /** Of the runs through the server, starts included. */
  readonly requests: FlushCosts;
}

/** Ingests the same topic through both, round after round. */
export async function proveIngestCosts(
  bootstrap: string,
  server: CatalogServer,
  { rows, rounds }: { readonly rows: number; readonly rounds: number },
): Promise<IngestCosts> {
  const topic = "costs";
  await createTopic(bootstrap, { topic, partitions: 6 });
  await produceEvents({ bootstrap, topic, count: rows, codec: "lz4" });
  const found: Record<"file" | "server", number[]> = { file: [], server: [] };
  const begin = await requestsOf(server);
  let flushes = 0;
  for (let round = 0; round < rounds; round++) {
    for (const kind of ["file", "server"] as const) {
      const own = { kafka: { consumer_group: `${kind}-${round}` }, "iceberg.commit": COMMIT };
      const over = kind === "server" ? merge(server.config, own) : own;
      const table = { iceberg: { table_name: `${kind}_${round}` } };
      const config = merge(over, table);
      const course = await newCourse({ bootstrap, topic, partitions: 0, config, env: server.env });
      const product = await runToEnd(course);
      found[kind].push(Math.round(rows / product.usage().cpuSeconds));
      if (kind === "server") flushes += product.log().split(COMMITTED).length - 1;
    }
  }
  const ratio = Number((median(found.server) / median(found.file)).toFixed(3));
  const bestRatio = Number((Math.max(...found.server) / Math.max(...found.file)).toFixed(3));
  const requests = costsBetween(begin, await requestsOf(server), flushes);
  return { rows, ...found, ratio, bestRatio, requests };
}

const COMMITTED = '"Flush committed"';

const COMMIT = { interval_ms: 1000 } as const;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
