/**
 * Settings of a REST catalog (SPEC section 4, `[iceberg.rest]` and `[iceberg.nessie]`).
 */
import type { RetryOptions } from "#base/retry.ts";

/** How requests are signed in. */
export type RestAuth =
  | { readonly type: "none" }
  | { readonly type: "bearer"; readonly token: string }
  /** A signature of AWS for each request: of Glue, S3 Tables, or an API gateway (`execute-api`). */
  | { readonly type: "sigv4"; readonly service: string; readonly region: string }
  | { readonly type: "basic"; readonly user: string; readonly password: string }
  | {
      readonly type: "oauth2";
      /** Empty: some servers want the secret alone. */
      readonly clientId: string;
      readonly clientSecret: string;
      /** Null: the catalog's own `/v1/oauth/tokens`. */
      readonly serverUri: string | null;
      readonly scope: string;
    };

/** Files (PEM) of a TLS connection; null: not given. */
export interface TlsFiles {
  /** Certificates that the server must prove itself by; null: the machine's own. */
  readonly caFile: string | null;
  /** Our own certificate; with it, its key. */
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly keyPassword: string | null;
}

/** Settings of a REST catalog. */
export interface RestCatalogOptions {
  /** Without `/v1`: `https://host/api/catalog`. */
  readonly uri: string;
  /** What the server is asked for by name; null: its only one. */
  readonly warehouse: string | null;
  /** The path behind `/v1`, unless the server names one. */
  readonly prefix: string | null;
  readonly auth: RestAuth;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of one request, its answer included. */
  readonly requestTimeoutMs: number;
  /** Of reads; commits are sent once. */
  readonly retry: RetryOptions;
  /** Open connections at once, at most. */
  readonly connectionsMax: number;
  readonly tls: TlsFiles;
  /** `http://host:port` of a proxy on the way to the catalog and to its token endpoint; null: none. */
  readonly proxy: string | null;
  /** Whether the catalog is asked for credentials of the store. */
  readonly vendedCredentials: boolean;
  /** Whether it is asked to sign requests to S3, where it lends no keys. */
  readonly remoteSigning: boolean;
  /** The server is Nessie, and this is its branch; null: any other server. */
  readonly nessieRef: string | null;
}
