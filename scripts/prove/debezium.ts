/**
 * Proof: a real PostgreSQL changes at random, Debezium tells it, the product follows, and the table equals
 * PostgreSQL's, row by row and column by column, as PyIceberg (but for equality deletes, which it refuses), DuckDB and, asked to, Spark read it.
 *
 * `bun scripts/prove/debezium.ts [--changes 20000] [--partitions 1] [--format 3] [--delete-mode auto] [--kills 0] [--schemas] [--truncates] [--log] [--long] [--spark]`
 * prints what it found, and exits 1 when a row differs. `--truncates`: the table is emptied now and then, and Debezium
 * tells it; `--log`: the log of all changes is kept as well, and, folded, is the same rows; `--spark`: Spark reads as
 * well, without the column of type `time`, which it does not know; `--long`: values of several
 * kB, of which PostgreSQL does not log those that a change leaves as they were (then no change sets a key, since it
 * would leave them as well).
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileTable, runUntilEnd, tableFolder } from "../../test/support/binary.ts";
import { readColumns } from "../../test/support/tableReaders.ts";
import { sparkCopies } from "../judge/judge.ts";
import {
  type DebeziumService,
  databaseSettings,
  LOGICAL,
  startDebezium,
} from "../services/debezium.ts";
import { startKafka } from "../services/kafka.ts";
import { type PostgresService, startPostgres } from "../services/postgres.ts";
import { temporaryFolder, until } from "../services/process.ts";
import { type Config, startProduct } from "../services/product.ts";

/** A column: its type in PostgreSQL, ours, a random value, and its text as the readers give it. */
interface Column {
  readonly name: string;
  readonly type: string;
  readonly iceberg: string;
  /** SQL of a random value, which may be null. */
  readonly value: string;
  /** SQL of the text. */
  readonly text: string;
}

const plain = (name: string, type: string, iceberg: string, value: string): Column => {
  return { name, type, iceberg, value, text: `${name}::text` };
};

const MICROS = "'YYYY-MM-DD HH24:MI:SS.US'";
const MOMENT = "timestamp '2020-01-01' + random() * interval '3000 days'";

const COLUMNS: readonly Column[] = [
  plain("small", "smallint", "int", "(random() * 30000)::int"),
  plain("big", "bigint", "long", "9007199254740993 + (random() * 1000000)::int"),
  plain("money", "numeric(20, 4)", "decimal(20, 4)", "(random() * 100000)::numeric(20, 4)"),
  plain("any_number", "numeric", "string", "(random() * 1000)::int::numeric / 8"),
  plain("words", "text", "string", "md5(random()::text) || ' é'"),
  plain("code", "varchar(40)", "string", "md5(random()::text)"),
  plain("flag", "boolean", "boolean", "random() < 0.5"),
  plain("single", "real", "float", "(random() * 1000)::int + 0.25"),
  plain("real_number", "double precision", "double", "(random() * 1000000)::int + 0.125"),
  plain("unique_id", "uuid", "uuid", "gen_random_uuid()"),
  plain("document", "jsonb", "string", "jsonb_build_object('a', (random() * 9)::int)"),
  {
    ...plain("day", "date", "date", `(${MOMENT})::date`),
    text: "to_char(day, 'YYYY-MM-DD')",
  },
  {
    ...plain("at_time", "time", "time", `(${MOMENT})::time`),
    text: "to_char(timestamp '2000-01-01' + at_time, 'HH24:MI:SS.US')",
  },
  { ...plain("local_at", "timestamp", "timestamp", MOMENT), text: `to_char(local_at, ${MICROS})` },
  {
    ...plain("at", "timestamptz", "timestamptz", `(${MOMENT}) AT TIME ZONE 'UTC'`),
    text: `to_char(at AT TIME ZONE 'UTC', ${MICROS})`,
  },
  {
    ...plain("raw", "bytea", "binary", "decode(md5(random()::text), 'hex')"),
    text: "encode(raw, 'hex')",
  },
  {
    ...plain("numbers", "int[]", "list<int>", "ARRAY[(random() * 9)::int, NULL, 7]"),
    text: "replace(array_to_json(numbers)::text, ',', ', ')",
  },
];
/** Values that lie beside their rows (TOAST). */
const LONG: readonly Column[] = [
  plain("long_text", "text", "string", "repeat(md5(random()::text), 80)"),
  plain(
    "long_document",
    "jsonb",
    "string",
    "jsonb_build_object('a', repeat(md5(random()::text), 80))",
  ),
  {
    ...plain("long_raw", "bytea", "binary", "decode(repeat(md5(random()::text), 160), 'hex')"),
    text: "encode(long_raw, 'hex')",
  },
  {
    ...plain("long_numbers", "int[]", "list<int>", "array_fill((random() * 9)::int, ARRAY[900])"),
    text: "replace(array_to_json(long_numbers)::text, ',', ', ')",
  },
];
const ADDED: Column = plain("added", "text", "string", "'added ' || random()::text");
/** One change in so many is a truncate. */
const TRUNCATES = 0.0005;
const DATABASE = "shop";
const TOPIC = "shop.public.things";

