/** `replay` before a broker in memory: a range is read again and its rows are replaced, once each. */
import { afterEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "#base/errors.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { program, temporaryPlace } from "../support/program.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

test("a range of offsets is replaced, told, and leaves as many rows; a wrong range is refused", async () => {
  const broker = new FakeKafka();
  const { folder, remove } = temporaryPlace("replay");
  ends.push(() => broker.stop(), remove);
  broker.topic("orders", 1);
  const records = Array.from({ length: 40 }, (_, n) => ({ value: `{"n":${n}}` }));
  broker.append("orders", 0, buildBatch({ baseOffset: 0, records, leaderEpoch: 0 }));
  const file = join(folder, "config.toml");
  writeFileSync(
    file,
    `[kafka]\nbootstrap_servers = "${broker.address}"\ntopic = "orders"\n` +
      `[iceberg]\nwarehouse_path = "${folder}/wh"\n[state]\ndir = "${folder}/state"\n` +
      `[server]\nhealth_address = ""\nmetrics_address = ""\n[logging]\nlevel = "error"\n`,
  );
  expect((await program(["run", "--until-end", "--config", file])).code).toBe(EXIT.ok);
  const replay = (...words: string[]) => program(["replay", "orders", ...words, "--config", file]);
  const done = await replay("--partition", "0", "--from", "5", "--to", "15");
  expect([done.err, done.code]).toEqual(["", EXIT.ok]);
  expect(done.out).toContain("10");
  const json = await replay("--partition", "0", "--from", "5", "--to", "15", "--json");
  expect(JSON.parse(json.out)).toBeObject();
  const sql = "SELECT count(*) AS rows, count(DISTINCT n) AS numbers FROM orders";
  const asked = await program(["query", sql, "--format", "csv", "--config", file]);
  expect(asked.out).toBe("rows,numbers\n40,40\n");
  expect((await replay("--partition", "0", "--from", "15", "--to", "5")).code).toBe(EXIT.usage);
}, 60_000);
