/**
 * Proof: what can go wrong outside goes wrong while events flow. A proxy in front of the store
 * swallows answers after the request was applied, stalls and refuses requests; store and broker are
 * killed and started again; now and then the process itself is killed too.
 *
 * The store also holds the file catalog: commits go through the proxy like data files.
 */
import { seededRandom } from "#base/random.ts";
import { produceEvents } from "../events/events.ts";
import type { Verdict } from "../judge/judge.ts";
import { type FaultMode, type FaultProxy, startFaultProxy } from "../services/faultProxy.ts";
import type { KafkaBroker } from "../services/kafka.ts";
import type { Product } from "../services/product.ts";
import type { S3Service } from "../services/versitygw.ts";
import { type Course, judge, newS3Course, readHead, runToEnd, type Say, start } from "./course.ts";

/** Size of the proof. */
export interface FaultsProof {
  readonly broker: KafkaBroker;
  readonly s3: S3Service;
  /** Folder of the store's buckets. */
  readonly objects: string;
  readonly topic: string;
  readonly events: number;
  /** Events a second. */
  readonly rate: number;
  readonly faults: number;
  readonly seed: number;
  readonly say: Say;
}

/** What was found. */
export interface FaultsReport {
  /** How often each fault was played. */
  readonly faults: Readonly<Record<string, number>>;
  readonly swallowed: number;
  readonly stalled: number;
  readonly refused: number;
  readonly snapshotsBeforeEnd: number;
  readonly verdict: Verdict;
}

const METADATA_PUT = /^PUT [^ ]*\.metadata\.json/;
const DATA_PUT = /^PUT [^ ]*\.parquet/;

type Fault = (stage: Stage) => Promise<void>;

/** What faults act on. */
interface Stage {
  readonly proof: FaultsProof;
  readonly course: Course;
  readonly proxy: FaultProxy;
  readonly random: () => number;
  product: Product;
}

const FAULTS: Readonly<Record<string, Fault>> = {
  "commit's answer swallowed": proxied({ kind: "swallow", match: METADATA_PUT }),
  "data file's answer swallowed": proxied({ kind: "swallow", match: DATA_PUT }),
  "every answer swallowed": proxied({ kind: "swallow" }),
  "commit stalled": proxied({ kind: "stall", match: METADATA_PUT }),
  "everything stalled": proxied({ kind: "stall" }),
  "everything late": proxied({ kind: "stall", ms: 400 }),
  "store refuses": proxied({ kind: "refuse" }),
  "commit stalled, process killed, commit applied late": async (stage) => {
    stage.proxy.set({ kind: "stall", match: METADATA_PUT });
    await Bun.sleep(1000);
    await replace(stage);
    await Bun.sleep(stage.random() * 3000);
  },
  "answers swallowed, process killed": async (stage) => {
    stage.proxy.set({ kind: "swallow", match: METADATA_PUT });
    await Bun.sleep(500 + stage.random() * 500);
    await replace(stage);
  },
  "store killed": async ({ proof }) => {
    await proof.s3.kill();
    await Bun.sleep(500);
    await proof.s3.restart();
  },
  "broker killed": async ({ proof }) => {
    await proof.broker.kill();
    await Bun.sleep(500);
    await proof.broker.restart();
  },
};

/** Runs the proof: faults in turn, each followed by a moment of peace. */
export async function proveFaults(proof: FaultsProof): Promise<FaultsReport> {
  const { broker, s3, objects, topic, rate, say } = proof;
  const { bootstrap } = broker;
  const random = seededRandom(proof.seed);
  const proxy = startFaultProxy(`127.0.0.1:${s3.port}`);
  const course = await newS3Course({ bootstrap, topic, partitions: 4 }, s3, objects, proxy.port);
  const flow = produceEvents({ bootstrap, topic, count: proof.events, rate });
  const product = await start(course);
  const stage = { proof, course, proxy, random: () => random.unit(), product };
  const played: Record<string, number> = {};
  const names = Object.keys(FAULTS);
  await product.ready();
  for (let n = 0; n < proof.faults; n++) {
    const name = names[n % names.length] ?? "";
    say(`fault ${n + 1} of ${proof.faults}: ${name}`);
    await FAULTS[name]?.(stage);
    played[name] = (played[name] ?? 0) + 1;
    proxy.set({ kind: "pass" });
    await Bun.sleep(300 + random.unit() * 1200);
  }
  await flow;
  await stage.product.kill();
  const snapshotsBeforeEnd = (await readHead(course)).snapshots;
  await runToEnd(course);
  const verdict = await judge(course);
  proxy.stop();
  const { swallowed, stalled, refused } = proxy.counters;
  return { faults: played, swallowed, stalled, refused, snapshotsBeforeEnd, verdict };
}

/** A proxy mode for half a second to two seconds. */
function proxied(mode: FaultMode): Fault {
  return async ({ proxy, random }) => {
    proxy.set(mode);
    await Bun.sleep(500 + random() * 1500);
  };
}

/** Kills the process and starts it again. */
async function replace(stage: Stage): Promise<void> {
  await stage.product.kill();
  stage.product = await start(stage.course);
}
