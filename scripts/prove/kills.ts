/**
 * Proof: events of interleaved transactions flow, the process is killed with SIGKILL in every phase
 * and restarted at once; then `--until-end`, and foreign readers judge every retained snapshot.
 *
 *   bun scripts/prove/kills.ts [--events 1000000] [--kills 60] [--seed 1]
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seededRandom } from "#base/random.ts";
import { abortOpenTransactions, produceTransactions } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { judgeTable, readTopic } from "../judge/judge.ts";
import { startKafka } from "../services/kafka.ts";
import { temporaryFolder } from "../services/process.ts";
import { startProduct } from "../services/product.ts";
import { reportFiles } from "./files.ts";
import { killRepeatedly } from "./killRun.ts";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1000000" },
    kills: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    judge: { type: "string", default: "duckdb" },
  },
});
const random = seededRandom(Number(values.seed));
const say = (line: string): void => console.log(line);
const broker = await startKafka({});
const topic = "flow";
await createTopic(broker.bootstrap, { topic, partitions: 6 });
const folder = await temporaryFolder("kills");
const warehouse = join(folder, "warehouse");
mkdirSync(warehouse, { recursive: true });
const config = {
  kafka: { bootstrap_servers: broker.bootstrap, topic, consumer_group: "kills" },
  iceberg: { warehouse_path: warehouse },
  "iceberg.commit": { interval_ms: 150 },
  state: { dir: join(folder, "state") },
  logging: { format: "json" },
};

const batches = Math.max(1, Math.ceil(Number(values.events) / 25_000));
const flowing = (async () => {
  const openIds: string[] = [];
  for (let batch = 0; batch < batches; batch++) {
    const made = await produceTransactions({
      bootstrap: broker.bootstrap,
      topic,
      partitions: 6,
      count: Math.ceil(Number(values.events) / batches),
      seed: batch,
      open: batch === batches - 1 ? 1 : 0,
      codec: (["none", "gzip", "snappy", "lz4", "zstd"] as const)[batch % 5] ?? "none",
    });
    openIds.push(...made.openIds);
  }
  return openIds;
})();
const report = await killRepeatedly({
  config,
  folder,
  kills: Number(values.kills),
  failpointShare: 0.6,
  lifeMsMax: 4000,
  random: () => random.unit(),
  say,
});
await flowing;
say("to the end");
const last = await startProduct({ config, folder, command: ["run", "--until-end"] });
const code = await last.exited;
console.log(last.log().split("\n").slice(-6).join("\n"));
const table = { folder: join(warehouse, "default", topic) };
const verdict = await judgeTable({
  table,
  topics: [await readTopic(broker.bootstrap, topic)],
  readers: values.judge.split(",") as ("duckdb" | "pyiceberg")[],
  values: false,
});
const files = await reportFiles(table.folder);
console.log(JSON.stringify(report.phases, null, 1));
const sorted = [...report.recoveriesMs].sort((a, b) => a - b);
console.log(
  `recovery ms: n ${sorted.length} p50 ${sorted[sorted.length >> 1]} max ${sorted.at(-1)}`,
);
console.log(
  `exit ${code}, law ${verdict.ok}, snapshots ${verdict.snapshots}, judged ${verdict.judged}`,
);
console.log(JSON.stringify(verdict.violations.slice(0, 5)));
console.log(
  `unnamed files ${files.unnamed.length}, missing ${files.missing.length}, named ${files.named}`,
);
console.log(files.unnamed.slice(0, 10).join("\n"));
void abortOpenTransactions;
await broker.stop();
process.exit(verdict.ok && code === 0 ? 0 : 1);
