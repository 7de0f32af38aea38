/**
 * What other engines do to a table of ours while it is written: each act by Spark or PyIceberg, what it
 * removes on purpose, and which columns are its own from then on.
 */
import { join } from "node:path";
import type { SparkSql } from "../../test/support/sparkSql.ts";
import type { OffsetRange } from "../judge/judge.ts";
import { readersPython } from "../services/cache.ts";
import { run } from "../services/process.ts";

/** What an act works with. */
export interface Ground {
  readonly spark: SparkSql;
  /** The table as Spark names it. */
  readonly table: string;
  /** `NAMESPACE.TABLE`, in our catalog and PyIceberg's. */
  readonly name: string;
  readonly catalogFile: string;
  readonly warehouse: string;
  /** A while before the long rewrite began, ms: the snapshot that it began on is younger. */
  readonly beforeRewriteMs: number;
  /** Committed offsets that lie behind everything that the long rewrite holds, by partition. */
  committed(): Promise<readonly number[]>;
  /** `kafka-iceberg COMMAND TABLE ...`; throws unless it ends with 0. */
  cli(...command: string[]): Promise<void>;
}

/** One thing that another engine does. */
export interface Act {
  readonly name: string;
  /** @returns the rows that it removed on purpose; default none */
  readonly run: (ground: Ground) => Promise<readonly OffsetRange[] | undefined>;
  /** Rows that it adds, which no topic has; default 0. */
  readonly appends?: number;
  /** Columns whose values differ from the topic's from then on. */
  readonly columns?: readonly string[];
}

/** In their order; all of them happen between the rewrite's beginning and its end. */
export const ACTS: readonly Act[] = [
  {
    name: "PyIceberg appends",
    run: (g) => pyiceberg(g, { rows: [{ event_id: "pyiceberg" }] }),
    appends: 1,
  },
  {
    name: "Spark appends",
    run: (g) => sql(g, "insert into T (event_id) values ('spark')"),
    appends: 1,
  },
  { name: "Spark DELETE", run: (g) => deleteRows(g) },
  { name: "Spark MERGE", run: merge, appends: 1, columns: ["url"] },
  {
    name: "PyIceberg adds, promotes, renames and drops columns",
    run: async (g) => {
      await pyiceberg(g, { schema: [["add", "n", "int"]] });
      await pyiceberg(g, { schema: [["promote", "n", "long"]] });
      await pyiceberg(g, { schema: [["rename", "n", "m"]] });
      return pyiceberg(g, { schema: [["drop", "referrer"]] });
    },
    columns: ["referrer"],
  },
  {
    name: "Spark adds, promotes, renames and drops columns",
    run: (g) =>
      sql(
        g,
        "alter table T add column s int",
        "alter table T alter column s type bigint",
        "alter table T rename column country to land",
        "alter table T drop column s",
      ),
    // The renamed column keeps the earlier values; the field gets a column of its own again.
    columns: ["country", "land"],
  },
  { name: "rollback", run: rollBack },
  {
    name: "paused; branch, append to it, main fast-forwarded to it; resumed",
    run: async (g) => {
      await g.cli("pause");
      await sql(
        g,
        "alter table T create branch audit",
        "insert into T.branch_audit (event_id) values ('audit')",
        "call C.system.fast_forward('N', 'main', 'audit')",
      );
      await g.cli("resume");
    },
    appends: 1,
  },
  { name: "branch dropped", run: (g) => sql(g, "alter table T drop branch audit") },
  {
    name: "expire_snapshots of what is older than the rewrite",
    run: (g) => expire(g, g.beforeRewriteMs, 1),
  },
  { name: "rewrite_manifests", run: (g) => sql(g, "call C.system.rewrite_manifests('N')") },
];

/**
 * After the long rewrite has ended. Partition evolution is among them: Iceberg 1.11 commits a rewrite by
 * the specs that were there when it began, and fails with a NullPointerException over files of a newer one.
 */
