/**
 * Features of the specification that this release does not have, and what is there instead.
 * Key tables refer to them; their keys are documented, accepted, and refused by `run` and `check`.
 */

/** By id: the feature's name with its verb, and what to do instead. */
export const UNBUILT = {
  alignment: {
    name: "another alignment is",
    instead: "column buffers begin and end at multiples of 64 bytes",
  },
  clusters: {
    name: "several clusters in one pipeline are",
    instead: "use one [[pipelines]] per cluster; they may share a table",
  },
  encryption: {
    name: "Parquet encryption is",
    instead: "docs/decisions/0313 says why; encrypt at rest in the store, e.g. storage.s3.sse",
  },
  kafka_retries: {
    name: "giving up on a broker is",
    instead: "this release keeps trying; server.startup_timeout_ms bounds the start",
  },
} as const;

/** The id of an unbuilt feature. */
export type Feature = keyof typeof UNBUILT;
