/**
 * Avro end to end: real Kafka, Apicurio's registry behind TLS, records of confluent-kafka's own serializer,
 * tables as PyIceberg and DuckDB read them.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createTopic } from "../../scripts/events/topics.ts";
import { type Apicurio, startApicurio } from "../../scripts/services/apicurio.ts";
import { readersPython, serializers } from "../../scripts/services/cache.ts";
import { type Certificates, makeCertificates } from "../../scripts/services/certificates.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { freePort, run, temporaryFolder, until } from "../../scripts/services/process.ts";
import { type Config, type Product, startProduct } from "../../scripts/services/product.ts";
import { fileTable, runUntilEnd } from "../support/binary.ts";
import { type ColumnAnswer, readColumns } from "../support/tableReaders.ts";

let broker: KafkaBroker;
let registry: Apicurio;
let certificates: Certificates;
let root: string;

beforeAll(async () => {
  root = await temporaryFolder("avro");
  certificates = await makeCertificates(root, true);
  [broker, registry] = await Promise.all([startKafka(), startApicurio()]);
}, 600_000);

afterAll(async () => {
  await registry?.stop();
  await broker?.stop();
});

interface Batch {
  readonly schema: object;
  readonly first: number;
  readonly count: number;
}

async function produce(topic: string, batches: readonly Batch[]): Promise<void> {
  const script = join(import.meta.dir, "..", "support", "avro_producer.py");
  const job = { bootstrap: broker.bootstrap, registry: registry.url, topic, batches };
  const env = { PYTHONPATH: await serializers() };
  await run([await readersPython(), script], { env, stdin: JSON.stringify(job) });
}

function configOf(topic: string, more: Config = {}): Config {
  const config = {
    source: { format: "avro" },
    schema_registry: { url: registry.url },
    dead_letter: { action: "fail" },
    "iceberg.commit": { interval_ms: 500 },
    ...more,
  };
  const warehouse = join(root, "warehouse");
  return fileTable({ bootstrap: broker.bootstrap, topic, warehouse, config });
}

/** Columns of a topic's table as both readers find them, who agree. */
async function columnsOf(
  topic: string,
  names: readonly string[],
): Promise<readonly (readonly (string | null)[])[]> {
  const table = { folder: join(root, "warehouse", "default", topic) };
  const { readers } = await readColumns({ table, columns: names });
  const [first, second] = Object.values(readers);
  expect(first).toEqual(second as Record<string, ColumnAnswer>);
  return names.map((name) => {
    const found = first?.[name];
    if (found === undefined || "error" in found) throw new Error(JSON.stringify(found));
    return found;
  });
}

const named = (name: string, type: unknown) => ({ name, type });

test("every type is in the table as it was serialized", async () => {
  const topic = "avro-types";
  await createTopic(broker.bootstrap, { topic, partitions: 1 });
  const inner = {
    type: "record",
    name: "Inner",
    fields: [named("a", "int"), named("b", "string")],
  };
  const logical = (type: string, logicalType: string, more = {}) => ({
    type,
    logicalType,
    ...more,
  });
  const types: readonly (readonly [type: unknown, wanted: readonly (string | null)[]])[] = [
    ["boolean", ["true", "false", "true"]],
    ["int", ["-4", "-3", "-2"]],
    ["long", ["8589934587", "17179869179", "25769803771"]],
    ["float", ["0.5", "1.0", "1.5"]],
    ["double", ["0.25", "0.5", "0.75"]],
    ["string", ["text 1 ä", "text 2 ä", "text 3 ä"]],
    ["bytes", ["0100", "0200", "0300"]],
    [{ type: "fixed", name: "F", size: 2 }, ["0101", "0202", "0303"]],
    [{ type: "enum", name: "E", symbols: ["A", "B"] }, ["B", "A", "B"]],
    [
      ["null", "int"],
      ["-4", "-3", "-2"],
    ],
    [logical("bytes", "decimal", { precision: 9, scale: 2 }), ["-4.63", "-4.26", "-3.89"]],
    [logical("int", "date"), ["1969-12-30", "1969-12-31", "1970-01-01"]],
    [
      logical("long", "timestamp-micros"),
      ["1969-12-31 23:59:59.999998", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00.000000"],
    ],
    [
      logical("long", "local-timestamp-millis"),
      ["1969-12-31 23:59:59.998000", "1969-12-31 23:59:59.999000", "1970-01-01 00:00:00.000000"],
    ],
    [logical("string", "uuid"), [1, 2, 3].map((n) => `00000000-0000-0000-0000-00000000000${n}`)],
    [{ type: "array", items: "int" }, ["[-4]", "[-3, -2]", "[]"]],
    [{ type: "map", values: "int" }, ['{"k0": -4}', '{"k0": -3, "k1": -2}', "[]"]],
    [inner, [1, 2, 3].map((n) => `{"a": ${n - 5}, "b": "text ${n} ä"}`)],
    [
      ["int", "string"],
      [
        '{"int": null, "string": "text 1 ä"}',
        '{"int": -3, "string": null}',
        '{"int": null, "string": "text 3 ä"}',
      ],
    ],
  ];
  const fields = types.map(([type], index) => named(`c${index}`, type));
  const schema = { type: "record", name: "All", fields: [named("n", "int"), ...fields] };
  await produce(topic, [{ schema, first: 1, count: 3 }]);
  const { product, exitCode } = await runUntilEnd({ config: configOf(topic) });
  expect({ exitCode, log: exitCode === 0 ? "" : product.log() }).toEqual({ exitCode: 0, log: "" });
  const names = types.map((_, index) => `c${index}`);
  expect(await columnsOf(topic, names)).toEqual(types.map(([, wanted]) => wanted));
}, 600_000);

test("twenty versions of a schema while data flows: fields added, nested, widened, left out; no row is lost", async () => {
  const topic = "avro-versions";
  await createTopic(broker.bootstrap, { topic, partitions: 1 });
  const action = { schema_mismatch_action: "evolve" };
  const config = configOf(topic, { "iceberg.table_management": action });
  const product = await startProduct({ config });
  const perVersion = 200;
  const batches = Array.from({ length: 20 }, (_, version) => {
    const more = Array.from({ length: version }, (_each, index) => ({
      ...named(
        `f${index}`,
        index % 2 === 0 ? ["null", "string"] : ["null", { type: "array", items: "long" }],
      ),
      default: null,
    }));
    // The third field is left out later on, and `wide` grows.
    const kept = version > 15 ? more.filter(({ name }) => name !== "f3") : more;
    const wide = named("wide", version < 8 ? "int" : "long");
    const part = { type: "record", name: "Part", fields: [named("x", "int"), ...kept.slice(0, 3)] };
    const fields = [named("n", "int"), wide, named("part", part), ...kept];
    const schema = { type: "record", name: "Row", fields };
    return { schema, first: version * perVersion, count: perVersion };
  });
  await produce(topic, batches);
  await product.terminate();
  const { exitCode, product: rest } = await runUntilEnd({ config, folder: product.folder });
  expect({ exitCode, log: exitCode === 0 ? "" : rest.log() }).toEqual({ exitCode: 0, log: "" });
  const [n, wide, last] = await columnsOf(topic, ["n", "wide", "f18"]);
  const all = (n ?? []).map(Number).sort((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: 20 * perVersion }, (_, each) => each));
  expect((wide ?? []).filter((each) => Number(each) > 2 ** 31)).not.toBeEmpty();
  expect((last ?? []).filter((each) => each !== null)).toHaveLength(150);
}, 600_000);

