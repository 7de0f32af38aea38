/**
 * The credentials of a client: who we are, where that came from, and asking for it anew.
 */
import type { S3 } from "@aws-sdk/client-s3";
import { AppError, describe, fail } from "#base/errors.ts";

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

/** The credentials of one client. */
export interface S3Credentials {
  /** `access key AKIA...WXYZ from the AWS profile`; never a secret. */
  describe(): Promise<string>;
  /**
   * Asks the provider chain anew, once for all who wait; keys of the configuration stay as they are.
   * Throws `storage_unreachable` when the chain has none now, but had some before.
   */
  refresh(): Promise<void>;
  /** Says that a request with them was answered. */
  worked(): void;
}

/** @param isConfigured true for keys of the configuration, false for the provider chain's */
export function s3Credentials(client: S3, isConfigured: boolean): S3Credentials {
  let hasWorked = false;
  let refreshing: Promise<void> | null = null;
  const refresh = async (): Promise<void> => {
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
    describe: () => who(client, isConfigured),
    refresh: async () => {
      if (isConfigured) return;
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

async function who(client: S3, isConfigured: boolean): Promise<string> {
  if (isConfigured) {
    const { accessKeyId } = await client.config.credentials();
    return `access key ${short(accessKeyId)} from storage.s3.access_key_id`;
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