const { values: flags } = parseArgs({
  options: {
    changes: { type: "string", default: "20000" },
    partitions: { type: "string", default: "1" },
    format: { type: "string", default: "3" },
    "delete-mode": { type: "string", default: "auto" },
    kills: { type: "string", default: "0" },
    schemas: { type: "boolean", default: false },
    truncates: { type: "boolean", default: false },
    log: { type: "boolean", default: false },
    long: { type: "boolean", default: false },
    spark: { type: "boolean", default: false },
  },
});

const OWN = [...COLUMNS, ...(flags.long ? LONG : [])].filter(
  ({ type }) => !flags.spark || type !== "time",
);

const say = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

/** Creates the table with rows that are there before Debezium, and what changes them at random. */
async function createSource(sql: (statement: string) => Promise<string[]>): Promise<void> {
  const columns = OWN.map(({ name, type }) => `${name} ${type}`).join(", ");
  const names = OWN.map(({ name }) => name).join(", ");
  const values = OWN.map(({ value }) => `CASE WHEN random() < 0.1 THEN NULL ELSE ${value} END`);
  const sets = OWN.map(({ name }) => `${name} = excluded.${name}`).join(", ");
  await sql(`CREATE TABLE things (id bigint PRIMARY KEY, ${columns})`);
  if (!flags.long) await sql("ALTER TABLE things REPLICA IDENTITY FULL");
  // Else they are compressed first, and short then.
  for (const { name } of flags.long ? LONG : []) {
    await sql(`ALTER TABLE things ALTER COLUMN ${name} SET STORAGE EXTERNAL`);
  }
  await sql(`
    CREATE FUNCTION churn(times int, ids int) RETURNS void AS $$
    DECLARE k bigint; other bigint; r double precision;
    BEGIN
      FOR i IN 1 .. times LOOP
        k := floor(random() * ids); other := floor(random() * ids); r := random();
        IF r < ${flags.truncates ? TRUNCATES : 0} THEN TRUNCATE things;
        ELSIF r < 0.15 THEN DELETE FROM things WHERE id = k;
        ELSIF r < ${flags.long ? 0 : 0.25} THEN
          UPDATE things SET id = other WHERE id = k AND NOT EXISTS (SELECT 1 FROM things WHERE id = other);
        ELSIF r < 0.5 THEN UPDATE things SET small = (random() * 30000)::int, words = NULL WHERE id = k;
        ELSE
          INSERT INTO things (id, ${names}) VALUES (k, ${values.join(", ")})
          ON CONFLICT (id) DO UPDATE SET ${sets};
        END IF;
      END LOOP;
    END $$ LANGUAGE plpgsql`);
}

function configOf(bootstrap: string, warehouse: string): Config {
  const fields = OWN.map(({ name, iceberg }) => ({ name, type: iceberg }));
  return fileTable({
    bootstrap,
    topic: TOPIC,
    warehouse,
    config: {
      source: { mode: "cdc", key_field: ["id"], key_format: "json", track_changes: flags.log },
      schema: { fields: [{ name: "id", type: "long", required: true }, ...fields] },
      iceberg: { table_name: "things" },
      "iceberg.write": {
        format_version: Number(flags.format),
        delete_mode: flags["delete-mode"],
      },
      "iceberg.commit": { interval_ms: 2000 },
      partitioning: { spec: ["bucket(2, id)"] },
      dead_letter: { action: "fail" },
    },
  });
}

/** Waits until Debezium has stored everything that the database has changed so far. */
async function caughtUp(sql: (statement: string) => Promise<string[]>): Promise<void> {
  const [end = ""] = await sql("SELECT pg_current_wal_lsn()");
  const question = `SELECT confirmed_flush_lsn >= '${end}' FROM pg_replication_slots`;
  await until(
    "Debezium is at the end of the log",
    async () => {
      // A change moves the log on, so that the position is told.
      await sql("UPDATE things SET small = 1 WHERE id = (SELECT min(id) FROM things)");
      await Bun.sleep(1000);
      return (await sql(question))[0] === "t";
    },
    300_000,
  );
  await Bun.sleep(3000);
}

/** The columns of the source as texts, in the order of the keys. */
async function expected(
  sql: (statement: string) => Promise<string[]>,
  columns: readonly Column[],
): Promise<Record<string, (string | null)[]>> {
  const all = [plain("id", "", "", ""), ...columns];
  const texts = all.map(({ text }) => `coalesce(${text}, '~')`).join(", ");
  const rows = (await sql(`SELECT ${texts} FROM things ORDER BY id`)).map((row) => row.split("|"));
  return Object.fromEntries(
    all.map(({ name }, at) => [
      name,
      rows.map((row) => (row[at] === "~" ? null : (row[at] ?? ""))),
    ]),
  );
}

