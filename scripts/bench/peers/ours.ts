/** kafka-iceberg itself, at its shipped defaults; only codec and commit interval are set. */
import { join } from "node:path";
import { freePort } from "../../services/process.ts";
import { toml } from "../../services/product.ts";
import { type Job, type Launch, type Side, ZSTD_LEVEL } from "./side.ts";

/** The product. */
export const ours: Side = { name: "ours", title: "kafka-iceberg", prepare };

/** An earlier build of the product, to be compared with in the same run. */
export function before(executable: string): Side {
  const title = "kafka-iceberg before";
  return { name: "before", title, prepare: (job) => prepare({ ...job, executable }) };
}

async function prepare(job: Job): Promise<Launch> {
  const warehouse = join(job.folder, "warehouse");
  const level = job.codec === "zstd" ? { compression_level: ZSTD_LEVEL } : {};
  const config = join(job.folder, "config.toml");
  const metrics = `127.0.0.1:${freePort()}`;
  const sections = toml({
    kafka: {
      bootstrap_servers: job.bootstrap,
      topic: job.topic,
      consumer_group: crypto.randomUUID(),
    },
    iceberg: {
      warehouse_path: warehouse,
      write: { compression: job.codec, ...level },
      commit: { interval_ms: job.intervalMs },
    },
    ...(job.registry === undefined
      ? {}
      : { source: { format: "avro" }, schema_registry: { url: job.registry.url } }),
    server: { health_address: `127.0.0.1:${freePort()}`, metrics_address: metrics },
    ...(job.bufferMb === undefined ? {} : { hot_buffer: { max_size_mb: job.bufferMb } }),
    logging: { format: "json" },
  });
  await Bun.write(config, sections);
  const end = job.untilEnd ? ["--until-end"] : [];
  return {
    command: [job.executable, "run", ...end, "--config", config],
    table: { folder: join(warehouse, "default", job.topic) },
    ends: job.untilEnd,
    metricsUrl: `http://${metrics}/metrics`,
  };
}
