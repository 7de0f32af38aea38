/** SQL over rows that are not committed yet, together with the table, by the executable's own HTTP. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { readArrow } from "../../scripts/judge/judge.ts";
import { proveHotQueries } from "../../scripts/prove/hotQueries.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";
import { openDatabase } from "../unit/sql/engine.ts";

let broker: KafkaBroker;

let s3: S3Service;

beforeAll(async () => {
  [broker, s3] = await Promise.all([startKafka(), startS3()]);
}, 600_000);
afterAll(() => Promise.all([broker?.stop(), s3?.stop()]));

test.each(["on this machine", "in S3"])(
  "each answer of a table %s has every row of the topic up to an offset once, while rows are committed under it",
  async (place) => {
    const isStored = place === "in S3";
    const report = await proveHotQueries({
      bootstrap: broker.bootstrap,
      topic: isStored ? "stored" : "asked",
      rate: 2000,
      seconds: 10,
      s3: isStored ? s3 : undefined,
      say: () => undefined,
    });
    expect(report).toMatchObject({
      rows: 20_000,
      synced: 20_000,
      arrowRows: 20_000,
      violations: [],
    });
    // All of them are younger than hot_buffer.ttl_seconds.
    expect(report.inMemory).toBe(20_000);
    expect(report.sumAnswers).toBeGreaterThan(10);
    expect(report.answers).toBeGreaterThan(20);
    expect(report.snapshots).toBeGreaterThan(2);
    expect(report.hotAnswers).toBeGreaterThan(10);
  },
  180_000,
);

test("an Arrow stream is read by pyarrow and DuckDB, every value as SQL has it", async () => {
  const database = await openDatabase();
  const sql =
    "SELECT i, (i % 200)::UTINYINT AS small, i / 3 AS fraction, 'text ' || i AS s, ('b' || i)::BLOB AS bytes, i % 2 = 0 AS flag, " +
    "[i, NULL] AS list, {'a': i, 'b': ['x']} AS struct, MAP {'k': i} AS map, i::DECIMAL(20, 3) AS exact, i::HUGEINT AS huge, " +
    "TIMESTAMP '2026-01-08' + to_hours(i::INTEGER) AS t, TIMESTAMPTZ '2026-01-08 00:00:00+00' AS z, DATE '2026-01-08' AS d, " +
    "TIME '12:30:00' AS c, uuid_extract_version(gen_random_uuid()) AS version, " +
    "CASE WHEN i % 3 = 0 THEN NULL ELSE 'x' END AS sometimes FROM range(5000) r(i) ORDER BY i";
  const run = { views: [], hot: [], parameters: [], rowsMax: 5000, bytesMax: 1e9 };
  const admitted = database.admit(sql);
  const file = join(await temporaryFolder("arrow"), "answer.arrows");
  await Bun.write(file, database.runArrow({ ...run, admitted, form: "arrow" }));
  const rows = database.admit(`SELECT to_json(t) FROM (${sql}) t`);
  const expected = database.run({ ...run, admitted: rows, form: "json" });
  database.close();
  const found = await readArrow(file);
  expect(found.rows).toEqual(expected.rows.map(([row]) => JSON.parse(row ?? "") as object));
  expect(found.columns.slice(0, 4)).toEqual(["int64", "uint8", "double", "string"]);
}, 60_000);