export const LATER_ACTS: readonly Act[] = [
  {
    name: "partition evolution",
    run: (g) => sql(g, "alter table T add partition field bucket(4, event_id)"),
  },
  {
    name: "partition field dropped",
    run: (g) => sql(g, "alter table T drop partition field bucket(4, event_id)"),
  },
  {
    name: "DELETE by position deletes",
    run: async (g) => {
      await sql(g, "alter table T set tblproperties ('write.delete.mode'='merge-on-read')");
      return deleteRows(g);
    },
  },
  {
    name: "rewrite_data_files of everything",
    run: (g) =>
      sql(
        g,
        "call C.system.rewrite_data_files(table => 'N', options => map('rewrite-all', 'true'))",
      ),
  },
  {
    name: "expire_snapshots to one",
    run: (g) => expire(g, Date.parse("2099-01-01T00:00:00Z"), 1),
  },
];

/** Offsets that a DELETE or a MERGE takes, and how far behind the newest committed one they end. */
const TAKEN = 100;

/** T: the table, C: its catalog, N: its name there. */
async function sql(ground: Ground, ...statements: string[]): Promise<undefined> {
  const [catalog = ""] = ground.table.split(".");
  for (const statement of statements) {
    const text = statement
      .replace(/\bT\b/, ground.table)
      .replace(/\bC\b/, catalog)
      .replace("'N'", `'${ground.name}'`);
    await again(() => ground.spark.sql(text));
  }
}

async function pyiceberg(ground: Ground, what: Record<string, unknown>): Promise<undefined> {
  const script = join(import.meta.dir, "..", "..", "test", "support", "catalog_pyiceberg.py");
  const { name, catalogFile, warehouse } = ground;
  const catalog = { uri: `sqlite:///${catalogFile}`, warehouse: `file://${warehouse}` };
  const job = { action: "read", name: "shared", catalog, table: name, ...what };
  const command = [await readersPython(), script];
  await again(() => run(command, { stdin: JSON.stringify(job) }));
}

/** The newest rows of partition 0, which no file of the long rewrite has. */
async function newRows(ground: Ground): Promise<OffsetRange> {
  const [to = 0] = await ground.committed();
  return { partition: 0, from: to - TAKEN, to };
}

async function deleteRows(ground: Ground): Promise<readonly OffsetRange[]> {
  const range = await newRows(ground);
  await sql(ground, `delete from T where ${within(range, "")}`);
  return [range];
}

async function merge(ground: Ground): Promise<undefined> {
  const range = await newRows(ground);
  const events = [ground.table, within(range, "")];
  await sql(
    ground,
    `merge into T t using (select event_id from ${events[0]} where ${events[1]} union all select 'merged') s
    on t.event_id = s.event_id and ${within(range, "t.")}
    when matched then update set url = 'merged'
    when not matched then insert (event_id) values (s.event_id)`,
  );
}

function within({ partition, from, to }: OffsetRange, prefix: string): string {
  const offset = `${prefix}_kafka_offset`;
  return `${prefix}_kafka_partition = ${partition} and ${offset} >= ${from} and ${offset} < ${to}`;
}

/** To the fourth newest ancestor: behind commits of ours, and not behind an act. */
async function rollBack(ground: Ground): Promise<undefined> {
  const history = await ground.spark.sql(
    `select cast(snapshot_id as string) id from ${ground.table}.history where is_current_ancestor
    order by made_current_at desc limit 4`,
  );
  const id = String(history.at(-1)?.["id"]);
  await sql(ground, `call C.system.rollback_to_snapshot('N', ${id})`);
}

async function expire(ground: Ground, olderThanMs: number, retain: number): Promise<undefined> {
  const time = new Date(olderThanMs).toISOString().replace("T", " ").replace("Z", "");
  const options = `older_than => timestamp '${time}', retain_last => ${retain}`;
  await sql(ground, `call C.system.expire_snapshots(table => 'N', ${options})`);
}

/** Others lose against our commits, and SQLite's lock, too: they try again, as people do. */
async function again<T>(act: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await act();
    } catch (error) {
      const text = String(error);
      if (tries === 20 || !/CommitFailed|ommit failed|BUSY|locked|conflicting|stale/.test(text)) {
        throw error;
      }
      await Bun.sleep(300);
    }
  }
}
