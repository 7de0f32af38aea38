/**
 * Proof: a real PostgreSQL changes at random, Debezium tells it, the product follows, and the table equals
 * PostgreSQL's, row by row and column by column, as PyIceberg and DuckDB read it.
 *
 * `bun scripts/prove/debezium.ts [--changes 20000] [--partitions 1] [--format 3] [--kills 0] [--schemas]`
 * prints what it found, and exits 1 when a row differs.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileTable, runUntilEnd, tableFolder } from "../../test/support/binary.ts";
import { readColumns } from "../../test/support/tableReaders.ts";
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
const ADDED: Column = plain("added", "text", "string", "'added ' || random()::text");
const DATABASE = "shop";
const TOPIC = "shop.public.things";

const { values: flags } = parseArgs({
  options: {
    changes: { type: "string", default: "20000" },
    partitions: { type: "string", default: "1" },
    format: { type: "string", default: "3" },
    kills: { type: "string", default: "0" },
    schemas: { type: "boolean", default: false },
  },
});

const say = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

/** Creates the table with rows that are there before Debezium, and what changes them at random. */
async function createSource(sql: (statement: string) => Promise<string[]>): Promise<void> {
  const columns = COLUMNS.map(({ name, type }) => `${name} ${type}`).join(", ");
  const names = COLUMNS.map(({ name }) => name).join(", ");
  const values = COLUMNS.map(({ value }) => `CASE WHEN random() < 0.1 THEN NULL ELSE ${value} END`);
  const sets = COLUMNS.map(({ name }) => `${name} = excluded.${name}`).join(", ");
  await sql(`CREATE TABLE things (id bigint PRIMARY KEY, ${columns})`);
  await sql("ALTER TABLE things REPLICA IDENTITY FULL");
  await sql(`
    CREATE FUNCTION churn(times int, ids int) RETURNS void AS $$
    DECLARE k bigint; other bigint; r double precision;
    BEGIN
      FOR i IN 1 .. times LOOP
        k := floor(random() * ids); other := floor(random() * ids); r := random();
        IF r < 0.15 THEN DELETE FROM things WHERE id = k;
        ELSIF r < 0.25 THEN
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
  const fields = COLUMNS.map(({ name, iceberg }) => ({ name, type: iceberg }));
  return fileTable({
    bootstrap,
    topic: TOPIC,
    warehouse,
    config: {
      source: { mode: "cdc", key_field: ["id"], key_format: "json" },
      schema: { fields: [{ name: "id", type: "long", required: true }, ...fields] },
      iceberg: { table_name: "things" },
      "iceberg.write": { format_version: Number(flags.format) },
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
  const columns = [...COLUMNS, ADDED];
  const wanted = await expected(sql, columns);
  const { readers } = await readColumns({
    table: { folder: tableFolder(join(folder, "warehouse"), "things") },
    columns: ["id", ...columns.map(({ name }) => name)],
    order: "id",
  });
  return { wanted, readers };
}

const broker = await startKafka();
const postgres = await startPostgres({ settings: LOGICAL });
const debezium = await startDebezium({ bootstrap: broker.bootstrap, schemas: flags.schemas });
let wrong = 0;
try {
  const { wanted, readers } = await prove(postgres, debezium, broker.bootstrap);
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
  say(`${rows} rows, ${Object.keys(wanted).length} columns, ${wrong} columns wrong`);
} finally {
  await debezium.stop();
  await postgres.stop();
  await broker.stop();
}
process.exit(wrong === 0 ? 0 : 1);
