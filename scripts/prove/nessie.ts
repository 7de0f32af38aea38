/**
 * Proof on Nessie, with its tables on an S3 server: ten kills, a branch that is not `main`. Not among the
 * conformance tests, since the server is 245 MB and needs Java 21.
 *
 * bun scripts/prove/nessie.ts [kills]
 */
import { startKafka } from "../services/kafka.ts";
import { startNessie } from "../services/nessie.ts";
import { startS3 } from "../services/versitygw.ts";
import { proveCatalogKills } from "./catalogKills.ts";

const kills = Number(process.argv[2] ?? 10);
const broker = await startKafka({ heapMb: 256 });
const s3 = await startS3();
const nessie = await startNessie(s3, "warehouse");
try {
  await nessie.createBranch("ingest");
  const topic = "nessie";
  const { verdict, outcomes } = await proveCatalogKills({
    bootstrap: broker.bootstrap,
    topic,
    partitions: 3,
    events: kills * 2500,
    rate: 1000,
    kills,
    seed: 7,
    config: {
      iceberg: { catalog_type: "nessie", nessie: { uri: nessie.uri, ref: "ingest" } },
      storage: {
        s3: {
          endpoint: s3.endpoint,
          access_key_id: s3.accessKey,
          secret_access_key: s3.secretKey,
        },
      },
    },
    table: { rest: { table: `default.${topic}`, properties: { uri: `${nessie.uri}/ingest` } } },
    s3,
    hidesAncestors: true,
  });
  console.log(JSON.stringify({ outcomes, ...verdict }, null, 2));
  process.exitCode = verdict.ok && verdict.readers.duckdb?.rows === kills * 2500 ? 0 : 1;
} finally {
  await Promise.all([broker.stop(), nessie.stop(), s3.stop()]);
}
