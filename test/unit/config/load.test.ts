/**
 * What a configuration means: defaults, references, flags, pipelines.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireBuilt } from "#config/built.ts";
import { parseEnvFile } from "#config/environment.ts";
import { ALL_KEYS } from "#config/keys.ts";
import { checkValue } from "#config/value.ts";
import { load, loadRight, values } from "./helpers.ts";

const TOPIC = '[kafka]\ntopic = "events"\n';

describe("defaults", () => {
  test("one key is enough to run", async () => {
    const config = await loadRight(TOPIC);
    expect(requireBuilt(config)).toEqual([]);
    expect(values(config)["iceberg.commit.interval_ms"]).toBe(5000);
    expect(config.values["server.health_address"]).toBe("127.0.0.1:8080");
  });

  test("every key with a default accepts it", async () => {
    for (const [path, spec] of Object.entries(ALL_KEYS)) {
      if (spec.default === null) continue;
      const set = [`${path}=${JSON.stringify(spec.default)}`];
      if (path === "iceberg.write.properties" || path === "iceberg.rest.headers") continue;
      const { problems } = await load(TOPIC, { flags: { set } });
      expect({ path, problems }).toEqual({ path, problems: [] });
    }
  });
});

describe("references", () => {
  const variables = { HOST: "b1:9092", SIZE: "250", EMPTY: "", NESTED: "${HOST}" };

  test("are put into strings and typed afterwards", async () => {
    const text = `${TOPIC}bootstrap_servers = "\${HOST},b2:9092"\nbatch_size = "\${SIZE}"\nenable_auto_commit = "\${OFF:-false}"\n`;
    const loaded = values(await loadRight(text, { variables }));
    expect(loaded["kafka.bootstrap_servers"]).toBe("b1:9092,b2:9092");
    expect(loaded["kafka.batch_size"]).toBe(250);
    expect(loaded["kafka.enable_auto_commit"]).toBe(false);
  });

  test("a default stands in for an unset and for an empty variable", async () => {
    const text = '[kafka]\ntopic = "${NOPE:-a}${EMPTY:-b}"\n';
    expect(values(await loadRight(text, { variables }))["kafka.topic"]).toBe("ab");
  });

  test("what a reference gives is not searched again, and $${ is a plain ${", async () => {
    const text = `${TOPIC}rack_id = "\${NESTED}-$\${HOST}"\n`;
    expect(values(await loadRight(text, { variables }))["kafka.rack_id"]).toBe("${HOST}-${HOST}");
  });

  test("files and systemd credentials are read, without their last line break", async () => {
    const folder = mkdtempSync(join(tmpdir(), "credentials-"));
    writeFileSync(join(folder, "kafka"), "hunter2\n");
    const text = `${TOPIC}[kafka.sasl]\nmechanism = "plain"\nusername = "\${file:${folder}/kafka}"\npassword = "\${credential:kafka}"\n`;
    const loaded = values(await loadRight(text, { variables: { CREDENTIALS_DIRECTORY: folder } }));
    expect(loaded["kafka.sasl.username"]).toBe("hunter2");
    expect(loaded["kafka.sasl.password"]).toBe("hunter2");
  });

  test("what cannot be resolved is told", async () => {
    const text =
      '[kafka]\ntopics = ["${A}", "${file:/nope}", "${credential:x}", "${1x}", "${credential:x}"]\n';
    const { problems } = await load(text);
    expect(problems).toEqual([
      "config.toml:2: kafka.topics: the variable A is not set",
      "config.toml:2: kafka.topics: there is no file /nope",
      "config.toml:2: kafka.topics: ${credential:x} needs systemd's $CREDENTIALS_DIRECTORY",
      "config.toml:2: kafka.topics: ${1x} is not a reference",
      "config.toml:2: kafka.topics: ${credential:x} needs systemd's $CREDENTIALS_DIRECTORY",
    ]);
  });

  test("the process's variables come before --env-file, that before .env beside the file", async () => {
    const text = '[kafka]\ntopics = ["${A}", "${B}", "${C}"]\n';
    const envFile = join(mkdtempSync(join(tmpdir(), "env-")), "extra.env");
    writeFileSync(envFile, "A=named\nB=named\n");
    const files = { ".env": "A=beside\nB=beside\nC=beside\n" };
    const loaded = await loadRight(text, { files, envFile, variables: { A: "own" } });
    expect(values(loaded)["kafka.topics"]).toEqual(["own", "named", "beside"]);
  });

  test("an --env-file that is not there is a problem", async () => {
    const { problems } = await load(TOPIC, { envFile: "/nope.env" });
    expect(problems).toEqual(["config.toml: there is no file /nope.env"]);
  });

  test(".env lines may be exported, quoted and commented", () => {
    const text = 'export A=1\nB="x \\"y\\" # z"\nC=\'$A\'\nD=plain # note\n# E=1\n\nnonsense\n';
    expect(parseEnvFile(text)).toEqual({ A: "1", B: 'x "y" # z', C: "$A", D: "plain" });
  });
});

describe("flags", () => {
  test("come before the file", async () => {
    const flags = {
      bootstrapServers: "f:1",
      topic: "flag",
      warehousePath: "/w",
      set: [
        "iceberg.commit.interval_ms=700",
        'source.metadata_columns=["offset", "partition", "timestamp"]',
        "kafka.client_id=plain words",
        'iceberg.write.properties={"a" = "b"}',
      ],
    };
    const loaded = values(await loadRight('[kafka]\ntopics = ["x", "y"]\n', { flags }));
    expect(loaded["kafka.topic"]).toBe("flag");
    expect(loaded["kafka.topics"]).toBeNull();
    expect(loaded["kafka.bootstrap_servers"]).toBe("f:1");
    expect(loaded["iceberg.warehouse_path"]).toBe("/w");
    expect(loaded["iceberg.commit.interval_ms"]).toBe(700);
    expect(loaded["source.metadata_columns"]).toEqual(["offset", "partition", "timestamp"]);
    expect(loaded["kafka.client_id"]).toBe("plain words");
    expect(loaded["iceberg.write.properties"]).toEqual({ a: "b" });
  });

  test("a run needs no file", async () => {
    const { loadConfig } = await import("#config/load.ts");
    const flags = { topic: "t" };
    const loaded = await loadConfig({
      file: null,
      envFile: null,
      flags,
      purpose: "run",
      variables: {},
    });
    expect("config" in loaded && loaded.config.pipelines[0]?.values["kafka.topic"]).toBe("t");
  });
});

describe("pipelines", () => {
  const text = `[iceberg]
database_name = "raw"
[kafka]
consumer_group = "g"
[[pipelines]]
name = "one"
[pipelines.kafka]
topic = "a"
[pipelines.iceberg]
database_name = "own"
[[pipelines]]
name = "two"
kafka = { topics = ["b", "c"], consumer_group = "h" }
`;

  test("inherit the sections at the top level and override them", async () => {
    const { pipelines } = await loadRight(text);
    expect(pipelines.map(({ name }) => name)).toEqual(["one", "two"]);
    expect(pipelines.map((each) => each.values["iceberg.database_name"])).toEqual(["own", "raw"]);
    expect(pipelines.map((each) => each.values["kafka.consumer_group"])).toEqual(["g", "h"]);
    expect(pipelines.map((each) => each.values["kafka.topics"])).toEqual([null, ["b", "c"]]);
  });

  test("one of them is set by --set pipelines.NAME.KEY", async () => {
    const flags = { set: ["pipelines.two.iceberg.branch=dev", "iceberg.table_prefix=p_"] };
    const { pipelines } = await loadRight(text, { flags });
    expect(pipelines.map((each) => each.values["iceberg.branch"])).toEqual(["main", "dev"]);
    expect(pipelines.map((each) => each.values["iceberg.table_prefix"])).toEqual(["p_", "p_"]);
  });

  test("a problem at the top level is told once, one of a pipeline with its own line", async () => {
    const wrong = text.replace('"raw"', "1").replace('"own"', "2");
    const { problems } = await load(wrong);
    expect(problems).toEqual([
      "config.toml:2: iceberg.database_name: must be a string, is an integer",
      "config.toml:10: iceberg.database_name: must be a string, is an integer",
    ]);
  });

  test("need a name", async () => {
    const { problems } = await load('[[pipelines]]\nkafka.topic = "a"\n');
    expect(problems).toEqual([
      "config.toml:1: pipelines.name: every pipeline needs a name of letters, digits, _ and -",
    ]);
  });

  test("must be an array of tables", async () => {
    const { problems } = await load('[pipelines]\nname = "a"\n');
    expect(problems).toEqual([
      "config.toml:1: pipelines: must be an array of tables: [[pipelines]]",
    ]);
  });

  test("may share a table when their topics or clusters differ", async () => {
    const shared = '[iceberg]\ntable_name = "all"\n';
    const { problems } = await load(
      `${shared}[[pipelines]]\nname = "a"\nkafka.topic = "t"\n[[pipelines]]\nname = "b"\nkafka = { topic = "t", bootstrap_servers = "other:9092" }\n`,
    );
    expect(problems).toEqual([]);
  });
});

test("words are taken in any case, for every key that is one of some words", async () => {
  const sasl = 'username = "u"\npassword = "p"\n';
  const { pipelines } = await loadRight(
    `[kafka]\ntopic = "t"\nauto_offset_reset = "Latest"\n[kafka.sasl]\nmechanism = "SCRAM-SHA-512"\n${sasl}`,
  );
  expect(pipelines[0]?.values["kafka.sasl.mechanism"]).toBe("scram-sha-512");
  expect(pipelines[0]?.values["kafka.auto_offset_reset"]).toBe("latest");
  for (const [key, spec] of Object.entries(ALL_KEYS)) {
    for (const word of spec.values ?? []) {
      const value = spec.type === "strings" ? [word.toUpperCase()] : word.toUpperCase();
      const wanted = spec.type === "strings" ? [word] : word;
      expect([key, checkValue(spec, value, false)]).toEqual([key, { value: wanted }]);
    }
  }
});
