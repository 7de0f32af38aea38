/**
 * What a catalog says about the store of one table: its address, and credentials that the catalog hands
 * out and takes back after a while (decision 0200).
 */
import type { StorageOptions } from "./open.ts";
import type { VendedKeys } from "./s3Credentials.ts";
import type { RemoteSigner } from "./s3Signer.ts";

/**
 * A token that a catalog hands out for one table; asked for before each request.
 * @param fresh true: the last one was refused, so another is wanted
 * Throws what loading the table throws.
 */
export type VendedToken = (fresh: boolean) => Promise<string>;

/** By the family of the table's location; null: the catalog says nothing. */
export type VendedStore =
  | {
      readonly family: "s3";
      readonly keys: VendedKeys | RemoteSigner | null;
      readonly endpoint: string | null;
      readonly region: string | null;
      readonly pathStyle: boolean | null;
    }
  /** An OAuth2 token of Google, or a shared access signature of Azure. */
  | {
      readonly family: "gcs" | "azure";
      readonly token: VendedToken | null;
      readonly endpoint: string | null;
    };

/**
 * Settings with what a catalog hands out. Its credentials win over configured ones; endpoint and region
 * of the configuration stay, since the catalog may see the store under another name.
 */
export function withVended(options: StorageOptions, vended: VendedStore): StorageOptions {
  const { s3 } = options;
  if (vended.family === "s3") {
    const endpoint = s3.endpoint ?? vended.endpoint;
    return {
      ...options,
      s3: {
        ...s3,
        endpoint,
        region: s3.region ?? vended.region,
        credentials: vended.keys ?? s3.credentials,
        pathStyle: s3.endpoint === null ? (vended.pathStyle ?? endpoint !== null) : s3.pathStyle,
      },
    };
  }
  const credentials =
    vended.token === null ? null : ({ type: "vended", vended: vended.token } as const);
  const { [vended.family]: own } = options;
  return {
    ...options,
    [vended.family]: {
      ...own,
      endpoint: own.endpoint ?? vended.endpoint,
      credentials: credentials ?? own.credentials,
    },
  };
}
