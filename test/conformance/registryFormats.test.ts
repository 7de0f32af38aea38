/**
 * Avro, Protobuf and JSON Schema end to end: real Kafka, Apicurio's registry, records of confluent-kafka's
 * own serializers, tables as PyIceberg, DuckDB and Spark read them; the registry behind TLS, in trouble.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createTopic } from "../../scripts/events/topics.ts";
import { sparkCopies, type TableSource } from "../../scripts/judge/judge.ts";
import { type Apicurio, startApicurio } from "../../scripts/services/apicurio.ts";
import { readersPython, serializers } from "../../scripts/services/cache.ts";
import { type Certificates, makeCertificates } from "../../scripts/services/certificates.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { freePort, run, temporaryFolder, until } from "../../scripts/services/process.ts";
import {
  type Config,
  type Product,
  type ProductOptions,
  startProduct,
} from "../../scripts/services/product.ts";
import { fileTable, runUntilEnd, tableFolder } from "../support/binary.ts";
import { CHANGE_FORMATS, ChangingSource } from "../support/registryChanges.ts";
import { REGISTRY_FORMATS, type RegistryFormat } from "../support/registryTypes.ts";
import { type ColumnAnswer, readColumns } from "../support/tableReaders.ts";

let broker: KafkaBroker;
let registry: Apicurio;
let certificates: Certificates;
let root: string;

beforeAll(async () => {
  root = await temporaryFolder("registry");
  certificates = await makeCertificates(root, true);
  [broker, registry] = await Promise.all([startKafka(), startApicurio()]);
}, 600_000);

afterAll(async () => {
  await registry?.stop();
  await broker?.stop();
});

/** Tables that were right so far, and what is in their columns: for Spark, which starts once. */
const forSpark: {
  readonly topic: string;
  readonly names: readonly string[];
  readonly wanted: readonly (readonly (string | null)[])[];
  readonly order?: string;
}[] = [];

type Batch =
  | {
      readonly schema: unknown;
      readonly first: number;
      readonly count: number;
      /** Default: records have no keys. */
      readonly key_schema?: unknown;
      /** Records have keys only. */
      readonly tombstones?: boolean;
    }
  | { readonly schema: unknown; readonly records: readonly object[] };

type FormatName = RegistryFormat["name"];

async function produce(
  topic: string,
  format: FormatName,
  batches: readonly Batch[],
): Promise<void> {
  const script = join(import.meta.dir, "..", "support", "registry_producer.py");
  const job = { bootstrap: broker.bootstrap, registry: registry.url, topic, format, batches };
  const env = { PYTHONPATH: await serializers() };
  await run([await readersPython(), script], { env, stdin: JSON.stringify(job) });
}

function configOf(topic: string, format: FormatName, more: Config = {}): Config {
  const config = {
    source: { format },
    schema_registry: { url: registry.url },
    dead_letter: { action: "fail" },
    "iceberg.commit": { interval_ms: 500 },
    ...more,
  };
  const warehouse = join(root, "warehouse");
  return fileTable({ bootstrap: broker.bootstrap, topic, warehouse, config });
}

async function runToEnd(options: ProductOptions): Promise<void> {
  const { product, exitCode } = await runUntilEnd(options);
  expect({ exitCode, log: exitCode === 0 ? "" : product.log() }).toEqual({ exitCode: 0, log: "" });
}

function tableOf(topic: string): TableSource {
  return { folder: tableFolder(join(root, "warehouse"), topic) };
}

/** Columns of a topic's table as both readers find them, who agree. */
async function columnsOf(
  topic: string,
  names: readonly string[],
  order = "_kafka_offset",
): Promise<readonly (readonly (string | null)[])[]> {
  const { readers } = await readColumns({ table: tableOf(topic), columns: names, order });
  const [first, second] = Object.values(readers);
  expect(first).toEqual(second as Record<string, ColumnAnswer>);
  return names.map((name) => {
    const found = first?.[name];
    if (found === undefined || "error" in found) throw new Error(JSON.stringify(found));
    return found;
  });
}

const PER_VERSION = 1000;
const PARTITIONS = 3;
const CHANGES = 1000;
const ID = { name: "id", type: "long", required: true };

