/**
 * The configuration for eyes: logs, `check`, `/status`. Secrets are replaced, URLs lose their
 * credentials, and only keys that were set are shown.
 */
import type { AppConfig, Origins } from "./config.ts";
import { isSecret } from "./keys.ts";

/** What stands for a secret. */
export const REDACTED = "***";

/** Keys that were set, by scope (`process` or the pipeline's name), without secrets. */
export function redact(config: AppConfig): Record<string, Record<string, unknown>> {
  const scopes: Record<string, Record<string, unknown>> = {
    process: redactValues(config.values, config.origins),
  };
  for (const { name, values, origins } of config.pipelines) {
    scopes[name] = redactValues(values, origins);
  }
  return scopes;
}

function redactValues(
  values: { readonly [key: string]: unknown },
  origins: Origins,
): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const key of origins.keys()) shown[key] = redactValue(key, values[key]);
  return shown;
}

function redactValue(key: string, value: unknown): unknown {
  if (isSecret(key)) return value === "" ? "" : REDACTED;
  return typeof value === "string" ? redactUrl(value) : value;
}

/** A URL without its user information and query. A database's password may hold a raw / or @. */
export function redactUrl(text: string): string {
  return text
    .replace(/^(postgres(?:ql)?:\/\/).*@/is, `$1${REDACTED}@`)
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, `$1${REDACTED}@`)
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^?]*)\?.*$/i, `$1?${REDACTED}`);
}
