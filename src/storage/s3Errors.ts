/**
 * What S3's answers mean: our kinds of error, in one sentence each that says what, where, with which
 * credentials and what is needed.
 */
import { AppError, fail } from "#base/errors.ts";

/** Where a call goes, for its errors. */
export type S3Target = {
  /** The S3 operation, "PutObject"; it also names the permission that it needs. */
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
};

/** The credentials themselves are refused, whatever they would be allowed; some with status 400. */
const WRONG_CREDENTIALS = new Set([
  "ExpiredToken",
  "InvalidToken",
  "TokenRefreshRequired",
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "InvalidSecurity",
]);
const WRONG_CLOCK = new Set(["RequestTimeTooSkewed", "RequestExpired"]);
/** The key, or a part of it, is longer than the store takes. */
const LONG_KEY = new Set(["KeyTooLongError", "KeyTooLong", "XMinioInvalidObjectName"]);
/** The body did not arrive as it was sent; nothing was stored. */
const ALTERED = new Set([
  "BadDigest",
  "XAmzContentSHA256Mismatch",
  "InvalidDigest",
  "IncompleteBody",
]);
const FULL = new Set(["XMinioStorageFull", "QuotaExceeded", "InsufficientCapacity"]);

/** The HTTP status and S3 code of an error of a call. */
export function s3Status(error: AppError): { status: number; code: string } {
  const { status, code } = error.context;
  return { status: typeof status === "number" ? status : 0, code: String(code ?? "") };
}

/**
 * What an answer of S3 means.
 * @param who the credentials of the request, for the sentence
 */
export function s3Error(error: unknown, target: S3Target, who: string): AppError {
  const { operation, bucket, key } = target;
  const { status, code } = answerOf(error);
  const context = { operation, bucket, key, status, code };
  const where = whereOf(target);
  if (status === 0 && error instanceof Error && /^Region is missing/.test(error.message))
    return fail("usage", NO_REGION, context, error);
  if (code === "CredentialsProviderError")
    return fail(
      "storage_refused",
      `No AWS credentials were found for S3 in ${who}`,
      context,
      error,
    );
  if (isAccess(status, code)) {
    const sentence = `S3 refused ${where} (${code}): ${reasonOf(code, target, who)}`;
    return fail("storage_refused", sentence, context, error);
  }
  if (code === "NoSuchBucket")
    return fail("storage_missing", `The bucket ${bucket} does not exist`, context, error);
  if (status === 404)
    return fail("storage_missing", `s3://${bucket}/${key} does not exist`, context, error);
  if (ALTERED.has(code) || status === 416)
    return fail("storage_corrupt", `${where} was short or altered (${code})`, context, error);
  if (status === 507 || FULL.has(code))
    return fail("storage_full", `S3 has no room for ${where}`, context, error);
  if (LONG_KEY.has(code))
    return fail(
      "storage_refused",
      `S3 refused ${where} (${code}): ${LONG_KEY_ADVICE}`,
      context,
      error,
    );
  const isOurFault = status >= 400 && status < 500 && !isPassing(status, code);
  if (isOurFault || (status >= 300 && status < 400))
    return fail("storage_refused", `S3 refused ${where} (${status} ${code})`, context, error);
  return fail("storage_unreachable", `S3 did not do ${where}`, context, error);
}

const NO_REGION =
  "S3 needs a region: set storage.s3.region or AWS_REGION, or the region of the AWS profile";

const LONG_KEY_ADVICE =
  "a key has at most 1,024 bytes, and some stores take 255 for each part; a shorter warehouse path, " +
  "namespace or table name leaves more of them";

/** True for a refusal that other credentials, or the same a moment later, may not meet. */
export function isAccessRefusal(error: unknown): boolean {
  if (!(error instanceof AppError) || error.kind !== "storage_refused") return false;
  const { status, code } = s3Status(error);
  return isAccess(status, code);
}

function isAccess(status: number, code: string): boolean {
  return status === 401 || status === 403 || WRONG_CREDENTIALS.has(code);
}

/** Why a request was refused, and for whom. */
function reasonOf(code: string, { operation, bucket }: S3Target, who: string): string {
  if (WRONG_CREDENTIALS.has(code)) return `the credentials are wrong or have expired: ${who}`;
  if (WRONG_CLOCK.has(code)) return "the clock of this machine is not the store's";
  return `the permission s3:${permissionOf(operation)} on bucket ${bucket} is needed by ${who}`;
}

/** `PutObject on s3://bucket/key`. */
export function whereOf({ operation, bucket, key }: S3Target): string {
  return `${operation} on s3://${bucket}/${key}`;
}

/** 4xx answers that may be another one next time. */
function isPassing(status: number, code: string): boolean {
  return status === 408 || status === 409 || status === 429 || code === "RequestTimeout";
}

function permissionOf(operation: string): string {
  switch (operation) {
    case "HeadObject":
      return "GetObject";
    case "DeleteObjects":
      return "DeleteObject";
    case "ListObjectsV2":
      return "ListBucket";
    case "CreateMultipartUpload":
    case "UploadPart":
    case "CompleteMultipartUpload":
      return "PutObject";
    case "ListMultipartUploads":
      return "ListBucketMultipartUploads";
    default:
      return operation;
  }
}

/** Status and code of what the SDK throws; 0 and a name when there was no answer. */
export function answerOf(error: unknown): { status: number; code: string } {
  if (!(error instanceof Error)) return { status: 0, code: "" };
  const { $metadata, name } = error as Error & { $metadata?: { httpStatusCode?: number } };
  return { status: $metadata?.httpStatusCode ?? 0, code: name };
}