for (const format of REGISTRY_FORMATS) {
  test(`${format.name}: every type is in the table as it was serialized`, async () => {
    for (const isTime of [false, true]) {
      const topic = `${format.name}-${isTime ? "times" : "types"}`;
      const types = format.types.filter((each) => (each.isTime ?? false) === isTime);
      await createTopic(broker.bootstrap, { topic, partitions: 1 });
      await produce(topic, format.name, [{ schema: format.schemaOf(types), first: 1, count: 3 }]);
      await runToEnd({ config: configOf(topic, format.name) });
      const names = types.map((_, index) => `c${index}`);
      const wanted = types.map((each) => each.wanted);
      expect(await columnsOf(topic, names)).toEqual(wanted);
      if (!isTime) forSpark.push({ topic, names, wanted });
    }
  }, 600_000);

  test(`${format.name}: twenty versions of a schema while data flows, with fields added, nested, widened, left out; no row is lost`, async () => {
    const topic = `${format.name}-versions`;
    await createTopic(broker.bootstrap, { topic, partitions: 1 });
    const config = configOf(topic, format.name, {
      "iceberg.table_management": { schema_mismatch_action: "evolve" },
    });
    const product = await startProduct({ config });
    const batches = Array.from({ length: 20 }, (_, version) => {
      const first = version * PER_VERSION;
      return { schema: format.version(version), first, count: PER_VERSION };
    });
    await produce(topic, format.name, batches);
    await product.terminate();
    await runToEnd({ config, folder: product.folder });
    const names = ["n", "wide", "f18"];
    const [n = [], wide = [], last = []] = await columnsOf(topic, names);
    const numbers = Array.from({ length: 20 * PER_VERSION }, (_, each) => each);
    expect(n.map(Number)).toEqual(numbers);
    const isWide = (each: number): boolean => each >= 8 * PER_VERSION;
    expect(wide.map(Number)).toEqual(
      numbers.map((each) => (isWide(each) ? each * 2 ** 33 - 5 : each - 5)),
    );
    const isLast = (each: number): boolean => each >= 19 * PER_VERSION && each % 4 !== 0;
    expect(last).toEqual(numbers.map((each) => (isLast(each) ? `text ${each} ä` : null)));
    forSpark.push({ topic, names, wanted: [n, wide, last] });
  }, 600_000);
}

for (const format of REGISTRY_FORMATS) {
  test(`${format.name}: keys of every type fill columns of appended rows, and delete the rows that have them`, async () => {
    const schema = format.version(0);
    const types = format.types.filter(({ isTime = false }) => !isTime);
    const names = types.map((_, index) => `c${index}`);
    const appended = `${format.name}-keys`;
    await createTopic(broker.bootstrap, { topic: appended, partitions: 1 });
    await produce(appended, format.name, [
      { schema, key_schema: format.schemaOf(types), first: 1, count: 3 },
    ]);
    const keys = { format: format.name, key_format: format.name, key_field: names };
    await runToEnd({ config: configOf(appended, format.name, { source: keys }) });
    const wanted = [...types.map((each) => each.wanted), ["1", "2", "3"]];
    expect(await columnsOf(appended, [...names, "n"])).toEqual(wanted);
    forSpark.push({ topic: appended, names: [...names, "n"], wanted });
    const changed = `${format.name}-key-deletes`;
    await createTopic(broker.bootstrap, { topic: changed, partitions: 1 });
    await produce(changed, format.name, [
      { schema, key_schema: schema, first: 1, count: 3 },
      { schema, key_schema: schema, first: 2, count: 1, tombstones: true },
    ]);
    const key = { format: format.name, mode: "ktable", key_format: format.name, key_field: ["n"] };
    await runToEnd({ config: configOf(changed, format.name, { source: key }) });
    expect(await columnsOf(changed, ["n"])).toEqual([["1", "3"]]);
  }, 600_000);
}

for (const format of CHANGE_FORMATS) {
  test(`${format.name}: Debezium's changes leave the rows that the source has, by deletion vectors, also after a restart and a new version`, async () => {
    const topic = `${format.name}-changes`;
    await createTopic(broker.bootstrap, { topic, partitions: PARTITIONS });
    const config = configOf(topic, format.name, {
      source: { format: format.name, mode: "cdc", key_field: ["id"], key_format: "json" },
      // Of Protobuf the messages say which columns there are.
      ...(format.name === "protobuf" ? {} : { schema: { fields: [ID] } }),
      "iceberg.write": { format_version: 3 },
      partitioning: { partition_strategy: "none" },
    });
    const source = new ChangingSource(format.name, PARTITIONS);
    for (const version of [1, 2] as const) {
      const records = source.change(version, CHANGES);
      const text = format.envelope(version);
      const schema = format.name === "protobuf" ? text : (JSON.parse(text) as object);
      await produce(topic, format.name, [{ schema, records }]);
      await runToEnd({ config });
    }
    const wanted = source.columns;
    const names = ["id", "n", "later"];
    expect(await columnsOf(topic, names, "id")).toEqual(wanted);
    forSpark.push({ topic, names, wanted, order: "id" });
  }, 600_000);
}

test("Spark reads the same of all of them", async () => {
  const copies = await sparkCopies(forSpark.map(({ topic }) => ({ table: tableOf(topic) })));
  for (const [index, { topic, names, wanted, order = "_kafka_offset" }] of forSpark.entries()) {
    const [sparkRows = ""] = copies.slice(index);
    const only = ["spark"] as const;
    const job = { table: tableOf(topic), columns: names, order, readers: only, sparkRows };
    const { readers } = await readColumns(job);
    expect(names.map((name) => readers["spark"]?.[name])).toEqual([...wanted]);
  }
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
  const config = configOf(topic, "avro", {
    schema_registry: { url: `https://127.0.0.1:${front.port}`, ca_file: certificates.ca },
  });
  const product = await startProduct({ config });
  const schemaOf = (version: number): object => {
    const more = { name: `v${version}`, type: ["null", "int"], default: null };
    const n = { name: "n", type: "int" };
    return { type: "record", name: "T", fields: version === 0 ? [n] : [n, more] };
  };
  await produce(topic, "avro", [{ schema: schemaOf(0), first: 0, count: 10 }]);
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
    await produce(topic, "avro", [
      { schema: schemaOf(index + 1), first: 10 * (index + 1), count: 10 },
    ]);
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
