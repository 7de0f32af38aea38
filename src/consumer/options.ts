/**
 * Options of the Kafka consumer, with the defaults of SPEC section 4, `[kafka]`.
 */

import { KERNELS_ON } from "#base/kernelSwitch.ts";
import { LIMITS } from "#base/limits.ts";

/** How to log in. `password` and `clientSecret` never reach a log line or an error. */
export type SaslOptions =
  | {
      readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
      readonly username: string;
      readonly password: string;
    }
  | {
      readonly mechanism: "oauthbearer";
      /** URL of the token endpoint; asked with the client-credentials grant. */
      readonly tokenEndpoint: string;
      readonly clientId: string;
      readonly clientSecret: string;
      readonly scope?: string;
    }
  | {
      /** Amazon MSK: tokens that an identity of AWS signs, over `OAUTHBEARER`. */
      readonly mechanism: "aws-msk-iam";
      readonly region: string;
      /** A role to assume; null: the provider chain's identity. */
      readonly roleArn: string | null;
    };

/** TLS; certificates and keys as PEM text. */
export interface SslOptions {
  readonly enabled: boolean;
  /** Default: the machine's trusted authorities. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly keyPassword?: string;
  /** Name that the broker's certificate must carry; default the host that is connected to. */
  readonly serverName?: string;
}

/** Options of `createKafkaConsumer`. Times in milliseconds, sizes in bytes. */
export interface KafkaConsumerOptions {
  /** `host:port`, at least one. */
  readonly bootstrapServers: readonly string[];
  /** Topics by name; together with `topicPattern` at least one. */
  readonly topics?: readonly string[];
  /** Topics by regular expression over the whole name; internal topics never match. */
  readonly topicPattern?: string;
  readonly groupId: string;
  /** Default "kafka-iceberg". */
  readonly clientId?: string;
  /** Static membership: stable and unique per process; default none. */
  readonly groupInstanceId?: string;
  /** Reads from a replica in this rack where the brokers offer one; default none. */
  readonly rackId?: string;
  /** Default 10,000. */
  readonly sessionTimeoutMs?: number;
  /** Default 3,000. */
  readonly heartbeatIntervalMs?: number;
  /** Default 60,000. */
  readonly rebalanceTimeoutMs?: number;
  /** One fetch answer; default 32 MiB. */
  readonly fetchBytesMax?: number;
  /** Batches that are fetched or on their way and not handed over; default, and at most, `LIMITS.fetchQueueBytesMax`. */
  readonly queueBytesMax?: number;
  /** Longest long poll; default 500. */
  readonly fetchWaitMsMax?: number;
  /** One record batch after decompression; default 64 MiB. */
  readonly decompressedBatchBytesMax?: number;
  /** LZ4 and Snappy in the kernel, not in TypeScript; default: as the process is set. */
  readonly kernel?: boolean;
  /** Default "read_committed". */
  readonly isolationLevel?: "read_committed" | "read_uncommitted";
  /** How often topics, partitions and leaders are looked up anew; default 30,000. */
  readonly metadataRefreshMs?: number;
  /** A position past the log's end for this long is out of range; default 30,000. */
  readonly aheadOfLogMsMax?: number;
  /** Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** Default 30,000. */
  readonly requestTimeoutMs?: number;
  /** First and longest wait after an error; default 100 and 30,000. */
  readonly retryBaseDelayMs?: number;
  readonly retryDelayMsMax?: number;
  readonly sasl?: SaslOptions;
  readonly ssl?: SslOptions;
}

/** Options with every default filled in; null where nothing is set. */
export interface Settings
  extends Required<
    Omit<
      KafkaConsumerOptions,
      "topicPattern" | "groupInstanceId" | "sasl" | "ssl" | "isolationLevel"
    >
  > {
  readonly topicPattern: string | null;
  readonly groupInstanceId: string | null;
  readonly readCommitted: boolean;
  readonly sasl: SaslOptions | null;
  readonly ssl: SslOptions | null;
}

const DEFAULTS: Omit<Settings, "bootstrapServers" | "groupId" | "readCommitted"> = {
  topics: [],
  topicPattern: null,
  clientId: "kafka-iceberg",
  groupInstanceId: null,
  rackId: "",
  sessionTimeoutMs: 10_000,
  heartbeatIntervalMs: 3000,
  rebalanceTimeoutMs: 60_000,
  fetchBytesMax: 32 * 1024 * 1024,
  queueBytesMax: LIMITS.fetchQueueBytesMax,
  fetchWaitMsMax: 500,
  decompressedBatchBytesMax: 64 * 1024 * 1024,
  kernel: KERNELS_ON,
  metadataRefreshMs: 30_000,
  aheadOfLogMsMax: 30_000,
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  retryBaseDelayMs: 100,
  retryDelayMsMax: 30_000,
  sasl: null,
  ssl: null,
};

/** Fills in the defaults. */
export function withDefaults(options: KafkaConsumerOptions): Settings {
  return {
    ...DEFAULTS,
    ...options,
    readCommitted: options.isolationLevel !== "read_uncommitted",
    ssl: options.ssl?.enabled === true ? options.ssl : null,
  };
}
