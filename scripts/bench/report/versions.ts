/**
 * What the figures were measured with: the machine, and the versions of all that took part.
 */
import { cpus, release, totalmem } from "node:os";
import { kafkaClassPath, readersPython } from "../../services/cache.ts";
import { kcat, PEER_VERSIONS } from "../../services/peers.ts";
import { run } from "../../services/process.ts";

const PYTHON =
  "import confluent_kafka as c, duckdb as d, platform as p, pyarrow as a, pyiceberg as i; " +
  "print(f'Python {p.python_version()}, PyIceberg {i.__version__}, pyarrow {a.__version__}, " +
  "DuckDB {d.__version__}, confluent-kafka with librdkafka {c.libversion()[0]}')";

/** One line about the machine. */
export function machine(): string {
  const [cpu] = cpus();
  const model = cpu?.model.trim() ?? "unknown processor";
  return `${cpus().length} x ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`;
}

/** One line of versions. */
export async function versions(): Promise<string> {
  const { binary, env } = await kcat();
  const { connect, connectIceberg, flink, flinkIceberg } = PEER_VERSIONS;
  const [broker] = /kafka-[\d.]+\d/.exec(await kafkaClassPath()) ?? [];
  const [java = ""] = (await run(["java", "--version"])).split("\n");
  const about = await run([binary, "-V"], { env });
  const drain = /Version ([\d.]+) .*librdkafka ([\d.]+)/.exec(about);
  return [
    `broker ${broker}`,
    java,
    `Bun ${Bun.version}`,
    `Kafka Connect ${connect} with Iceberg ${connectIceberg}`,
    `Flink ${flink} with Iceberg ${flinkIceberg}`,
    (await run([await readersPython(), "-c", PYTHON])).trim(),
    `kcat ${drain?.[1]} with librdkafka ${drain?.[2]}`,
  ].join("; ");
}
