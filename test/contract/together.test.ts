/**
 * Tables that records name, committed in one request of a REST catalog: the whole pipeline before a broker in
 * memory and a server behind HTTP.
 */
import { afterEach, expect, test } from "bun:test";
import { systemDisk } from "#base/disk.ts";
import { EXIT } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import type { PipelineValues } from "#config/keys.ts";
import { routesOf } from "#config/routing.ts";
import { createLocalStorage } from "#storage/local.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { createRestFake, type Intercept, type RestFake, refusal } from "../fakes/restServer.ts";
import { restOptions } from "../support/catalogPlaces.ts";
import { WRITER_OPTIONS } from "../support/writerOptions.ts";
import { endAll, LIMITS, newWarehouse, pipelineOf } from "./pipelineRunRig.ts";

const servers: { stop(closes: boolean): unknown }[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.stop(true);
  endAll();
});

const TABLES = ["db.e", "db.e_a", "db.e_b", "db.e_c"];
const PATIENT = { ...LIMITS, startupTimeoutMs: 0 };
const TOGETHER = /\/transactions\/commit$/;

/** A server on the loopback address whose tables lie on the local disk. */
function serve(intercept: Intercept): { readonly fake: RestFake; readonly uri: string } {
  const fake = createRestFake(createLocalStorage({ disk: systemDisk, random: systemRandom }));
  fake.warehouse = newWarehouse();
  fake.intercept = intercept;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const { method, url } = request;
      const text = await request.text();
      const headers = Object.fromEntries(request.headers);
      const body = method === "GET" ? null : text;
      const answer = await fake.http.send({ method: method as "GET", url, headers, body });
      return new Response(answer.status === 204 || answer.status === 304 ? null : answer.body, {
        status: answer.status,
        headers: { ...answer.headers },
      });
    },
  });
  servers.push(server);
  return { fake, uri: `http://127.0.0.1:${server.port}` };
}

function routing(): NonNullable<PipelineOptions["routing"]> {
  const routes = routesOf({
    "iceberg.database_name": "db",
    "iceberg.table_prefix": "",
    "iceberg.catalog_type": "rest",
    "iceberg.routes": {},
    "iceberg.route_table": null,
  } as unknown as PipelineValues);
  return {
    ...routes,
    field: "t",
    branch: "main",
    writer: (topic, value) => {
      const name = routes.tableOf(topic, value);
      return name === null ? null : { ...WRITER_OPTIONS, name };
    },
  };
}

/** A topic of two partitions, 40 records each: a quarter without a table's name. */
function broker(): FakeKafka {
  const kafka = new FakeKafka();
  kafka.topic("e", 2);
  for (const partition of [0, 1]) {
    const names = Array.from({ length: 40 }, (_, n) => [null, "a", "b", "c"][n % 4]);
    const records = names.map((t, n) => ({ value: JSON.stringify({ n, t }) }));
    kafka.append("e", partition, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  }
  return kafka;
}

/** Runs the pipeline to the topic's end, and says how many rows each table has. */
async function runOn(uri: string, fake: RestFake): Promise<Readonly<Record<string, number>>> {
  const run = pipelineOf(broker(), {
    topics: ["e"],
    decoder: { fields: null, inferRows: 1 },
    routing: routing(),
    intervalMs: 50,
    catalog: { type: "rest", ...restOptions(uri) },
    together: true,
    logger: silentLogger,
  });
  expect(await run.run(PATIENT, true)).toBe(EXIT.ok);
  const rows: Record<string, number> = {};
  for (const name of TABLES) {
    const [, table] = name.split(".");
    const url = `${uri}/v1/namespaces/db/tables/${table}`;
    const loaded = await fake.http.send({ method: "GET", url, headers: {}, body: null });
    const { metadata } = JSON.parse(loaded.body) as {
      metadata: {
        "current-snapshot-id": number;
        snapshots: { "snapshot-id": number; summary: Record<string, string> }[];
      };
    };
    const head = metadata.snapshots.at(-1);
    rows[name] = Number(head?.summary["total-records"] ?? 0);
  }
  return rows;
}

const EACH_TWENTY = Object.fromEntries(TABLES.map((name) => [name, 20]));

test("tables of one topic are committed in one request", async () => {
  const { fake, uri } = serve(async () => null);
  expect(await runOn(uri, fake)).toEqual(EACH_TWENTY);
  const sent = fake.requests.filter(({ url }) => TOGETHER.test(url));
  const sizes = sent.map(({ body }) => JSON.parse(body ?? "{}")["table-changes"].length);
  expect(Math.max(...sizes)).toBe(4);
}, 60_000);

test("answers that are lost, conflicts and refusals lose and double nothing", async () => {
  let turn = 0;
  const { fake, uri } = serve(async (request, apply) => {
    if (!TOGETHER.test(request.url)) return null;
    switch (turn++ % 4) {
      case 0:
        await apply();
        return refusal(503, "ServiceFailureException");
      case 1:
        return refusal(409, "CommitFailedException");
      case 2:
        return refusal(502, null);
      default:
        return null;
    }
  });
  expect(await runOn(uri, fake)).toEqual(EACH_TWENTY);
  expect(turn).toBeGreaterThan(0);
}, 60_000);

test("where the server has no such request each table is committed by itself", async () => {
  const { fake, uri } = serve(async (request) =>
    TOGETHER.test(request.url) ? refusal(501, null) : null,
  );
  expect(await runOn(uri, fake)).toEqual(EACH_TWENTY);
  expect(fake.count("POST", TOGETHER)).toBe(1);
}, 60_000);
