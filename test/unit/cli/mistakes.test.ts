/**
 * The mistakes that new users make most, each answered by a sentence that says what to do. Those that need a real
 * broker (a wrong password, TLS against plain text) are in test/conformance/consumerSecurity.test.ts.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail } from "#base/errors.ts";
import { cli, makePlace } from "./place.ts";

/** What `check` or another command says about a configuration. */
async function told(text: string, words: readonly string[] = ["check"]) {
  const config = join(mkdtempSync(join(tmpdir(), "mistake-")), "config.toml");
  writeFileSync(config, text);
  const { code, out, err } = await cli([...words, "--config", config]);
  return { code, said: out + err };
}

const KAFKA = '[kafka]\ntopic = "events"\n';

describe("a mistake is answered by what to do:", () => {
  const CASES: readonly (readonly [name: string, text: string, answer: string])[] = [
    [
      "a misspelt key",
      `${KAFKA}bootstrap_server = "kafka:9092"\n`,
      "config.toml:3: kafka.bootstrap_server: unknown key; did you mean kafka.bootstrap_servers?",
    ],
    [
      "no topic",
      '[kafka]\nbootstrap_servers = "kafka:9092"\n',
      "reads nothing: set kafka.topic, kafka.topics or kafka.topic_pattern",
    ],
    [
      "a quote that is missing",
      '[kafka]\ntopic = "events\n',
      "config.toml:2: is not valid TOML: unterminated",
    ],
    [
      "a broker without a port",
      `${KAFKA}bootstrap_servers = "kafka"\n`,
      "has no port: write host:port, such as localhost:9092",
    ],
    [
      "a number with its unit",
      `${KAFKA}[iceberg.commit]\ninterval_ms = "5s"\n`,
      "config.toml:4: iceberg.commit.interval_ms: must be an integer, is a string",
    ],
    [
      "a variable that is not set",
      `${KAFKA}[storage.s3]\nregion = "$${"{NOT_SET_ANYWHERE}"}"\n`,
      "the variable NOT_SET_ANYWHERE is not set",
    ],
    [
      "an address that everybody reaches, without a token",
      `${KAFKA}[server]\nhealth_address = "0.0.0.0:8080"\n`,
      "set server.query_token, or server.query_enabled = false",
    ],
  ];
  for (const [name, text, answer] of CASES) {
    test(name, async () => {
      const { code, said } = await told(text);
      expect(said).toContain(answer);
      expect(code).toBe(2);
    });
  }

  test("a configuration file that is not there", async () => {
    const { code, err } = await cli(["check", "--config", "/nowhere/config.toml"]);
    expect(err).toContain("there is no file /nowhere/config.toml");
    expect(code).toBe(2);
  });

  test("Kafka is somewhere else", async () => {
    const { config } = await makePlace();
    const away = fail("kafka_unreachable", "Kafka broker localhost:9092 cannot be reached");
    const { code, out } = await cli(["check", "--config", config], {
      describeTopics: () => Promise.reject(away),
    });
    expect(out).toContain("Kafka (does it listen at kafka.bootstrap_servers?): Kafka broker");
    expect(code).toBe(3);
  });

  test("a table that is not there", async () => {
    const { config } = await makePlace();
    const { code, err } = await cli(["snapshots", "evnts", "--config", config]);
    expect(err).toContain("There is no table evnts");
    expect(err).toContain("kafka-iceberg tables");
    expect(code).toBe(2);
  });

  test("a command that is misspelt", async () => {
    const { code, err } = await cli(["chek"]);
    expect(err).toContain("There is no command chek; did you mean check?");
    expect(code).toBe(2);
  });
});
