/**
 * `import-config`: configurations of Kafka Connect's Iceberg sinks become ours, without a secret and
 * without a key lost.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "#config/load.ts";
import { SINKS } from "../../support/connectSinks.ts";
import { cli } from "./place.ts";

/** Imports a text and reads what came out with our own reader, variables set. */
async function imported(text: string, name = "connect.json") {
  const folder = mkdtempSync(join(tmpdir(), "import-"));
  const file = join(folder, name);
  writeFileSync(file, text);
  const { code, out, err } = await cli(["import-config", file]);
  expect(code, err).toBe(0);
  const config = join(folder, "config.toml");
  writeFileSync(config, out);
  const variables = [...out.matchAll(/\$\{(\w+)\}/g)].map(([, each = ""]) => [
    each,
    `${each.endsWith("_URI") ? "https://" : ""}value-of-${each}`,
  ]);
  const loaded = await loadConfig({
    file: config,
    envFile: null,
    flags: { bootstrapServers: undefined, topic: undefined, warehousePath: undefined, set: [] },
    purpose: "run",
    variables: Object.fromEntries(variables),
  });
  if ("problems" in loaded) throw new Error(`${JSON.stringify(loaded.problems)}\n${out}`);
  return { out, err, pipelines: loaded.config.pipelines };
}

const sink = (keys: Readonly<Record<string, string>>): string =>
  JSON.stringify({
    "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector",
    topics: "t",
    ...keys,
  });

describe("import-config", () => {
  for (const { name, file, text, expected, secrets, unmatched } of SINKS) {
    test(`takes ${name} over, and our reader accepts it`, async () => {
      const { out, err, pipelines } = await imported(text, file);
      expect(pipelines).toHaveLength(expected.length);
      for (const [at, values] of expected.entries()) {
        expect(pipelines[at]?.values).toMatchObject(values as object);
      }
      for (const secret of secrets) expect(out + err).not.toContain(secret);
      for (const key of unmatched) expect(err).toContain(`No counterpart: ${key}:`);
      expect(err.match(/No counterpart/g) ?? []).toHaveLength(unmatched.length);
    });
  }

  test("names a key that nobody knows, in the configuration and on standard error", async () => {
    const { out, err } = await imported(sink({ "iceberg.tables": "a.b", "my.own.key": "hush" }));
    for (const text of [out, err]) {
      expect(text).toContain("No counterpart: my.own.key: nothing here is known for it.");
      expect(text).not.toContain("hush");
    }
  });

  test("prints no secret, wherever a sink keeps one", async () => {
    const { out, err } = await imported(
      sink({
        "iceberg.tables": "a.b",
        "iceberg.catalog.type": "rest",
        "iceberg.catalog.uri": "https://user:hush@catalog.example.com",
        "iceberg.catalog.credential": "id:hush",
        "iceberg.catalog.header.Authorization": "Bearer hush",
        "iceberg.catalog.s3.access-key-id": "hush",
        "iceberg.catalog.s3.secret-access-key": "hush",
        "iceberg.catalog.s3.session-token": "hush",
        "consumer.override.sasl.mechanism": "PLAIN",
        "consumer.override.sasl.jaas.config": 'x required username="u" password="hush\\"hush";',
        "consumer.override.ssl.truststore.password": "hush",
        "value.converter": "io.confluent.connect.avro.AvroConverter",
        "value.converter.schema.registry.url": "https://registry.example.com",
        "value.converter.basic.auth.user.info": "u:hush",
        "errors.deadletterqueue.secret": "hush",
      }),
    );
    expect(out + err).not.toContain("hush");
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference of the configuration
    expect(out).toContain('credential = "${ICEBERG_REST_CREDENTIAL}"');
  });

  test("keeps the variables that a sink names, and asks for one where it names a file", async () => {
    const { out } = await imported(
      sink({
        "iceberg.tables": "a.b",
        "iceberg.catalog.type": "rest",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference of the configuration
        "iceberg.catalog.uri": "${file:/opt/catalog.properties:uri}",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference of the configuration
        "iceberg.catalog.token": "${env:CATALOG_TOKEN}",
      }),
    );
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference of the configuration
    expect(out).toContain('credential = "${CATALOG_TOKEN}"');
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference of the configuration
    expect(out).toContain('uri = "${ICEBERG_REST_URI}"');
  });

  test("refuses what is no sink of Iceberg, without repeating its values", async () => {
    const folder = mkdtempSync(join(tmpdir(), "import-"));
    const cases = [
      ['{"connector.class": "io.example.S3Sink", "secret": "hush"}', "is of another connector"],
      ['{"topics": "hush"}', "has no connector.class"],
      ['{"connector.class": hush', "begins as JSON and is no object"],
      ["# nothing\n", "holds no key"],
    ];
    for (const [text = "", message = ""] of cases) {
      const file = join(folder, "x");
      writeFileSync(file, text);
      const { code, err } = await cli(["import-config", file]);
      expect(code).toBe(2);
      expect(err).toContain(message);
      expect(err).not.toContain("hush");
    }
    expect((await cli(["import-config", join(folder, "none")])).code).toBe(2);
  });

  test("makes no configuration out of a name with a line end", async () => {
    const { pipelines } = await imported(
      sink({ "iceberg.tables": "a.b", 'x\n[kafka]\nclient_id = "y"\n#': "" }),
    );
    expect(pipelines[0]?.values["kafka.client_id"]).toBe("kafka-iceberg");
  });
});
