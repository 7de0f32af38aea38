/**
 * What Google Cloud Storage's answers mean: our kinds of error, in one sentence each that says what,
 * where, with which credentials and what is needed.
 */
import { AppError, fail } from "#base/errors.ts";
import type { ByteAnswer } from "#base/http.ts";
import { type Json, parseJson } from "#base/json.ts";

/** Where a call goes, for its errors. */
export type GcsTarget = {
  /** What is done: it also names the permission that it needs. */
  readonly operation: "create" | "get" | "list" | "delete" | "fresh credentials";
  readonly bucket: string;
  readonly key: string;
};

/** An answer that is no success. */
export class GcsRefusal extends Error {
  readonly status: number;
  /** The reason's name as the store gives it, `rateLimitExceeded`; else empty. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.name = "GcsRefusal";
    this.status = status;
    this.reason = reason;
  }
}

/** Reasons of a 403 that passes by itself. */
const THROTTLED = new Set(["rateLimitExceeded", "userRateLimitExceeded", "backendError"]);

/** The refusal that an answer is. */
export function refusalOf({ status, body }: ByteAnswer): GcsRefusal {
  const text = body.toString("utf8");
  const { error } = membersOf(parsed(text));
  const { errors, message } = membersOf(error);
  const [first] = Array.isArray(errors) ? errors : [];
  const { reason } = membersOf(first);
  const words = typeof message === "string" ? message : text.slice(0, 200);
  return new GcsRefusal(status, typeof reason === "string" ? reason : "", words);
}

function parsed(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}

/** What an answer says of an object, whose size it has to say. Throws for one that is not the API's: a proxy may have given it. */
export function objectIn({ body }: ByteAnswer): Json {
  const resource = parsed(body.toString("utf8"));
  if (typeof membersOf(resource)["size"] === "string") return resource;
  throw notOfTheApi();
}

/** A page of a listing, which says that it is one: that of no objects has nothing else. Throws as {@link objectIn}. */
export function listingIn({ body }: ByteAnswer): Json {
  const page = parsed(body.toString("utf8"));
  if (membersOf(page)["kind"] === "storage#objects") return page;
  throw notOfTheApi();
}

function notOfTheApi(): GcsRefusal {
  return new GcsRefusal(0, "", "the answer is not the API's");
}

/** The members of a JSON object; none of anything else. */
export function membersOf(value: Json | undefined): { readonly [key: string]: Json | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

/**
 * What a thrown value means.
 * @param who the credentials of the request, for the sentence
 */
export function gcsError(error: unknown, target: GcsTarget, who: string): AppError {
  const status = error instanceof GcsRefusal ? error.status : 0;
  const reason = error instanceof GcsRefusal ? error.reason : "";
  const context = { ...target, status, code: reason };
  const where = whereOf(target);
  const { bucket, key, operation } = target;
  if (status === 401) {
    const sentence = `Google Cloud Storage refused ${where}: the credentials are wrong or have expired: ${who}`;
    return fail("storage_refused", sentence, context, error);
  }
  if (status === 403 && !THROTTLED.has(reason)) {
    const needed = `storage.objects.${operation} on bucket ${bucket} is needed by ${who}`;
    const sentence = `Google Cloud Storage refused ${where} (${reason || status}): the permission ${needed}`;
    return fail("storage_refused", sentence, context, error);
  }
  if (status === 404) {
    const isBucket =
      operation === "create" || operation === "list" || saysBucket(error) || key === "";
    const sentence = isBucket
      ? `The bucket ${bucket} does not exist`
      : `gs://${bucket}/${key} does not exist`;
    return fail("storage_missing", sentence, context, error);
  }
  if (status === 416 || reason === "invalidCrc32c" || reason === "checksumMismatch")
    return fail("storage_corrupt", `${where} was short or altered (${status})`, context, error);
  if (status >= 400 && status < 500 && !isPassing(status, reason)) {
    const sentence = `Google Cloud Storage refused ${where} (${status} ${reason})`;
    return fail("storage_refused", sentence, context, error);
  }
  return fail("storage_unreachable", `Google Cloud Storage did not do ${where}`, context, error);
}

function saysBucket(error: unknown): boolean {
  return error instanceof Error && /bucket does not exist/i.test(error.message);
}

/** 4xx answers that may be another one next time. 410: the upload's session ended. */
function isPassing(status: number, reason: string): boolean {
  return [408, 410, 429].includes(status) || THROTTLED.has(reason);
}

/** True for a refusal that other credentials, or the same a moment later, may not meet. */
export function isGcsAccessRefusal(error: unknown): boolean {
  if (!(error instanceof AppError) || error.kind !== "storage_refused") return false;
  return error.context["status"] === 401 || error.context["status"] === 403;
}

/** `create gs://bucket/key`. */
export function whereOf({ operation, bucket, key }: GcsTarget): string {
  return `${operation} on gs://${bucket}/${key}`;
}
