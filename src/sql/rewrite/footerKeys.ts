/**
 * What footers of data files say of Kafka (SPEC section 5), put together for a file that takes the place
 * of several: the clusters, topics and partitions of all, and their ranges of offsets, joined where one
 * begins at the end of another. Pure.
 */
import { type Json, parseJson, writeJson } from "#base/json.ts";

/** One key of one footer. */
export interface FooterKey {
  readonly key: string;
  readonly value: string;
}

/** A range of offsets of a partition, its end excluded. */
interface Range {
  readonly topic: string;
  readonly partition: number;
  readonly start: bigint;
  readonly end: bigint;
}

const LISTS = ["kafka-iceberg.cluster-id", "kafka-iceberg.topic", "kafka-iceberg.partition"];
const RANGES = "kafka-iceberg.offset-ranges";
const COMMIT_ID = "kafka-iceberg.commit-id";

/** The keys of a file that has the rows of several; none of them says more than they do. */
export function mergedKeys(keys: readonly FooterKey[], commitId: string): Record<string, string> {
  const merged: Record<string, string> = { [COMMIT_ID]: commitId };
  for (const name of LISTS) {
    const values = keys.filter(({ key }) => key === name).flatMap(({ value }) => value.split(","));
    if (values.length > 0) merged[name] = [...new Set(values)].join(",");
  }
  const ranges = keys.filter(({ key }) => key === RANGES).flatMap(({ value }) => rangesIn(value));
  if (ranges.length > 0) merged[RANGES] = writeJson(joined(ranges).map((range) => ({ ...range })));
  return merged;
}

/** What is no list of ranges is left out: a footer tells people of a file, nothing is decided by it. */
function rangesIn(text: string): Range[] {
  let list: Json;
  try {
    list = parseJson(text);
  } catch {
    return [];
  }
  return Array.isArray(list) ? list.flatMap(rangeOf) : [];
}

function rangeOf(value: Json): Range[] {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [];
  const { topic, partition, start, end } = value as Record<string, Json>;
  const numbers = [partition, start, end].every((each) => /^\d+$/.test(String(each)));
  if (typeof topic !== "string" || !numbers) return [];
  return [
    {
      topic,
      partition: Number(partition),
      start: BigInt(String(start)),
      end: BigInt(String(end)),
    },
  ];
}

/** By topic, partition and offset; adjacent ones as one. */
function joined(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const range of ranges.toSorted(byPlace)) {
    const last = result.at(-1);
    const isNext =
      last?.topic === range.topic && last.partition === range.partition && range.start <= last.end;
    if (!isNext) result.push(range);
    else if (range.end > last.end) result[result.length - 1] = { ...last, end: range.end };
  }
  return result;
}

function byPlace(a: Range, b: Range): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  if (a.partition !== b.partition) return a.partition - b.partition;
  return a.start < b.start ? -1 : Number(a.start > b.start);
}