/** What a registry in trouble does to requests; null: nothing. */
type Trouble = (() => Response | Promise<Response>) | null;

/** The registry behind TLS, with troubles. */
class TroubledRegistry {
  trouble: Trouble = null;
  readonly port = freePort();
  #server: Bun.Server<undefined> | null = null;

  async start(isExpired = false): Promise<void> {
    const { serverKeyStore, expiredClient } = certificates;
    const own = await Bun.file(serverKeyStore).text();
    const tls = isExpired
      ? { key: Bun.file(expiredClient.key), cert: Bun.file(expiredClient.cert) }
      : { key: own, cert: own };
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: this.port,
      tls,
      fetch: async (request) => {
        if (this.trouble !== null) return this.trouble();
        const { pathname, search } = new URL(request.url);
        return fetch(`${registry.url}${pathname}${search}`);
      },
    });
  }

  async stop(): Promise<void> {
    await this.#server?.stop(true);
  }
}

test("a registry that is away, slow, refuses, fails, knows late or has an expired certificate costs no record", async () => {
  const topic = "avro-trouble";
  await createTopic(broker.bootstrap, { topic, partitions: 1 });
  const front = new TroubledRegistry();
  await front.start();
  const json = (status: number, body: object): Response => Response.json(body, { status });
  const config = configOf(topic, {
    schema_registry: { url: `https://127.0.0.1:${front.port}`, ca_file: certificates.ca },
  });
  const product = await startProduct({ config });
  const schemaOf = (version: number): object => {
    const more = version === 0 ? [] : [{ ...named(`v${version}`, ["null", "int"]), default: null }];
    return { type: "record", name: "T", fields: [named("n", "int"), ...more] };
  };
  await produce(topic, [{ schema: schemaOf(0), first: 0, count: 10 }]);
  await produced(product, 10);
  const troubles: readonly (readonly [Trouble | "away" | "expired", sentence: string])[] = [
    [() => json(401, { error_code: 401, message: "no" }), "does not know us (HTTP 401 no)"],
    [() => json(503, { error_code: 50003, message: "busy" }), "cannot answer now (HTTP 503 busy)"],
    [() => json(404, { error_code: 40403, message: "no" }), "does not know schema id"],
    [() => Bun.sleep(20_000).then(() => json(500, {})), "has not answered yet"],
    ["away", "does not answer"],
    ["expired", "certificate has expired"],
  ];
  for (const [index, [trouble, sentence]] of troubles.entries()) {
    if (trouble === "away" || trouble === "expired") {
      await front.stop();
      if (trouble === "expired") await front.start(true);
    } else front.trouble = trouble;
    await produce(topic, [{ schema: schemaOf(index + 1), first: 10 * (index + 1), count: 10 }]);
    await until(sentence, () => product.log().includes(sentence), 30_000);
    expect(product.ended()).toBe(false);
    if (trouble === "away" || trouble === "expired") {
      await front.stop();
      await front.start();
    }
    front.trouble = null;
    await produced(product, 10 * (index + 2));
  }
  await product.terminate();
  await front.stop();
  const [found] = await columnsOf(topic, ["n"]);
  const all = (found ?? []).map(Number);
  expect(all).toEqual(Array.from({ length: 70 }, (_, n) => n));
  expect(product.log()).not.toContain("rejected");
}, 600_000);

/** Waits until so many rows are committed. */
async function produced(product: Product, rows: number): Promise<void> {
  const committed = async (): Promise<boolean> => {
    const text = await product.metrics().catch(() => "");
    const found = /^iceberg_rows_written_total\S* (\d+)$/m.exec(text) ?? ["", "0"];
    return Number(found[1]) >= rows;
  };
  await until(`${rows} rows`, committed, 60_000, 250);
}
