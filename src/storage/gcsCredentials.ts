/**
 * The door to google-auth-library: access tokens for Google Cloud Storage, from a key file, from the
 * application default credentials (environment, gcloud's file, workload identity, metadata server), or
 * from a catalog that hands them out. The library is loaded with the first token that it must get.
 */
import type { GoogleAuth } from "google-auth-library";
import { describe, fail } from "#base/errors.ts";
import type { VendedToken } from "./vended.ts";

/** Where tokens come from. */
export type GcsCredentials =
  /** Requests without a token: emulators, public buckets. */
  | { readonly type: "none" }
  /** A null path: the application default credentials. */
  | { readonly type: "google"; readonly keyFile: string | null }
  | { readonly type: "vended"; readonly vended: VendedToken };

const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";

/** The tokens of one client. */
export interface GcsTokens {
  /** The token for a request that is made now; null: none is needed. Throws `storage_refused`, `storage_unreachable`. */
  token(): Promise<string | null>;
  /** Gets another one. */
  refresh(): Promise<void>;
  /** Who we are and where that came from; never a secret. */
  readonly who: string;
}

/** Opens the source of tokens; nothing is asked for yet. */
export function gcsTokens(credentials: GcsCredentials): GcsTokens {
  switch (credentials.type) {
    case "none":
      return { token: async () => null, refresh: async () => undefined, who: "nobody" };
    case "vended":
      return {
        token: () => credentials.vended(false),
        refresh: async () => void (await credentials.vended(true)),
        who: "credentials that the catalog handed out",
      };
    case "google":
      return googleTokens(credentials.keyFile);
  }
}

function googleTokens(keyFile: string | null): GcsTokens {
  let auth: Promise<GoogleAuth> | null = null;
  const who =
    keyFile === null
      ? "the application default credentials"
      : `the credentials in ${keyFile} (storage.gcs.key_file)`;
  const open = async (): Promise<GoogleAuth> => {
    const { GoogleAuth: Auth } = await import("google-auth-library");
    return new Auth({ scopes: SCOPE, ...(keyFile === null ? {} : { keyFilename: keyFile }) });
  };
  return {
    who,
    token: async () => {
      try {
        auth ??= open();
        const token = await (await auth).getAccessToken();
        if (typeof token === "string" && token !== "") return token;
      } catch (error) {
        throw tokenError(error, who);
      }
      throw tokenError(new Error("the answer held no token"), who);
    },
    // The library keeps a token until it ends; a new client keeps none.
    refresh: async () => {
      auth = null;
    },
  };
}

/** The token endpoint's refusals stop us; what did not answer may answer next time. */
function tokenError(error: unknown, who: string): Error {
  const { status, response } = error as { status?: unknown; response?: { status?: unknown } };
  const code = Number(response?.status ?? status ?? 0);
  const isNone = /could not load the default credentials|ENOENT|not a file|unable to read/i.test(
    describe(error),
  );
  const isRefused = isNone || (code >= 400 && code < 500 && code !== 429 && code !== 408);
  const kind = isRefused ? "storage_refused" : "storage_unreachable";
  const sentence = `No access token for Google Cloud Storage from ${who}: ${describe(error)}`;
  return fail(kind, sentence, { code }, error);
}
