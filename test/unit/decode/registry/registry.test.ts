/** Schemas by id with what they refer to; trouble is waited for, and "no such schema" believed late. */
import { beforeEach, expect, test } from "bun:test";
import { AppError, policyOf } from "#base/errors.ts";
import type { Observation } from "#base/events.ts";
import { seededRandom } from "#base/random.ts";
import type { RegistryOptions } from "#decode/registry/options.ts";
import {
  ASK_MS_MAX,
  MISSING_AGAIN_MS,
  MISSING_MS,
  SchemaRegistry,
} from "#decode/registry/registry.ts";
import { subjectOf } from "#decode/registry/subjects.ts";
import { schemaIdOf } from "#decode/registry/wire.ts";
import {
  createRegistryFake,
  notFound,
  type RegistryFake,
  registryAnswer,
  registryAway,
} from "../../../fakes/schemaRegistry.ts";
import { SimClock } from "../../../sim/simClock.ts";
import { rejection } from "../../../support/rejection.ts";

const OPTIONS: RegistryOptions = {
  urls: ["http://a.test/base/"],
  auth: { type: "none" },
  ca: null,
  cacheTtlMs: 300_000,
  strategy: "topic-name",
  onMissing: "dead_letter",
};
const TEXT = '{"type":"record","name":"R","fields":[]}';

let server: RegistryFake;
let clock: SimClock;
let lines: string[];
let observed: Observation[];

beforeEach(() => {
  server = createRegistryFake();
  clock = new SimClock(1000, () => undefined);
  lines = [];
  observed = [];
});

function registry(over: Partial<RegistryOptions> = {}): SchemaRegistry {
  const log = { log: (_: string, line: string) => void lines.push(line), with: () => log };
  const observe = (each: Observation): void => void observed.push(each);
  const parts = { clock, random: seededRandom(1), log, observe, http: server.http };
  return new SchemaRegistry({ ...OPTIONS, ...over }, parts);
}

/** Asks until nothing is thrown, a second apart; what was thrown. */
async function patiently(made: SchemaRegistry, id: number, seconds: number): Promise<string[]> {
  const thrown: string[] = [];
  for (let n = 0; n < seconds; n++) {
    try {
      await made.ask([id]);
      return thrown;
    } catch (error) {
      expect(error).toBeInstanceOf(AppError);
      expect(policyOf(error).action).toBe("again");
      thrown.push((error as Error).message);
    }
    clock.advance(1000);
  }
  throw new Error(`still not known: ${thrown.at(-1)}`);
}

test("a schema is asked for once, by its id, and known from then on", async () => {
  const made = registry();
  const id = server.register("t-value", TEXT);
  expect(made.known(id)).toBeUndefined();
  await Promise.all([made.ask([id]), made.ask([id])]);
  await made.ask([id]);
  expect(made.known(id)).toEqual({ id, language: "AVRO", text: TEXT, references: [] });
  expect(server.requests.map(({ url }) => url)).toEqual(["http://a.test/base/schemas/ids/1"]);
});

test("what a schema refers to comes with it, also through several ways and in a circle", async () => {
  const made = registry();
  const at = (subject: string, version = 1) => ({ name: `n.${subject}`, subject, version });
  server.register("in/ner", '"inner"', "PROTOBUF", [at("top")]);
  server.register("left", '"left"', "PROTOBUF", [at("in/ner")]);
  server.register("right", '"right"', "PROTOBUF", [at("in/ner")]);
  const id = server.register("top", '"top"', "PROTOBUF", [at("left"), at("right")]);
  await made.ask([id]);
  const schema = made.known(id);
  if (schema === "missing" || schema === undefined) throw new Error("not known");
  const names = schema.references.map(({ name }) => name);
  expect(names).toEqual(["n.right", "n.top", "n.in/ner", "n.left"]);
  expect(schema.language).toBe("PROTOBUF");
});

test("a registry that is away, slow, refusing, failing or somebody else says one sentence, and is asked again with growing distance until it answers", async () => {
  const id = server.register("t-value", TEXT);
  const troubles = [
    [() => Promise.reject(registryAway()), "does not answer: connect ECONNREFUSED"],
    [() => registryAnswer(401, { message: "who?" }), "does not know us (HTTP 401 who?)"],
    [() => registryAnswer(403, {}), "does not allow us to read"],
    [
      () => registryAnswer(500, { error_code: 50001, message: "oh" }),
      "cannot answer now (HTTP 500",
    ],
    [() => registryAnswer(429, {}), "cannot answer now"],
    [() => registryAnswer(404, { error: "nginx" }), "is schema_registry.url right?"],
    [() => ({ status: 200, headers: {}, body: "<html>" }), "is schema_registry.url right?"],
    [() => registryAnswer(200, { schema: 7 }), "is schema_registry.url right?"],
  ] as const;
  for (const [trouble, sentence] of troubles) {
    const made = registry();
    const asked = server.requests.length;
    lines = [];
    server.intercept = trouble;
    for (let n = 0; n < 20; n++) {
      const error = await rejection(made.ask([id]));
      expect(error.message).toContain(sentence);
      expect(policyOf(error).action).toBe("again");
      expect(made.known(id)).toBeUndefined();
      clock.advance(500);
    }
    expect(server.requests.length - asked).toBeLessThan(10);
    expect(lines).toEqual([expect.stringContaining(sentence)]);
    server.intercept = () => null;
    await patiently(made, id, 15);
    expect(made.known(id)).toMatchObject({ text: TEXT });
    expect(lines.at(-1)).toBe("The schema registry answers again");
    expect(observed.at(-1)).toEqual({ type: "service", service: "registry", trouble: null });
  }
});

