/**
 * The native floor: kcat (librdkafka) drains the topic into a file of NDJSON, and DuckDB turns that
 * into one Parquet file on one thread (floor.py). No table, no commits, no guarantees.
 *
 * Each line holds the record's coordinates and its value as it stands. kcat is helped in two ways:
 * written in 64 KiB pieces (0.7 instead of 0.9 us of CPU a row), and with a queue that does not run
 * full, which would make librdkafka pause for a second at a time. A pipe instead of the file costs more.
 */
import { join } from "node:path";
import { readersPython } from "../../services/cache.ts";
import { kcat } from "../../services/peers.ts";
import { type Job, type Launch, peerFile, type Side } from "./side.ts";

const LINE = '{"p":%p,"o":%o,"t":%T,"v":%s}\\n';

/** kcat, then DuckDB. */
export const floor: Side = { name: "floor", title: "native floor: kcat + DuckDB", prepare };

async function prepare(job: Job): Promise<Launch> {
  const { binary, env } = await kcat();
  const python = await readersPython();
  const lines = join(job.folder, "events.ndjson");
  const parquet = join(job.folder, "events.parquet");
  const drain = `stdbuf -o64K "$1" -X queued.min.messages=1000000 -C -b "$2" -t "$3" -o beginning -e -q -f '${LINE}' > "$4"`;
  const convert = `"$5" "$6" "$4" "$7" "$8"`;
  return {
    // Named arguments of the script, from $1 on.
    command: [
      "sh",
      "-c",
      `${drain} && ${convert}`,
      "floor",
      binary,
      job.bootstrap,
      job.topic,
      lines,
      python,
      peerFile("floor.py"),
      parquet,
      job.codec,
    ],
    env,
    table: null,
    parquet,
    ends: true,
  };
}
