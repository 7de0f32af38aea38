/**
 * `GET /lookup/TABLE/KEY`: what is found by which columns, and what is said where nothing can be.
 */
import { expect, test } from "bun:test";
import { type LookedInto, Lookups } from "#app/lookup.ts";
import { systemClock } from "#base/clock.ts";
import type { FeedKey } from "#base/offsets.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import type { Field } from "#columns/schema.ts";
import { batchOf, field } from "../parquet/rows.ts";

const TABLE = "default.events";
const FIELDS = [
  field("user_id", { kind: "long" }),
  field("name", { kind: "string" }),
  field("_kafka_key", { kind: "binary" }),
  field("_kafka_timestamp", { kind: "timestamp", zone: true }),
];
const FEEDS = ["c/t/0", "c/t/1"] as FeedKey[];

let lent = 0;

type Row = readonly [bigint, string, string, bigint];

interface TableShape {
  /** What each row does, of tables that follow changes. */
  readonly changes?: readonly number[];
  readonly rowsByFeed?: readonly (readonly Row[])[];
}

const ROWS: readonly (readonly Row[])[] = [
  [
    [1n, "old", "k1", 1000n],
    [1n, "new", "k1", 2000n],
    [2n, "two", "k/2", 2000n],
  ],
  [[1n, "of another partition", "k1", 1500n]],
];

/** A table with two feeds, each of one segment. */
function tableOf(
  identifiers: readonly number[],
  fields: readonly Field[] = FIELDS,
  { rowsByFeed = ROWS, changes }: TableShape = {},
): LookedInto {
  const segments = rowsByFeed.map((rows, at) => {
    const all = changes === undefined ? FIELDS : [...FIELDS, CHANGE_TYPE];
    const cells = rows.map((row, n) => (changes === undefined ? row : [...row, changes[n]]));
    const batch = batchOf(all, cells);
    const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(batch.rowCount);
    return { id: at, key: FEEDS[at] as FeedKey, start: 0n, columns: batch.columns, watermark };
  });
  const schema = {
    schemaId: 0,
    fields: fields.map((each, at) => ({ ...each, id: at + 1 })),
    identifierFieldIds: identifiers,
  };
  const sink = {
    name: TABLE,
    writer: {
      lastSeen: { metadata: { currentSchemaId: 0, schemas: [schema] } },
      fields,
      key: changes === undefined ? [] : ["id"],
    },
    outlets: new Map(
      FEEDS.map((key, partition) => [key, { feed: { feed: { topic: "t", partition } } }]),
    ),
    buffer: {
      lease: () => {
        lent++;
        return { segments, release: () => lent-- };
      },
    },
  };
  return { sink: sink as never, prefix: "_kafka_" };
}

function get(path: string, table: LookedInto | null) {
  return ask(
    new Lookups({ clock: systemClock, find: () => (table === null ? [] : [table]) }),
    path,
  );
}

async function ask({ route }: Lookups, path: string) {
  const response = await route.answer({
    url: new URL(`http://localhost/lookup/${path}`),
    headers: new Headers(),
    body: new Uint8Array(0),
    signal: new AbortController().signal,
  });
  const body = (await response.json()) as { row?: { name?: string }; error?: string };
  expect(lent).toBe(0);
  return [response.status, body.row?.name ?? body.error];
}

test("the latest row of a key is that of the greatest Kafka timestamp, in whichever partition", async () => {
  expect(await get("events/1", tableOf([1]))).toEqual([200, "new"]);
  expect(await get("events/2", tableOf([1]))).toEqual([200, "two"]);
});

test("the key is the table's identifier fields, else the Kafka key, or the columns that are asked by", async () => {
  expect(await get("events/k%2F2", tableOf([]))).toEqual([200, "two"]);
  expect(await get("events/old?by=name", tableOf([1]))).toEqual([200, "old"]);
  expect(await get("events/1/new?by=user_id,name", tableOf([]))).toEqual([200, "new"]);
  expect(await get("events/2/two", tableOf([1, 2]))).toEqual([200, "two"]);
});

test("what cannot be found is said", async () => {
  expect(await get("events/3", tableOf([1]))).toEqual([404, expect.stringContaining("No row")]);
  expect(await get("other/3", null)).toEqual([404, expect.stringContaining("no table other")]);
  expect(await get("events/x", tableOf([1]))).toEqual([400, expect.stringContaining("no long")]);
  expect(await get("events/1/2", tableOf([1]))).toEqual([
    400,
    expect.stringContaining("/lookup/events/VALUE"),
  ]);
  expect(await get("events/%", tableOf([1]))).toEqual([400, expect.stringContaining("%25")]);
  const withoutKey = tableOf([], FIELDS.slice(0, 2));
  expect(await get("events/1", withoutKey)).toEqual([400, expect.stringContaining("?by=")]);
});

test("a column that is not there is said", async () => {
  expect(await get("events/1?by=nope", tableOf([1]))).toEqual([
    400,
    expect.stringContaining("columns: nope"),
  ]);
});

test("of a table that follows changes the latest change of a key is its row, or says that it was deleted", async () => {
  const changes = [CHANGE.put, CHANGE.delete, CHANGE.put];
  const rowsByFeed = [ROWS[0] ?? []];
  const table = tableOf([1], FIELDS, { rowsByFeed, changes });
  expect(await get("events/1", table)).toEqual([404, expect.stringContaining("was deleted")]);
  expect(await get("events/2", table)).toEqual([200, "two"]);
});

test("four indexes of a table stay: a fifth list of columns ends the one that was used the longest ago", async () => {
  let turns = 0;
  const clock = {
    ...systemClock,
    turn: async () => {
      turns++;
    },
  };
  const rows = Array.from({ length: 20_000 }, (_, at): Row => [BigInt(at), `n${at}`, "k", 1n]);
  const table = tableOf([1], FIELDS, { rowsByFeed: [rows] });
  const lookups = new Lookups({ clock, find: () => [table] });
  const askBy = async (path: string): Promise<number> => {
    turns = 0;
    expect(await ask(lookups, path)).toEqual([200, expect.any(String)]);
    return turns;
  };
  const four = ["7?by=user_id", "n7?by=name", "7/n7?by=user_id,name", "n7/7?by=name,user_id"];
  // Each turn stands for 20,000 rows that are taken into an index.
  for (const path of four) expect(await askBy(`events/${path}`)).toBe(1);
  for (const path of four) expect(await askBy(`events/${path}`)).toBe(0);
  expect(await askBy("events/k?by=_kafka_key")).toBe(1);
  expect(await askBy(`events/${four[0]}`)).toBe(1);
  expect(await askBy(`events/${four[3]}`)).toBe(0);
});

test("of a table that two pipelines fill, the row of either is found, and the latest of a key of both", async () => {
  const one = tableOf([1], FIELDS, { rowsByFeed: [[[1n, "one", "k", 1000n]]] });
  // Segments of another buffer have the same numbers.
  const rows: Row[] = [
    [1n, "later", "k", 2000n],
    [2n, "two", "k", 1n],
  ];
  const two = tableOf([1], FIELDS, { rowsByFeed: [rows] });
  for (const tables of [
    [one, two],
    [two, one],
  ]) {
    const lookups = new Lookups({ clock: systemClock, find: () => tables });
    expect(await ask(lookups, "events/1")).toEqual([200, "later"]);
    expect(await ask(lookups, "events/2")).toEqual([200, "two"]);
    expect(await ask(lookups, "events/3")).toEqual([404, expect.stringContaining("No row")]);
  }
});
