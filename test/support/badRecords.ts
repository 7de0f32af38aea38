/**
 * Records that cannot be rows, one or more for each reason, among records that can.
 */
import { CompressionTypes, Kafka, logLevel } from "kafkajs";
import { type ExactRecord, produceValues, type RecordBytes } from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import type { Config } from "../../scripts/services/product.ts";

/** Larger than `max_decompressed_batch_mb`, 70 kB on the wire. */
const BOMB_BYTES = 70 * 1024 * 1024;
const DEPTH = 100_000;

/** Reason in metrics and log -> the bytes of a record that is rejected for it. */
export const BAD: readonly (readonly [reason: string, value: RecordBytes])[] = [
  ["too_deep", `{"n":1,"x":${"[".repeat(DEPTH)}${"]".repeat(DEPTH)}}`],
  ["too_deep", `{"n":1,"x":${'{"x":'.repeat(DEPTH)}1${"}".repeat(DEPTH)}}`],
  ["bad_utf8", { hex: Buffer.from('{"n":1,"name":"\xff\xfe"}', "latin1").toString("hex") }],
  ["bad_utf8", '{"n":1,"name":"\\ud800"}'],
  ["bad_json", '{"n":1}x'],
  ["bad_json", '{"n":1'],
  ["bad_json", ""],
  ["not_an_object", "[1]"],
  ["not_an_object", '"text"'],
  ["not_an_object", "12"],
  ["not_an_object", "null"],
  ["null_value", null],
  ["type_conflict", '{"n":"many"}'],
  ["type_conflict", '{"n":9223372036854775808}'],
];
/** Declared columns that they do not fit. */
export const FIELDS: Config[string] = {
  fields: [
    { name: "n", type: "long" },
    { name: "name", type: "string" },
  ],
};

/** A record that fits. */
export function good(n: number, partition: number): ExactRecord {
  return { partition, value: `{"n":${n},"name":"row ${n}"}` };
}

/** Partition 0: a good record before and after each bad one. Partition 1: good ones only. */
export async function produceMixed(bootstrap: string, topic: string): Promise<void> {
  await createTopic(bootstrap, { topic, partitions: 2 });
  const records = BAD.flatMap(([, value], at): ExactRecord[] => [
    good(at, 0),
    { partition: 0, value },
  ]);
  const others = Array.from({ length: 100 }, (_, at) => good(1000 + at, 1));
  await produceValues({ bootstrap, topic, batchBytes: 4096 }, [...records, good(99, 0), ...others]);
}

/** A batch of zeros that unpacks to more than the product is ready to hold. */
export async function produceBomb(bootstrap: string, topic: string): Promise<void> {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  const messages = [{ partition: 0, value: Buffer.alloc(BOMB_BYTES) }];
  await producer.send({ topic, messages, compression: CompressionTypes.GZIP });
  await producer.disconnect();
}
