/**
 * Keys of Amazon MSK's sign-in against each other.
 */
import { splitServers } from "#consumer/wire/brokerAddress.ts";
import type { PipelineValues } from "./keys.ts";

/** `b-1.demo.abc.c2.kafka.eu-west-1.amazonaws.com:9098`, also of serverless clusters. */
const BROKER = /\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com/;

/** The region of tokens: as set, else as the brokers' names say; null: neither. */
export function mskRegion(values: PipelineValues): string | null {
  const named = splitServers(values["kafka.bootstrap_servers"]).map((each) => BROKER.exec(each));
  return values["kafka.sasl.region"] ?? named.find((found) => found !== null)?.[1] ?? null;
}

/** Reports what signing in to MSK lacks. A token is as good as a password: it never goes out in the clear. */
export function checkMsk({
  values,
  report,
}: {
  readonly values: PipelineValues;
  readonly report: (key: keyof PipelineValues & string, problem: string) => void;
}): void {
  const isMsk = values["kafka.sasl.mechanism"] === "aws-msk-iam";
  for (const key of ["kafka.sasl.region", "kafka.sasl.role_arn"] as const) {
    if (!isMsk && values[key] !== null) {
      report(key, 'needs kafka.sasl.mechanism = "aws-msk-iam"');
    }
  }
  if (!isMsk) return;
  const key = "kafka.sasl.mechanism";
  if (!values["kafka.ssl.enabled"]) report(key, '"aws-msk-iam" needs kafka.ssl.enabled = true');
  if (mskRegion(values) !== null) return;
  report(key, '"aws-msk-iam" needs kafka.sasl.region: the brokers\' names say none');
}