async function prove(postgres: PostgresService, debezium: DebeziumService, bootstrap: string) {
  await postgres.createDatabase(DATABASE);
  const sql = (statement: string): Promise<string[]> => postgres.sql(statement, DATABASE);
  const changes = Number(flags.changes);
  const chunk = Math.max(500, Math.ceil(changes / 80));
  await createSource(sql);
  await sql(`SELECT setseed(0.5), churn(${chunk}, ${changes})`);
  await debezium.connect("shop", {
    ...databaseSettings(postgres, DATABASE),
    "topic.prefix": "shop",
    ...(flags.truncates ? { "skipped.operations": "none" } : {}),
    "topic.creation.default.partitions": flags.partitions,
  });
  const folder = await temporaryFolder("debezium-proof");
  const config = configOf(bootstrap, join(folder, "warehouse"));
  let product = await startProduct({ folder, config });
  const kills = Number(flags.kills);
  const started = Date.now();
  let killed = 0;
  for (let done = chunk; done < changes; done += chunk) {
    await sql(`SELECT churn(${chunk}, ${changes})`);
    if (done <= changes / 2 && done + chunk > changes / 2) {
      await sql("ALTER TABLE things ADD COLUMN added text");
      await sql(`UPDATE things SET added = ${ADDED.value} WHERE id % 3 = 0`);
      say("a column was added");
    }
    if (killed * changes >= done * kills) continue;
    killed++;
    await product.kill();
    product = await startProduct({ folder, config });
  }
  say(`${changes} random changes in ${Date.now() - started} ms, ${killed} kills`);
  await caughtUp(sql);
  await product.terminate();
  const end = await runUntilEnd({ folder, config });
  if (end.exitCode !== 0) throw new Error(end.product.log().slice(-4000));
  const columns = [...OWN, ADDED];
  const wanted = await expected(sql, columns);
  const table = { folder: tableFolder(join(folder, "warehouse"), "things") };
  const [sparkRows] = flags.spark ? await sparkCopies([{ table }]) : [];
  const { readers } = await readColumns({
    table,
    columns: ["id", ...columns.map(({ name }) => name)],
    order: "id",
    readers: [
      ...(flags["delete-mode"] === "equality" ? [] : ["pyiceberg" as const]),
      "duckdb",
      ...(sparkRows === undefined ? [] : ["spark" as const]),
    ],
    ...(sparkRows !== undefined && { sparkRows }),
  });
  const log = flags.log ? await foldedLog(join(folder, "warehouse"), wanted) : 0;
  return { wanted, readers, log };
}

/** How many rows of the source the folded log lacks, has too many, or has otherwise, as each reader reads it. */
async function foldedLog(
  warehouse: string,
  wanted: Readonly<Record<string, readonly (string | null)[]>>,
): Promise<number> {
  const names = ["id", "words", "small"];
  const { readers } = await readColumns({
    table: { folder: tableFolder(warehouse, "things__changes") },
    columns: [...names, "_kafka_op", "_kafka_deleted"],
  });
  const textOf = (columns: Readonly<Record<string, unknown>>, row: number): string =>
    JSON.stringify(names.map((name) => (columns[name] as (string | null)[])[row]));
  const all = (wanted["id"] ?? []).map((_, row) => textOf(wanted, row));
  let wrong = 0;
  for (const [reader, columns] of Object.entries(readers)) {
    const left = new Map<string, string>();
    const ids = columns["id"] as (string | null)[];
    for (const [row, id] of ids.entries()) {
      const isDeleted = String((columns["_kafka_deleted"] as (string | null)[])[row]);
      if ((columns["_kafka_op"] as (string | null)[])[row] === "t") left.clear();
      else if (isDeleted.toLowerCase() === "true") left.delete(id ?? "");
      else left.set(id ?? "", textOf(columns, row));
    }
    const differing = new Set(all).symmetricDifference(new Set(left.values())).size;
    const ops = Map.groupBy(columns["_kafka_op"] as (string | null)[], (op) => op);
    const counts = [...ops].map(([op, rows]) => `${op} ${rows.length}`).join(", ");
    say(
      `${reader}: log of ${ids.length} changes (${counts}), folded ${left.size} rows, ${differing} differ`,
    );
    wrong += differing;
  }
  return wrong;
}

const broker = await startKafka();
const postgres = await startPostgres({ settings: LOGICAL });
const debezium = await startDebezium({ bootstrap: broker.bootstrap, schemas: flags.schemas });
let wrong = 0;
try {
  const { wanted, readers, log } = await prove(postgres, debezium, broker.bootstrap);
  const rows = wanted["id"]?.length ?? 0;
  for (const [reader, found] of Object.entries(readers)) {
    for (const [name, texts] of Object.entries(wanted)) {
      const column = found[name];
      const at = Array.isArray(column) ? texts.findIndex((text, row) => column[row] !== text) : 0;
      if (at < 0 && Array.isArray(column) && column.length === rows) continue;
      wrong++;
      const shown = Array.isArray(column) ? column[at] : JSON.stringify(column);
      say(`${reader}: column ${name} differs at row ${at}: ${shown}, PostgreSQL has ${texts[at]}`);
    }
  }
  wrong += log;
  say(`${rows} rows, ${Object.keys(wanted).length} columns, ${wrong} columns wrong`);
} finally {
  await debezium.stop();
  await postgres.stop();
  await broker.stop();
}
process.exit(wrong === 0 ? 0 : 1);
