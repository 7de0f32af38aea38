/** Configurations of documentation pages, run as they stand there. */
import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "#base/errors.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import type { RegistryFake } from "../fakes/schemaRegistry.ts";
import { placed, program, type TableShape, tablesIn, temporaryPlace } from "./program.ts";

const ends: (() => void)[] = [];

/** Ends what the last examples have begun. */
export function endExamples(): void {
  for (const end of ends.splice(0)) end();
}

/** A record's key and value; a null value is a tombstone. */
export type Keyed = readonly [key: string | Uint8Array, value: string | Uint8Array | null];

/** Values by topic, some with keys. */
export type Topics = Readonly<Record<string, readonly (string | Uint8Array | Keyed)[]>>;

/** Files that the page says are there, and the registry at its address. */
interface Around {
  readonly files?: Readonly<Record<string, string>>;
  readonly registry?: RegistryFake;
  /** Further flags. */
  readonly more?: readonly string[];
}

/** The tables that configuration number `index` of a page makes, on topics of these values. */
export async function tablesOf(
  page: string,
  index: number,
  topics: Topics,
  around: Around = {},
): Promise<Readonly<Record<string, TableShape>>> {
  const { folder } = await runExample(page, index, topics, around);
  return tablesIn(join(folder, "wh"));
}

/** Runs a configuration of a page; the folder where it ran, and the flags that put it there. */
export async function runExample(
  page: string,
  index: number,
  topics: Topics,
  { files = {}, registry, more = [] }: Around = {},
): Promise<{
  readonly folder: string;
  readonly flags: readonly string[];
  readonly broker: FakeKafka;
}> {
  const blocks = [...readFileSync(`docs/${page}`, "utf8").matchAll(/```toml\n(.*?)```/gs)];
  const { folder, remove } = temporaryPlace("doc-example");
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const broker = new FakeKafka();
  ends.push(remove, () => broker.stop());
  for (const [name, values] of Object.entries(topics)) {
    broker.topic(name);
    const records = values.map((value) => {
      if (typeof value === "string" || value instanceof Uint8Array) return { value };
      return { key: value[0], value: value[1] };
    });
    if (records.length === 0) continue;
    broker.append(name, 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  }
  const file = join(folder, "config.toml");
  writeFileSync(file, blocks[index]?.[1] ?? "");
  writeFileSync(join(folder, ".env"), "HASH_SALT=pepper\n");
  const flags = ["--config", file, ...placed(folder, broker.address), ...more];
  for (const name of Object.keys(files)) flags.push(`--set=schema.file=${join(folder, name)}`);
  if (registry !== undefined) flags.push(`--set=schema_registry.url=${served(registry)}`);
  const { code, err } = await program(["run", "--until-end", ...flags]);
  expect([code, err]).toEqual([EXIT.ok, ""]);
  return { folder, flags, broker };
}

/** The address of a registry. */
function served({ http }: RegistryFake): string {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { status, body } = await http.send({
        ...{ url: request.url, method: "GET", headers: {}, body: null },
      });
      return new Response(body, { status });
    },
  });
  ends.push(() => void server.stop(true));
  return server.url.href;
}
