/**
 * The credentials of a client: who we are, where that came from, and asking for it anew.
 */
import type { S3, S3ClientConfig } from "@aws-sdk/client-s3";
import { AppError, describe, fail } from "#base/errors.ts";
import type { RemoteSigner } from "./s3Signer.ts";

/** The SDK's names of sources (`$source`), in the words of the people who set them. */
const SOURCES: readonly (readonly [string, string])[] = [
  ["CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN", "the web identity token (AWS_WEB_IDENTITY_TOKEN_FILE)"],
  ["CREDENTIALS_STS_ASSUME_ROLE_WEB_ID", "the web identity token (AWS_WEB_IDENTITY_TOKEN_FILE)"],
  ["CREDENTIALS_ENV_VARS", "the environment (AWS_ACCESS_KEY_ID)"],
  ["CREDENTIALS_HTTP", "the container's credential endpoint"],
  ["CREDENTIALS_IMDS", "the instance metadata service"],
  ["CREDENTIALS_SSO", "AWS single sign-on"],
  ["CREDENTIALS_PROCESS", "the credential process of the AWS profile"],
  ["CREDENTIALS_PROFILE", "the AWS profile"],
];

const CHAIN =
  "the AWS provider chain (environment, profile, web identity, container, instance metadata)";

/** Keys of S3. */
export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Null: keys that last. */
  readonly sessionToken: string | null;
}

/** Keys that a catalog hands out for one table, and takes back after a while. */
export interface VendedKeys {
  /**
   * Keys that are good now, asked for before each request.
   * @param fresh true: the last ones were refused, so others are wanted
   * Throws what loading the table throws.
   */
  readonly vended: (fresh: boolean) => Promise<S3Keys>;
}

/** What the SDK's client takes: keys, or a function that is asked before each request. */
export function credentialConfig(
  credentials: S3Keys | VendedKeys,
): NonNullable<S3ClientConfig["credentials"]> {
  if (!("vended" in credentials)) return identityOf(credentials);
  return async () => ({
    ...identityOf(await credentials.vended(false)),
    // Over already, so that the SDK keeps nothing and asks again: whoever vends knows the time.
    expiration: new Date(0),
  });
}

function identityOf({ sessionToken, ...keys }: S3Keys): {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
} {
  return sessionToken === null ? keys : { ...keys, sessionToken };
}

/** The credentials of one client. */
export interface S3Credentials {
  /** `access key AKIA...WXYZ from the AWS profile`; never a secret. */
  describe(): Promise<string>;
  /**
   * Asks the provider chain or the catalog anew, once for all who wait; keys of the configuration
   * stay as they are.
   * Throws `storage_unreachable` when the chain has none now, but had some before.
   */
  refresh(): Promise<void>;
  /** Says that a request with them was answered. */
  worked(): void;
}

/** @param given null: the provider chain's */
export function s3Credentials(
  client: S3,
  given: S3Keys | VendedKeys | RemoteSigner | null,
): S3Credentials {
  let hasWorked = false;
  let refreshing: Promise<void> | null = null;
  const refresh = async (): Promise<void> => {
    if (given !== null) {
      if ("vended" in given) await given.vended(true);
      if ("sign" in given) await given.renew();
      return;
    }
    try {
      await client.config.credentials({ forceRefresh: true });
    } catch (error) {
      // The metadata service or STS is away: passing, as their answers before showed.
      if (!hasWorked) throw error;
      const sentence = `No fresh credentials for S3 from ${CHAIN}: ${describe(error)}`;
      throw fail("storage_unreachable", sentence, {}, error);
    }
  };
  return {
    describe: () => who(client, given),
    refresh: async () => {
      refreshing ??= refresh().finally(() => {
        refreshing = null;
      });
      await refreshing;
    },
    worked: () => {
      hasWorked = true;
    },
  };
}

async function who(client: S3, given: S3Keys | VendedKeys | RemoteSigner | null): Promise<string> {
  if (given !== null && "sign" in given) return "signatures of the catalog";
  if (given !== null && "vended" in given) return "credentials that the catalog handed out";
  if (given !== null) {
    return `access key ${short(given.accessKeyId)} from storage.s3.access_key_id`;
  }
  try {
    const identity: { accessKeyId: string; $source?: object } = await client.config.credentials();
    const names = Object.keys(identity.$source ?? {});
    const source = SOURCES.find(([prefix]) => names.some((name) => name.startsWith(prefix)));
    return `access key ${short(identity.accessKeyId)} from ${source?.[1] ?? CHAIN}`;
  } catch (error) {
    if (error instanceof AppError) throw error;
    return CHAIN;
  }
}

/** Enough to find a key among one's own. */
function short(accessKeyId: string): string {
  return accessKeyId.length <= 8
    ? accessKeyId
    : `${accessKeyId.slice(0, 4)}...${accessKeyId.slice(-4)}`;
}
