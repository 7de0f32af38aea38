/**
 * Tokens by which a broker of Amazon MSK knows an identity of AWS (SASL `OAUTHBEARER`, "IAM access control"): a signed
 * address of the action `kafka-cluster:Connect`, base64url, as AWS's own signers make them.
 */
import type { Clock } from "#base/clock.ts";
import { type AwsCredentials, awsCredentials } from "./credentials.ts";
import { signedUrl } from "./signer.ts";

/** Whose tokens. */
export interface MskTokenOptions {
  readonly region: string;
  /** A role to assume; null: the provider chain's identity. */
  readonly roleArn: string | null;
}

/** A token and how long it is good. */
export interface MskToken {
  readonly token: string;
  readonly lifeMs: number;
}

/** Longest life that brokers take, s. */
const LIFE_SECONDS = 900;
/** Shown to AWS for each connection. */
const USER_AGENT = "kafka-iceberg";
const KINDS = { refused: "kafka_refused", unreachable: "kafka_unreachable" } as const;

/**
 * A function that signs a new token each time it is asked.
 * Throws `kafka_refused` when there are no credentials, `kafka_unreachable`.
 * @param credentials default: the provider chain's, or the role's
 */
export function mskTokens(
  options: MskTokenOptions,
  clock: Clock,
  credentials: AwsCredentials = awsCredentials(options, KINDS, { clock }),
): () => Promise<MskToken> {
  const { region } = options;
  return async () => {
    const identity = await credentials();
    const nowMs = clock.nowMs();
    const url = await signedUrl(
      `https://kafka.${region}.amazonaws.com/?Action=kafka-cluster%3AConnect`,
      { service: "kafka-cluster", region },
      identity,
      { nowMs, lifeSeconds: LIFE_SECONDS },
    );
    const text = `${url}&User-Agent=${USER_AGENT}`;
    const endMs = identity.expiration?.getTime() ?? Number.POSITIVE_INFINITY;
    // A token ends with the keys that signed it.
    const lifeMs = Math.min(LIFE_SECONDS * 1000, Math.max(0, endMs - nowMs));
    return { token: Buffer.from(text).toString("base64url"), lifeMs };
  };
}
