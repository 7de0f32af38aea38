/**
 * Keys of `[iceberg.rest]`: how a REST catalog, or Nessie, is reached (SPEC section 4).
 */

/** Keys of `[iceberg.rest]`. */
export const REST_KEYS = {
  "iceberg.rest.uri": {
    type: "string",
    default: null,
    example: '"http://localhost:8181"',
    doc: "The REST catalog, without `/v1`.",
  },
  "iceberg.rest.warehouse": {
    type: "string",
    default: null,
    example: '"prod"',
    doc: "The warehouse asked for.",
  },
  "iceberg.rest.prefix": {
    type: "string",
    default: null,
    example: '"prod"',
    doc: "The path behind `/v1`; most servers name it themselves, and then theirs counts.",
  },
  "iceberg.rest.credential_type": {
    type: "string",
    default: "none",
    values: ["none", "bearer", "oauth2", "sigv4", "basic"],
    doc: "How to sign in; `oauth2` is the client credentials grant, `sigv4` AWS's signatures with the provider chain's keys.",
  },
  "iceberg.rest.credential": {
    type: "string",
    default: null,
    example: '"${CATALOG_TOKEN}"',
    secret: true,
    doc: "Token, `client:secret` or `user:password`.",
  },
  "iceberg.rest.signing_name": {
    type: "string",
    default: null,
    example: '"glue"',
    doc: "With `sigv4`: the service that is signed for, glue, s3tables or execute-api; none: as the address says, else execute-api.",
  },
  "iceberg.rest.signing_region": {
    type: "string",
    default: null,
    example: '"us-east-1"',
    doc: "With `sigv4`: its region; none: as the address says.",
  },
  "iceberg.rest.oauth2_server_uri": {
    type: "string",
    default: null,
    example: '"https://login.example.com/token"',
    doc: "Where tokens are fetched; none: the catalog's own /v1/oauth/tokens.",
  },
  "iceberg.rest.scope": {
    type: "string",
    default: null,
    example: '"catalog"',
    doc: "The scope of OAuth2 tokens; none: `catalog`.",
  },
  "iceberg.rest.request_timeout_seconds": {
    type: "integer",
    default: 30,
    min: 1,
    max: 3600,
    doc: "Longest wait for an answer.",
  },
  "iceberg.rest.max_retries": {
    type: "integer",
    default: 3,
    min: 0,
    max: 100,
    doc: "Retries of reads; commits are never retried by the transport.",
  },
  "iceberg.rest.headers": {
    type: "map",
    default: {},
    secret: true,
    doc: "Further request headers.",
  },
  "iceberg.rest.vended_credentials": {
    type: "boolean",
    default: true,
    doc: "Use storage credentials that the catalog hands out.",
  },
  "iceberg.rest.remote_signing": {
    type: "boolean",
    default: false,
    doc: "Let the catalog sign each request to S3, where it hands out no credentials. A request to the catalog for each to the store.",
  },
  "iceberg.rest.ca_file": {
    type: "string",
    default: null,
    example: '"/etc/kafka-iceberg/catalog-ca.pem"',
    doc: "Certificates (PEM) that the catalog and its token endpoint must prove themselves by; none: the machine's own.",
  },
  "iceberg.rest.cert_file": {
    type: "string",
    default: null,
    example: '"/etc/kafka-iceberg/client.pem"',
    doc: "Our own certificate (PEM), for catalogs that ask for one.",
  },
  "iceberg.rest.key_file": {
    type: "string",
    default: null,
    example: '"/etc/kafka-iceberg/client.key"',
    doc: "The key of `cert_file` (PEM).",
  },
  "iceberg.rest.key_password": {
    type: "string",
    default: null,
    example: '"${CLIENT_KEY_PASSWORD}"',
    secret: true,
    doc: "Password of an encrypted `key_file`.",
  },
  "iceberg.rest.proxy": {
    type: "string",
    default: null,
    example: '"http://proxy.example.com:3128"',
    secret: true,
    doc: "A proxy on the way to the catalog and its token endpoint: `http://[user:password@]host:port`. The environment's proxies are not used.",
  },
} as const;
