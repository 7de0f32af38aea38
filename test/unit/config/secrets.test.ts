/**
 * Secrets are never printed: configurations full of them, right and wrong, and every output searched.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { buildPipeline } from "#config/buildPipeline.ts";
import { ALL_KEYS, PROCESS_TABLE } from "#config/keys.ts";
import { redact, redactUrl } from "#config/redact.ts";
import { storageOptions } from "#config/storage.ts";
import { createLogger } from "#server/log.ts";
import { load, loadRight, values } from "./helpers.ts";

const MARK = "hunter2";
const SECRETS = Object.entries(ALL_KEYS)
  .filter(([, spec]) => spec.secret === true && spec.type === "string")
  .map(([path]) => path);

/** Keys of which one stands alone: the first is set in tests of a right configuration. */
const OTHERS = new Set([
  "storage.azure.sas_token",
  "storage.azure.client_secret",
  "schema_registry.bearer",
]);

/** What a registry's credentials need beside them. */
const REGISTRY = 'source.format = "avro"\nschema_registry.url = "http://r"\n';

/** Keys of a form of their own. */
const FORMS: Readonly<Record<string, string>> = {
  "storage.s3.sse_customer_key": `${MARK}${"A".repeat(36)}=`,
};
/** All of them, each with what it needs beside it. */
function assignments(paths: readonly string[]): string {
  const used = paths.filter((path) => !OTHERS.has(path));
  const all = used.map((path) => assignment(path, `"${FORMS[path] ?? `${MARK}-${path}`}"`));
  return `storage.s3.sse = "customer"\n${REGISTRY}${all.join("")}`;
}

/** One `key = value` for a path, in its section's place. */
function assignment(path: string, value: string): string {
  return `${path} = ${value}\n`;
}

describe("secret keys", () => {
  test("are all that sound secret", () => {
    const sounding = Object.entries(ALL_KEYS).filter(
      ([path, { type }]) =>
        type === "string" &&
        /password|secret|token$|credential$|access_key|basic_auth|bearer/.test(path),
    );
    const open = sounding.filter(([, spec]) => spec.secret !== true).map(([path]) => path);
    expect(open).toEqual([]);
  });

  test("of a right configuration are shown nowhere", async () => {
    const text = assignments(SECRETS);
    const config = await loadRight(
      `${text}kafka.sasl.mechanism = "plain"\nkafka.sasl.username = "u"\nkafka.ssl.key_file = "k"\nkafka.ssl.cert_file = "c"\niceberg.sql.uri = "postgres://me:${MARK}@host/db?password=${MARK}"\n`,
    );
    const shown = JSON.stringify(redact(config));
    expect(shown).not.toContain(MARK);
    expect(shown).toContain('"kafka.sasl.password":"***"');
    expect(shown).toContain('"iceberg.sql.uri":"postgres://***@host/db?***"');
    expect(values(config)["kafka.sasl.password"]).toContain(MARK);
  });

  test("of which only one may be set are shown nowhere either", async () => {
    for (const path of OTHERS) {
      const needed = `storage.azure.client_id = "c"\n${REGISTRY}`;
      const config = await loadRight(needed + assignment(path, `"${MARK}"`));
      expect(JSON.stringify(redact(config))).not.toContain(MARK);
    }
  });

  test("of a database are shown nowhere, also where what a URL must escape is not escaped", () => {
    for (const raw of ["@", "/", "?", "#", ":", "%", "@/?#@"]) {
      const shown = redactUrl(`postgres://me:${MARK}${raw}${MARK}@host/db?sslmode=require`);
      expect(shown).toBe("postgres://***@host/db?***");
    }
    expect(redactUrl("s3://bucket/a@b")).toBe("s3://bucket/a@b");
  });

  test("of a wrong configuration are in no message", async () => {
    const wrong = (path: string): fc.Arbitrary<string> =>
      fc.oneof(
        fc.constant(assignment(path, `["${MARK}"]`)),
        fc.constant(assignment(path, `{ "${MARK}x" = "${MARK}" }`)),
        fc.constant(assignment(`${path}x`, `"${MARK}"`)),
        fc.constant(assignment(path.replace(/\.[^.]*$/, ".nothing_like_it"), `"${MARK}"`)),
        fc.constant(assignment(path, `"\${file:/nope/${path}}"`)),
        fc.constant(assignment(path, `"${MARK}`)),
        fc.constant(assignment(path, MARK)),
        fc.constant(assignment(path, `"${MARK}" "${MARK}"`)),
        fc.constant(assignment(path, `"""${MARK}`)),
        fc.constant(`${assignment(path, `"${MARK}"`)}${assignment(path, `"${MARK}"`)}`),
        fc.constant(assignment(path, `"\\q${MARK}"`)),
      );
    const lines = fc.uniqueArray(fc.constantFrom(...SECRETS), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        lines.chain((paths) => fc.tuple(...paths.map(wrong))),
        async (parts) => {
          const { problems } = await load(parts.join(""), { purpose: "run" });
          expect(problems.length).toBeGreaterThan(0);
          expect(problems.join("\n")).not.toContain(MARK);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("put into other keys by reference are not quoted when the value is wrong", async () => {
    const keys = Object.entries(ALL_KEYS).filter(
      ([, { type }]) => type !== "string" && type !== "tables",
    );
    const text = keys.map(([path]) => assignment(path, '"${SECRET}"')).join("");
    const { problems } = await load(text, { variables: { SECRET: MARK } });
    expect(problems).toHaveLength(keys.length);
    expect(problems.join("\n")).not.toContain(MARK);
    const words = await load('kafka.auto_offset_reset = "${SECRET}"', {
      variables: { SECRET: MARK },
    });
    expect(words.problems[0]).toContain("must be one of earliest, latest, none, timestamp");
    expect(words.problems.join()).not.toContain(MARK);
  });

  test("given by a flag are not quoted", async () => {
    const set = SECRETS.flatMap((path) => [`${path}=["${MARK}"]`, `${path}x=${MARK}`]);
    const { problems } = await load("", { flags: { set } });
    expect(problems.length).toBeGreaterThanOrEqual(SECRETS.length);
    expect(problems.join("\n")).not.toContain(MARK);
  });

  test("do not come out of the logger with the options that hold them", async () => {
    const text = assignments(SECRETS.filter((path) => PROCESS_TABLE[path] === undefined));
    const config = await loadRight(
      `${text}kafka.sasl.mechanism = "plain"\nkafka.sasl.username = "u"\nkafka.topic = "t"\nkafka.ssl.key_file = "key.pem"\nkafka.ssl.cert_file = "cert.pem"\n`,
    );
    const [pipeline] = config.pipelines;
    if (pipeline === undefined) throw new Error("no pipeline");
    const environment = {
      variable: () => undefined,
      reference: async () => undefined,
      file: async () => "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n",
      bytes: async () => new Uint8Array(0),
    };
    const lines: string[] = [];
    const log = createLogger({
      level: "debug",
      format: "json",
      colour: false,
      write: (line) => void lines.push(line),
      clock: { nowMs: () => 0 },
    });
    const options = await buildPipeline(pipeline, environment, "id");
    expect(JSON.stringify(options)).toContain(MARK);
    log.log("info", "options", { options, storage: storageOptions(pipeline.values) });
    expect(lines.join("")).not.toContain(MARK);
  });
});
