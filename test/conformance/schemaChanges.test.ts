/**
 * PyIceberg changes the schema of a table that a pipeline is writing: every kind of change, one after the
 * other, while records come. PyIceberg loads the table after each, and finds every row.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { PipelineRun } from "#app/pipelineRun.ts";
import { readersPython } from "../../scripts/services/cache.ts";
import { run, temporaryFolder } from "../../scripts/services/process.ts";
import { endAll, LIMITS, pipelineOf } from "../contract/pipelineRunRig.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";

/** What PyIceberg sees. */
interface Seen {
  readonly columns: string[];
  readonly order: string;
  readonly rows: Record<string, unknown>[];
}

type Step = readonly [verb: string, ...names: string[]];

let python: string;
let root: string;

beforeAll(async () => {
  python = await readersPython();
  root = await temporaryFolder("schema-changes");
}, 600_000);

afterEach(endAll);
afterAll(() => rm(root, { recursive: true, force: true }));

class Live {
  readonly broker: FakeKafka = new FakeKafka();
  readonly run: PipelineRun;
  readonly ended: Promise<number>;
  offset = 0;

  constructor(folder: string, sortForms: readonly string[] = []) {
    this.broker.topic("a");
    this.run = pipelineOf(this.broker, {
      topics: ["a"],
      warehouse: `${folder}/wh`,
      catalog: {
        type: "sql",
        uri: `sqlite://${folder}/catalog.db`,
        name: "default",
        warehouse: `${folder}/wh`,
        readOnly: false,
      },
      decoder: { fields: null, inferRows: 1 },
      rejects: { action: "skip" },
      intervalMs: 200,
      sortForms,
    });
    this.ended = this.run.run(LIMITS, false);
  }

  /** Appends one batch of records, and waits until the table has passed it. */
  async send(...values: object[]): Promise<void> {
    const records = values.map((value) => ({ value: JSON.stringify(value) }));
    const baseOffset = this.offset;
    this.broker.append("a", 0, buildBatch({ baseOffset, records, leaderEpoch: 0 }));
    this.offset += values.length;
    for (let tries = 0; tries < 600; tries++) {
      const [table] = [...(this.run.pipeline?.tables ?? [])];
      if (table?.state.kind === "stopped") throw table.state.error;
      const [outlet] = [...(table?.outlets.values() ?? [])];
      if (outlet !== undefined && outlet.committed >= BigInt(this.offset)) return;
      await Bun.sleep(50);
    }
    throw new Error(`offset ${this.offset} is not committed`);
  }
}

async function pyiceberg(folder: string, schema?: readonly Step[]): Promise<Seen> {
  const script = join(import.meta.dir, "..", "support", "catalog_pyiceberg.py");
  const catalog = { uri: `sqlite:///${folder}/catalog.db`, warehouse: `file://${folder}/wh` };
  const job = {
    action: "scan",
    catalog,
    table: "db.a",
    ...(schema === undefined ? {} : { schema }),
  };
  return JSON.parse(await run([python, script], { stdin: JSON.stringify(job) })) as Seen;
}

/** A column's values in the order of the records. */
function values(seen: Seen, name: string): unknown[] {
  const rows = seen.rows.toSorted(
    (a, b) => Number(a["_kafka_offset"]) - Number(b["_kafka_offset"]),
  );
  return rows.map((row) => row[name] ?? null);
}

const names = (seen: Seen): string[] => seen.columns.map((column) => column.split(" ")[1] ?? "");

