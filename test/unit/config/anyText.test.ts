/**
 * Whatever text stands behind a key, loading says what is wrong: it never throws, and a text that is nothing
 * is never taken for a name, a path or a separator.
 */
import { describe, expect, test } from "bun:test";
import { ALL_KEYS } from "#config/keys.ts";
import { load } from "./helpers.ts";

const TEXTS = [
  "",
  " ",
  ".",
  "..",
  "a..b",
  "/",
  "\\",
  "\u0000",
  "\ufeff",
  "🙂",
  "(",
  "x".repeat(5000),
];

const TEXT_KEYS = Object.entries(ALL_KEYS).filter(
  ([, spec]) => spec.type === "string" && spec.values === undefined,
);

describe("any text behind any key", () => {
  for (const text of TEXTS) {
    test(`${JSON.stringify(text.slice(0, 10))} is taken or told, never thrown`, async () => {
      for (const [key] of TEXT_KEYS) {
        const { config, problems } = await load(document(key, text), { purpose: "run" });
        expect([key, config === null]).toEqual([key, problems.length > 0]);
      }
    });
  }

  test("the empty text is told for each key with a default text, unless it means something", async () => {
    const named = TEXT_KEYS.filter(([, spec]) => spec.default !== null && spec.default !== "");
    for (const [key, spec] of named.filter(([, { mayBeEmpty }]) => mayBeEmpty !== true)) {
      const { problems } = await load(document(key, ""));
      expect([key, spec.type, ...problems]).toContain(
        `config.toml:${lineOfKey(key)}: ${key}: must not be empty: leave the key out for its default`,
      );
    }
    expect(named.filter(([, spec]) => spec.mayBeEmpty).map(([key]) => key)).toEqual([
      "kafka.client_id",
      "kafka.group_instance_id",
      "source.metadata_prefix",
      "server.health_address",
      "server.metrics_address",
    ]);
  });

  test("names that Kafka gives no topic are told, in both keys", async () => {
    for (const name of ["", ".", "..", "a b", "a/b", "ä", "x".repeat(250)]) {
      for (const text of [
        `topic = ${JSON.stringify(name)}`,
        `topics = [${JSON.stringify(name)}]`,
      ]) {
        const { problems } = await load(`[kafka]\n${text}\n`);
        expect(problems.join()).toMatch(/is no name of a topic|reads nothing/);
      }
    }
  });

  test("numbers that are none say what they are", async () => {
    const variables = { MANY: "9007199254740993" };
    const text =
      "[kafka]\ntopic = 't'\nbatch_size = '$" + "{MANY}'\n[dead_letter]\nmax_ratio = nan\n";
    expect((await load(text, { variables })).problems).toEqual([
      "config.toml:3: kafka.batch_size: must be an integer, is beyond 2^53",
      "config.toml:5: dead_letter.max_ratio: must be a number, is not a finite one",
    ]);
  });
});

/** A configuration with one more key; JSON text is TOML text, but for the escapes of half a surrogate pair. */
function document(key: string, text: string): string {
  const topic = key === "kafka.topic" ? "" : "kafka.topic = 't'\n";
  return `${topic}${key} = ${JSON.stringify(text)}\n`;
}

function lineOfKey(key: string): number {
  return key === "kafka.topic" ? 1 : 2;
}
