/**
 * What Azure Blob Storage's answers mean: our kinds of error, in one sentence each that says what,
 * where, with which credentials and what is needed.
 */
import { AppError, fail } from "#base/errors.ts";

/** Where a call goes, for its errors. */
export type AzureTarget = {
  /** What is done: it also names the permission that it needs. */
  readonly operation: "write" | "read" | "list" | "delete" | "fresh credentials";
  readonly account: string;
  readonly container: string;
  readonly key: string;
};

/** Codes of 403 that no permission would cure: the credentials themselves are wrong, or over. */
const WRONG_CREDENTIALS = new Set([
  "AuthenticationFailed",
  "InvalidAuthenticationInfo",
  "ExpiredAuthenticationToken",
]);
/** The body did not arrive as it was sent; nothing was stored. */
const ALTERED = new Set(["Md5Mismatch", "Crc64Mismatch", "InvalidRange", "InvalidBlockList"]);
/** 4xx that may be another answer next time. */
const PASSING = new Set(["ContainerBeingDeleted", "OperationTimedOut", "ServerBusy"]);

/** Status and code of what the SDK throws; 0 and a name when there was no answer. */
export function answerOf(error: unknown): { status: number; code: string } {
  const { statusCode, code, details } = error as {
    readonly statusCode?: unknown;
    readonly code?: unknown;
    readonly details?: { readonly errorCode?: unknown };
  };
  const named = code ?? details?.errorCode;
  return {
    status: typeof statusCode === "number" ? statusCode : 0,
    code: typeof named === "string" ? named : "",
  };
}

/**
 * What a thrown value means.
 * @param who the credentials of the request, for the sentence
 */
export function azureError(error: unknown, target: AzureTarget, who: string): AppError {
  const { status, code } = answerOf(error);
  const context = { ...target, status, code };
  const { account, container, key } = target;
  const where = whereOf(target);
  if (status === 401 || status === 403) {
    const sentence = `Azure refused ${where} (${code || status}): ${reasonOf(status, code, target, who)}`;
    return fail("storage_refused", sentence, context, error);
  }
  if (code === "ContainerNotFound") {
    const sentence = `The container ${container} of account ${account} does not exist`;
    return fail("storage_missing", sentence, context, error);
  }
  if (status === 404)
    return fail("storage_missing", `${placeOf(target)} does not exist`, context, error);
  if (status === 416 || ALTERED.has(code)) {
    const sentence = `${where} was short or altered (${code || status})`;
    return fail("storage_corrupt", sentence, context, error);
  }
  const isPassing = status === 408 || status === 429 || PASSING.has(code);
  if (status >= 300 && status < 500 && !isPassing) {
    const advice = key.length > KEY_LENGTH_MAX ? ": a name has at most 1,024 characters" : "";
    const sentence = `Azure refused ${where} (${status} ${code})${advice}`;
    return fail("storage_refused", sentence, context, error);
  }
  return fail("storage_unreachable", `Azure did not do ${where}`, context, error);
}

const KEY_LENGTH_MAX = 1024;

/** Why a request was refused, and for whom. */
function reasonOf(status: number, code: string, target: AzureTarget, who: string): string {
  if (status === 401 || WRONG_CREDENTIALS.has(code))
    return `the credentials are wrong or have expired: ${who}`;
  const { operation, container } = target;
  return `the permission to ${operation} blobs in container ${container} is needed by ${who}`;
}

/** True for a refusal that other credentials, or the same a moment later, may not meet. */
export function isAzureAccessRefusal(error: unknown): boolean {
  if (!(error instanceof AppError) || error.kind !== "storage_refused") return false;
  return error.context["status"] === 401 || error.context["status"] === 403;
}

/** `write abfss://container@account/key`. */
export function whereOf(target: AzureTarget): string {
  return `${target.operation} on ${placeOf(target)}`;
}

function placeOf({ account, container, key }: AzureTarget): string {
  return `container ${container} of account ${account}${key === "" ? "" : `, ${key}`}`;
}
