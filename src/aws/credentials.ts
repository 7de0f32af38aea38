/**
 * Credentials of AWS for what is no store: the provider chain (environment, profile, web identity,
 * container, instance metadata), or a role that its identity assumes. The door to the SDK's STS.
 *
 * Keys of a role end after an hour at the latest; they are asked for anew five minutes before.
 */

import { AssumeRoleCommand, STSClient, type STSClientConfig } from "@aws-sdk/client-sts";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import type { Clock } from "#base/clock.ts";
import { describe, fail } from "#base/errors.ts";

/** Keys of an identity. */
export interface AwsIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Null or absent: they last. */
  readonly expiration?: Date;
}

/** Whose credentials. */
export interface AwsCredentialOptions {
  /** A role to assume with the chain's identity; null: that identity itself. */
  readonly roleArn: string | null;
  /** Where the role is asked for; null: as the environment and profile say. */
  readonly region: string | null;
}

/**
 * Answers keys that are good now, asked for once for all who wait.
 * @param fresh true: the last ones were refused, so others are wanted
 * Throws an `AppError` of the kind that `kinds` names: `refused` when there are none or the role may not be
 * assumed, `unreachable` when the service that gives them does not answer.
 */
export type AwsCredentials = (fresh?: boolean) => Promise<AwsIdentity>;

/** The kinds of error of the service that the keys are for. */
export interface CredentialErrorKinds {
  readonly refused: "catalog_refused" | "kafka_refused";
  readonly unreachable: "catalog_unreachable" | "kafka_unreachable";
}

/** What a source of credentials is built from. */
export interface AwsCredentialParts {
  readonly clock: Clock;
  /** Default: the provider chain of the SDK. */
  readonly chain?: (options: { readonly forceRefresh?: boolean }) => Promise<AwsIdentity>;
  /** Sends requests to STS in place of the network; tests only. */
  readonly stsHandler?: NonNullable<STSClientConfig["requestHandler"]>;
}

/** Name of our sessions in the account's audit log. */
const SESSION_NAME = "kafka-iceberg";
/** Keys that end sooner are renewed, ms. */
const LEFT_MS_MIN = 300_000;

/** Makes a source of credentials; nothing is asked yet. */
export function awsCredentials(
  options: AwsCredentialOptions,
  kinds: CredentialErrorKinds,
  parts: AwsCredentialParts,
): AwsCredentials {
  const { clock, chain = defaultProvider() } = parts;
  let held: AwsIdentity | null = null;
  let asking: Promise<AwsIdentity> | null = null;
  const ask = async (fresh: boolean): Promise<AwsIdentity> => {
    try {
      const identity = await chain(fresh ? { forceRefresh: true } : {});
      return options.roleArn === null ? identity : await assume(identity, options, parts);
    } catch (error) {
      throw credentialError(error, options.roleArn, kinds);
    }
  };
  return async (fresh = false) => {
    if (held !== null && !fresh && !isEnding(held, clock)) return held;
    asking ??= ask(fresh).finally(() => {
      asking = null;
    });
    held = await asking;
    return held;
  };
}

function isEnding({ expiration }: AwsIdentity, clock: Clock): boolean {
  return expiration !== undefined && expiration.getTime() - clock.nowMs() < LEFT_MS_MIN;
}

async function assume(
  credentials: AwsIdentity,
  { roleArn, region }: AwsCredentialOptions,
  { stsHandler }: AwsCredentialParts,
): Promise<AwsIdentity> {
  const client = new STSClient({
    credentials,
    ...(region === null ? {} : { region }),
    ...(stsHandler === undefined ? {} : { requestHandler: stsHandler }),
  });
  try {
    const request = { RoleArn: roleArn ?? "", RoleSessionName: SESSION_NAME };
    const { Credentials: given } = await client.send(new AssumeRoleCommand(request));
    return {
      accessKeyId: given?.AccessKeyId ?? "",
      secretAccessKey: given?.SecretAccessKey ?? "",
      ...(given?.SessionToken === undefined ? {} : { sessionToken: given.SessionToken }),
      ...(given?.Expiration === undefined ? {} : { expiration: given.Expiration }),
    };
  } finally {
    client.destroy();
  }
}

function credentialError(error: unknown, roleArn: string | null, kinds: CredentialErrorKinds) {
  const status = statusOf(error);
  const isRefusal = status >= 400 && status < 500 && status !== 429;
  const isMissing = error instanceof Error && error.name === "CredentialsProviderError";
  const kind = isRefusal || isMissing ? kinds.refused : kinds.unreachable;
  if (isMissing) {
    const sentence =
      "No AWS credentials were found in the environment, a profile, a web identity, the container or " +
      `the instance metadata: ${describe(error)}`;
    return fail(kind, sentence, {}, error);
  }
  const what =
    roleArn === null ? "AWS gives no credentials" : `The role ${roleArn} was not assumed`;
  return fail(kind, `${what}: ${describe(error)}`, {}, error);
}

function statusOf(error: unknown): number {
  const { $metadata } = (error ?? {}) as { $metadata?: { httpStatusCode?: number } };
  return $metadata?.httpStatusCode ?? 0;
}
