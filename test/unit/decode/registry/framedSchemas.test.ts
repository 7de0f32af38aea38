/** A batch's schemas are there before it is read, and each one is parsed once. */
import { expect, test } from "bun:test";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import { FramedSchemas } from "#decode/registry/framedSchemas.ts";
import type { MissingPolicy } from "#decode/registry/options.ts";
import { MISSING_MS, SchemaRegistry } from "#decode/registry/registry.ts";
import { createRegistryFake } from "../../../fakes/schemaRegistry.ts";
import { SimClock } from "../../../sim/simClock.ts";
import { recordBatch } from "../../../support/records.ts";
import { rejection } from "../../../support/rejection.ts";

function rig(onMissing: MissingPolicy = "dead_letter") {
  const server = createRegistryFake();
  const clock = new SimClock(0, () => undefined);
  const parts = { clock, random: seededRandom(1), log: silentLogger, observe: ignoreObservations };
  const options = { urls: ["http://r.test"], auth: { type: "none" }, ca: null } as const;
  const more = { cacheTtlMs: 300_000, strategy: "topic-name", onMissing } as const;
  const registry = new SchemaRegistry({ ...options, ...more }, { ...parts, http: server.http });
  const parsed: number[] = [];
  const schemas = new FramedSchemas(registry, ({ id, text }) => {
    parsed.push(id);
    return text;
  });
  return { server, clock, schemas, parsed };
}

/** A value with a schema id. */
function framed(id: number): Uint8Array {
  return new Uint8Array([0, 0, 0, 0, id, 1]);
}

function batchOf(...values: (Uint8Array | null)[]): RecordBytes {
  return recordBatch(values);
}

test("a batch asks for all of its schemas at once, and for none that is there", async () => {
  const { server, schemas, parsed } = rig();
  for (const subject of ["a", "b", "c"]) server.register(subject, `"${subject}"`);
  const batch = batchOf(framed(2), framed(1), null, framed(2), new Uint8Array([7]), framed(1));
  await schemas.prepare(batch);
  expect(schemas.prepare(batch)).toBeNull();
  expect(server.requests).toHaveLength(2);
  expect(parsed).toEqual([2, 1]);
  expect([...schemas.of([batch], 10).values()]).toEqual(['"b"', '"a"']);
  expect([...schemas.of([batch], 1).values()]).toEqual(['"b"']);
  expect([schemas.get(1), schemas.get(3), schemas.revision]).toEqual(['"a"', undefined, 2]);
});

test("a batch that is damaged asks for what can be read of it, and throws nothing", async () => {
  const { server, schemas } = rig();
  server.register("a", '"a"');
  const whole = batchOf(framed(1), framed(1));
  const cut = { ...whole, payload: whole.payload.subarray(0, whole.payload.length - 3) };
  await schemas.prepare(cut);
  expect(schemas.prepare(cut)).toBeNull();
});

test("an id that the registry does not have is left to the reader, ends its table, or is read by the latest version, as the key says", async () => {
  for (const onMissing of ["dead_letter", "fail", "latest"] as const) {
    const { server, clock, schemas } = rig(onMissing);
    const batch = batchOf(framed(77));
    server.register(`${batch.topic}-value`, '"latest"');
    await rejection(schemas.prepare(batch) ?? Promise.resolve());
    clock.advance(MISSING_MS);
    await schemas.prepare(batch);
    if (onMissing === "fail") {
      const error = await rejection(schemas.prepare(batch) ?? Promise.resolve());
      expect(error).toMatchObject({ kind: "data", message: expect.stringContaining("id 77") });
      continue;
    }
    await schemas.prepare(batch);
    expect(schemas.prepare(batch)).toBeNull();
    expect(schemas.get(77)).toBe(onMissing === "latest" ? '"latest"' : undefined);
  }
});
