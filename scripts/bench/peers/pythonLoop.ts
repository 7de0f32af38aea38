/** A loop in Python as people write it (loop.py). No delivery guarantee. */
import { readersPython } from "../../services/cache.ts";
import { type Job, type Launch, peerFile, type Side } from "./side.ts";
import { createPeerTable } from "./tables.ts";

/** confluent-kafka, pyarrow, PyIceberg. */
export const pythonLoop: Side = {
  name: "python-loop",
  title: "Python loop: confluent-kafka 2.16.1, PyIceberg 0.12.0",
  prepare,
};

async function prepare(job: Job): Promise<Launch> {
  const { source, warehouse } = await createPeerTable(job);
  const settings = {
    bootstrap: job.bootstrap,
    topic: job.topic,
    sqlite: source.sqlite,
    table: `${source.namespace}.${source.name}`,
    warehouse,
    intervalSeconds: job.intervalMs / 1000,
  };
  const python = await readersPython();
  return {
    command: [python, peerFile("loop.py"), JSON.stringify(settings)],
    table: source,
    ends: false,
  };
}
