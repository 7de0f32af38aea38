/**
 * Object locations, as they stand in Iceberg metadata, taken apart. Text is never percent-decoded:
 * Iceberg's locations are plain text, not URLs.
 */
import { fail } from "#base/errors.ts";

/** `file:`, then nothing, or an empty host. */
const LOCAL = /^(?:file:(?:\/\/)?)?(?=\/(?!\/))/;
const S3 = /^(?:s3|s3a|s3n):\/\/([^/]+)\/?(.*)$/s;

/** The scheme of a location in lower case; `file` when it has none. */
export function schemeOf(location: string): string {
  return /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(location)?.[1]?.toLowerCase() ?? "file";
}

/**
 * A location as text that is equal for two spellings of one object: `file:` or none, `s3`, `s3a` or
 * `s3n`, `abfs` or `abfss`. For comparing only.
 */
export function comparable(location: string): string {
  const scheme = schemeOf(location);
  if (scheme === "file") return location.replace(/^file:/i, "").replace(/\/{2,}/g, "/");
  const rest = location.slice(scheme.length);
  return `${SAME_SCHEMES[scheme] ?? scheme}${rest}`;
}

const SAME_SCHEMES: Readonly<Record<string, string>> = { s3a: "s3", s3n: "s3", abfss: "abfs" };

/** The absolute path of `/abs`, `file:/abs` or `file:///abs`. Throws `usage` for others. */
export function localPath(location: string): string {
  const match = LOCAL.exec(location);
  if (match !== null) return location.slice(match[0].length);
  throw fail("usage", `${location} is not an absolute path of this machine`, { location });
}

/** A folder as a path and as the location that its objects' locations begin with, both with `/`. */
export function localPrefix(prefix: string): { path: string; location: string } {
  const location = prefix.endsWith("/") ? prefix : `${prefix}/`;
  return { path: localPath(location), location };
}

/** Bucket and key of `s3://bucket/key` (also `s3a`, `s3n`). Throws `usage` for others. */
export function s3Address(location: string): { bucket: string; key: string } {
  const match = S3.exec(location);
  if (match !== null) return { bucket: match[1] ?? "", key: match[2] ?? "" };
  throw fail("usage", `${location} is not of the form s3://bucket/key`, { location });
}

const GCS = /^gs:\/\/([^/]+)\/?(.*)$/s;

/** Bucket and key of `gs://bucket/key`. Throws `usage` for others. */
export function gcsAddress(location: string): { bucket: string; key: string } {
  const match = GCS.exec(location);
  if (match !== null) return { bucket: match[1] ?? "", key: match[2] ?? "" };
  throw fail("usage", `${location} is not of the form gs://bucket/key`, { location });
}

/** `abfss://container@account.dfs.core.windows.net/key`, also abfs, wasb, wasbs and the blob host. */
const AZURE = /^(?:abfss?|wasbs?):\/\/([^/@]+)@([^/.]+)\.(?:dfs|blob)\.([^/]+)\/?(.*)$/s;

/** An object of Azure: its account's name, the suffix of the cloud's hosts, container and key. */
export interface AzureAddress {
  readonly account: string;
  /** `core.windows.net`, or another cloud's. */
  readonly suffix: string;
  readonly container: string;
  readonly key: string;
}

/** Takes an Azure location apart. Throws `usage` for others. */
export function azureAddress(location: string): AzureAddress {
  const match = AZURE.exec(location);
  if (match !== null) {
    const [, container = "", account = "", suffix = "", key = ""] = match;
    return { account, suffix, container, key };
  }
  const form = "abfss://container@account.dfs.core.windows.net/key";
  throw fail("usage", `${location} is not of the form ${form}`, { location });
}