test("add, promote, rename, drop, add again with another type, require: each goes on rightly", async () => {
  const folder = join(root, "live");
  await Bun.write(join(folder, "x"), "");
  const live = new Live(folder);
  await live.send({ id: 1, v: 1, old: "a" }, { id: 2, v: 2, old: "b" });

  // A new column of the owner's: int, which our data neither widens nor leaves.
  await pyiceberg(folder, [["add", "n", "int"]]);
  await live.send({ id: 3, n: 5 }, { id: 4, n: 3_000_000_000 });
  const added = await pyiceberg(folder);
  expect(added.columns.find((column) => column.includes(" n "))).toEndWith(" n int");
  expect(values(added, "id")).toEqual([1, 2, 3]);

  // Promoted by its owner, the very next record may use it.
  await pyiceberg(folder, [["promote", "n", "long"]]);
  await live.send({ id: 5, n: 3_000_000_000 });
  expect(values(await pyiceberg(folder), "n")).toEqual([null, null, 5, 3_000_000_000]);

  // A dropped column does not come back, though its field is still sent.
  await pyiceberg(folder, [["drop", "old"]]);
  await live.send({ id: 6, old: "c" });
  await live.send({ id: 7, old: "d" });
  expect(names(await pyiceberg(folder))).not.toContain("old");

  // Dropped and added again with another type: the values of that type are rows.
  await pyiceberg(folder, [["drop", "v"]]);
  await pyiceberg(folder, [["add", "v", "string"]]);
  await live.send({ id: 8, v: "text" }, { id: 9, v: 9 });
  expect(values(await pyiceberg(folder), "v").at(-1)).toBe("text");

  // A renamed column keeps its rows; its old name is free.
  await pyiceberg(folder, [["rename", "n", "m"]]);
  await live.send({ id: 10, m: 1 });
  expect(values(await pyiceberg(folder), "m").slice(2, 4)).toEqual([5, 3_000_000_000]);

  // Required: rows without it are refused, and it stays required.
  await pyiceberg(folder, [["require", "id"]]);
  await live.send({ id: 11 }, { m: 2 });
  const seen = await pyiceberg(folder);
  expect(values(seen, "id")).toEqual([1, 2, 3, 5, 6, 7, 8, 10, 11]);
  await live.run.stop(LIMITS.shutdownTimeoutMs);
  expect(await live.ended).toBe(0);
}, 180_000);

test("names that meet by their path make no table that PyIceberg cannot load", async () => {
  const folder = join(root, "names");
  await Bun.write(join(folder, "x"), "");
  const live = new Live(folder);
  await live.send({ id: 1, http: { method: 1 }, l: [1] });
  await live.send(
    { id: 2, "http.method": 2 },
    { id: 3, "l.element": 1 },
    { id: 4, ID: 5 },
    { id: 5 },
  );
  await live.send({ id: 6, "x.y": 1 }, { id: 7, x: { y: 2, z: 3 } });
  const seen = await pyiceberg(folder);
  expect(values(seen, "id")).toEqual([1, 5, 6]);
  expect(names(seen)).toContain("x.y");
  await live.run.stop(LIMITS.shutdownTimeoutMs);
}, 60_000);

test("a sort order over columns that come later is set with the last of them, and files are sorted by it from then on", async () => {
  const folder = join(root, "sorted");
  await Bun.write(join(folder, "x"), "");
  const live = new Live(folder, ["name desc", "n"]);
  await live.send({ n: 3 }, { n: 1 });
  const early = await pyiceberg(folder);
  expect([early.order, early.rows.map((row) => row["n"])]).toEqual(["[]", [3, 1]]);
  await live.send(
    { n: 5, name: "b" },
    { n: 4, name: "\u{1f600}" },
    { n: 7 },
    { n: 2, name: "b" },
    { n: 9, name: "\uffff" },
  );
  const seen = await pyiceberg(folder);
  const ids = names(seen).map((name, index) => [name, seen.columns[index]?.split(" ")[0]]);
  const id = Object.fromEntries(ids) as Record<string, string>;
  expect(seen.order.replace(/\s+/g, " ")).toBe(
    `[ ${id["name"]} DESC NULLS LAST ${id["n"]} ASC NULLS FIRST ]`,
  );
  // By UTF-8 bytes: by UTF-16 units the face would come behind the last character of its plane.
  const later = seen.rows.filter((row) => Number(row["_kafka_offset"]) >= 2);
  expect(later.map((row) => row["n"])).toEqual([4, 9, 2, 5, 7]);
  await live.run.stop(LIMITS.shutdownTimeoutMs);
  expect(await live.ended).toBe(0);
}, 120_000);
