/**
 * What a REST catalog's answer about a table says of its store: settings, and credentials that it lends
 * (the keys of Iceberg's `S3FileIO`, `GCSFileIO` and `ADLSFileIO`), or where it signs requests itself.
 */
import { type AppError, fail } from "#base/errors.ts";
import type { Json } from "#base/json.ts";
import { azureAddress, schemeOf } from "#storage/location.ts";
import { familyOf, isStoreScheme } from "#storage/open.ts";
import type { S3Keys } from "#storage/s3Credentials.ts";
import type { SignedRequest, UnsignedRequest } from "#storage/s3Signer.ts";
import type { VendedStore } from "#storage/vended.ts";
import { membersOf } from "./session.ts";

/** Where a catalog signs requests to S3: below its own address unless `uri` says another. */
export interface SignerAddress {
  readonly uri: string | null;
  readonly endpoint: string;
}

/** Lent credentials: the keys of S3, a token of Google, a shared access signature of Azure, or signatures. */
export type LentCredentials =
  | { readonly keys: S3Keys }
  | { readonly token: string }
  | { readonly signer: SignerAddress };

/** What of an answer is used. */
export interface StoreUses {
  readonly vendedCredentials: boolean;
  readonly remoteSigning: boolean;
}

/** What an answer says. */
export interface StoreAnswer {
  readonly family: VendedStore["family"];
  readonly endpoint: string | null;
  readonly region: string | null;
  readonly pathStyle: boolean | null;
  /** Null: none are lent. */
  readonly lent: {
    readonly credentials: LentCredentials;
    /** Ms since epoch; null: not known. */
    readonly expiresMs: number | null;
  } | null;
}

type Config = Readonly<Record<string, string>>;

/**
 * What the answer says of the store of `location`; null for a store that no catalog has a word on.
 * @param uses what the answer offers besides is not used
 */
export function storeAnswerOf(location: string, answer: Json, uses: StoreUses): StoreAnswer | null {
  if (!isStoreScheme(schemeOf(location))) return null;
  const family = familyOf(location);
  const config = configFor(location, answer);
  const lent = (credentials: LentCredentials | null, end: string | undefined) =>
    credentials === null ? null : { credentials, expiresMs: endOf(end) };
  const { vendedCredentials } = uses;
  const tokenOf = (token: string | undefined) => (vendedCredentials ? tokenIn(token) : null);
  const silent = { endpoint: null, region: null, pathStyle: null };
  switch (family) {
    case "local":
      return null;
    case "s3":
      return {
        family,
        endpoint: config["s3.endpoint"] ?? null,
        region: config["client.region"] ?? config["s3.region"] ?? null,
        pathStyle: booleanIn(config["s3.path-style-access"]),
        lent:
          lent(
            vendedCredentials ? s3KeysIn(config) : null,
            config["s3.session-token-expires-at-ms"] ?? config["expiration-time"],
          ) ?? lent(uses.remoteSigning ? signerIn(config) : null, undefined),
      };
    case "gcs":
      return {
        ...silent,
        family,
        endpoint: config["gcs.service.host"] ?? null,
        lent: lent(tokenOf(config["gcs.oauth2.token"]), config["gcs.oauth2.token-expires-at"]),
      };
    case "azure":
      return {
        ...silent,
        family,
        lent: lent(
          tokenOf(ofAccount(config, "adls.sas-token", location)),
          ofAccount(config, "adls.sas-token-expires-at-ms", location),
        ),
      };
  }
}

/**
 * What a store is opened with.
 * @param credentials asked before each request, where any are lent
 * @param sign asks a catalog for a signature
 */
export function vendedStoreOf(
  { family, endpoint, region, pathStyle, lent: first }: StoreAnswer,
  credentials: (fresh: boolean) => Promise<LentCredentials>,
  sign: (signer: SignerAddress, request: UnsignedRequest) => Promise<SignedRequest>,
): VendedStore {
  if (family !== "s3") {
    const token =
      first === null
        ? null
        : async (fresh: boolean): Promise<string> => {
            const lent = await credentials(fresh);
            if ("token" in lent) return lent.token;
            throw changed();
          };
    return { family, endpoint, token };
  }
  if (first !== null && "signer" in first.credentials) {
    const signer = async (request: UnsignedRequest): Promise<SignedRequest> => {
      const lent = await credentials(false);
      if ("signer" in lent) return sign(lent.signer, request);
      throw changed();
    };
    const keys = { sign: signer, renew: () => credentials(true) };
    return { family, endpoint, region, pathStyle, keys };
  }
  const keys =
    first === null
      ? null
      : {
          vended: async (fresh: boolean): Promise<S3Keys> => {
            const lent = await credentials(fresh);
            if ("keys" in lent) return lent.keys;
            throw changed();
          },
        };
  return { family, endpoint, region, pathStyle, keys };
}

/** The table has moved to another kind of store meanwhile: who holds it loads it again. */
function changed(): AppError {
  return fail("storage_refused", "The catalog lends credentials for another store than before");
}

/** `config`, under the credentials whose prefix fits the location best. */
function configFor(location: string, answer: Json): Config {
  const { config, "storage-credentials": listed } = membersOf(answer);
  const credentials = (Array.isArray(listed) ? listed : [])
    .map(membersOf)
    .filter(({ prefix }) => typeof prefix === "string" && location.startsWith(prefix))
    .sort((a, b) => String(a["prefix"]).length - String(b["prefix"]).length);
  const all = [config, ...credentials.map((each) => each["config"])].map(membersOf);
  const merged = Object.entries(Object.assign({}, ...all) as Record<string, Json>);
  return Object.fromEntries(merged.map(([key, value]) => [key, String(value)]));
}

function s3KeysIn(config: Config): LentCredentials | null {
  const accessKeyId = config["s3.access-key-id"];
  const secretAccessKey = config["s3.secret-access-key"];
  if (accessKeyId === undefined || secretAccessKey === undefined) return null;
  return {
    keys: { accessKeyId, secretAccessKey, sessionToken: config["s3.session-token"] ?? null },
  };
}

function signerIn(config: Config): LentCredentials | null {
  const enabled = config["s3.remote-signing-enabled"];
  if (enabled !== "true") return null;
  const uri = config["signer.uri"] ?? config["s3.signer.uri"] ?? null;
  const endpoint = config["signer.endpoint"] ?? config["s3.signer.endpoint"] ?? "v1/aws/s3/sign";
  return { signer: { uri, endpoint } };
}

function tokenIn(token: string | undefined): LentCredentials | null {
  return token === undefined || token === "" ? null : { token };
}

/** Catalogs write Azure's keys for an account by its host, by its name, or alone. */
function ofAccount(config: Config, key: string, location: string): string | undefined {
  const { account, suffix } = azureAddress(location);
  const hosts = [`${account}.dfs.${suffix}`, `${account}.blob.${suffix}`, account];
  const found = hosts.find((host) => config[`${key}.${host}`] !== undefined);
  return config[found === undefined ? key : `${key}.${found}`];
}

function endOf(text: string | undefined): number | null {
  const end = Number(text ?? 0);
  return end > 0 ? end : null;
}

function booleanIn(text: string | undefined): boolean | null {
  return text === undefined ? null : text === "true";
}