test("one that does not answer holds nobody up for longer than a second, and its answer counts when it comes", async () => {
  const made = registry();
  const id = server.register("t-value", TEXT);
  const late = Promise.withResolvers<void>();
  server.intercept = () => late.promise.then(() => registryAnswer(200, { schema: TEXT }));
  const asked = rejection(made.ask([id]));
  clock.advance(ASK_MS_MAX);
  expect((await asked).message).toContain("has not answered yet");
  const again = made.ask([id]);
  late.resolve();
  await again;
  expect(server.requests).toHaveLength(1);
});

test("an id that the registry does not know at first and then does is never missing", async () => {
  const made = registry();
  const id = server.register("t-value", TEXT);
  server.intercept = () => notFound(40403);
  expect((await rejection(made.ask([id]))).message).toContain("does not know schema id 1");
  clock.advance(MISSING_MS - 1);
  await rejection(made.ask([id]));
  server.intercept = () => null;
  await made.ask([id]);
  expect(made.known(id)).toMatchObject({ text: TEXT });
});

test("an id is missing when that was said for 30 s, costs nothing while that is believed, and is asked for again later", async () => {
  const made = registry();
  const thrown = await patiently(made, 77, 60);
  expect(thrown).toHaveLength(MISSING_MS / 1000);
  expect(made.known(77)).toBe("missing");
  const before = server.requests.length;
  await made.ask([77]);
  expect(server.requests).toHaveLength(before);
  clock.advance(300_000);
  expect(made.known(77)).toBeUndefined();
  await made.ask([77]);
  expect(made.known(77)).toBe("missing");
});

test("after one id was missing others are believed to be after a second, until one came late", async () => {
  const made = registry();
  await patiently(made, 77, 60);
  expect(await patiently(made, 78, 60)).toHaveLength(MISSING_AGAIN_MS / 1000);
  const id = server.register("t-value", TEXT);
  server.intercept = () => notFound(40403);
  await rejection(made.ask([id]));
  server.intercept = () => null;
  await made.ask([id]);
  expect(await patiently(made, 79, 60)).toHaveLength(MISSING_MS / 1000);
});

test("trouble between two answers of no such schema is not taken for one", async () => {
  const made = registry();
  await rejection(made.ask([77]));
  server.intercept = () => registryAnswer(503, {});
  for (let n = 0; n < 60; n++) {
    await rejection(made.ask([77]));
    clock.advance(1000);
    expect(made.known(77)).toBeUndefined();
  }
});

test("of several addresses the next one is asked when one is away or does not know, and the one that answered is asked first from then on", async () => {
  const made = registry({ urls: ["http://a.test", "http://b.test", "http://c.test"] });
  const ids = [server.register("a", TEXT), server.register("b", TEXT)];
  server.intercept = ({ url }) => {
    if (url.startsWith("http://a.test")) throw registryAway();
    return url.startsWith("http://b.test") ? notFound(40403) : null;
  };
  await made.ask(ids.slice(0, 1));
  await made.ask(ids.slice(1));
  const hosts = server.requests.map(({ url }) => new URL(url).hostname[0]);
  expect(hosts.join("")).toBe("abcc");
  // One that is away may know what the others do not.
  server.intercept = ({ url }) => {
    if (url.startsWith("http://a.test")) throw registryAway();
    return notFound(40403);
  };
  expect((await rejection(made.ask([9]))).message).toContain("a.test does not answer");
});

test("the newest schema of a subject is believed as long as the key says", async () => {
  const made = registry({ cacheTtlMs: 5000 });
  expect(made.knownLatest("t-value")).toBeUndefined();
  await made.askLatest("t-value");
  expect(made.knownLatest("t-value")).toBe("missing");
  const id = server.register("t-value", TEXT);
  clock.advance(5000);
  await made.askLatest("t-value");
  expect(made.knownLatest("t-value")).toMatchObject({ id });
  expect(made.known(id)).toMatchObject({ text: TEXT });
});

test("requests carry the credentials, and no sentence does", async () => {
  const secret = "user:hunter2";
  for (const auth of [
    { type: "basic", userAndPassword: secret },
    { type: "bearer", token: secret },
  ] as const) {
    const made = registry({ auth });
    server.intercept = () => registryAnswer(401, {});
    const error = await rejection(made.ask([1]));
    const sent = String(server.requests.at(-1)?.headers["authorization"]);
    const encoded = btoa(secret);
    expect(sent).toBe(auth.type === "basic" ? `Basic ${encoded}` : `Bearer ${secret}`);
    expect([error.message, ...lines].join()).not.toContain("hunter2");
    expect([error.message, ...lines].join()).not.toContain(encoded);
  }
});

test("subjects are named by the strategy, as far as the record's name is known", () => {
  expect(subjectOf("topic-name", "t", "key", null)).toBe("t-key");
  expect(subjectOf("record-name", "t", "value", "n.R")).toBe("n.R");
  expect(subjectOf("topic-record-name", "t", "value", "n.R")).toBe("t-n.R");
  expect(subjectOf("record-name", "t", "value", null)).toBeNull();
  expect(subjectOf("topic-record-name", "t", "value", null)).toBeNull();
});

test("the head of a value is a zero byte and four bytes of id; anything else has none", () => {
  const id = (...bytes: number[]): number => schemaIdOf(new Uint8Array(bytes), 1, bytes.length);
  expect(id(9, 0, 0, 1, 0, 2)).toBe(65_538);
  expect(id(9, 0, 0x7f, 255, 255, 255, 1)).toBe(0x7fff_ffff);
  expect(id(9, 0, 0, 1, 0)).toBe(-1);
  expect(id(9, 1, 0, 0, 0, 1)).toBe(-1);
  expect(id(9, 0, 255, 255, 255, 255)).toBe(-1);
  expect(id(9)).toBe(-1);
});
