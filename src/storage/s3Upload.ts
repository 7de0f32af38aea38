/**
 * One object on its way to S3: a single conditional PUT of one or two parts, a multipart upload with a
 * conditional completion once there is more. That takes two more requests and another hash, for a file of
 * 10 MB three times the CPU; so the first part waits for the second, for so many objects at once.
 *
 * Both carry `If-None-Match: *` and an id of this write as object metadata. When an answer was lost
 * and the repeated request is told that the name is taken, the id says whose write won; so a
 * conditional write can be repeated and its answer is still definite (decision 0061).
 *
 * Each body goes with its SHA-256, which the store checks; what the store answers is compared with
 * ours, and where it answers none, the stored size is read back. Memory: four parts at most, which
 * serve later uploads as well.
 */

import type { Clock } from "#base/clock.ts";
import { AppError, fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { s3Address } from "./location.ts";
import { PartBuffer } from "./partBuffer.ts";
import { givePart, holdPart, letGoPart } from "./partMemory.ts";
import { BodyPieces, type S3Calls, type S3Parts } from "./s3Client.ts";
import { s3Status } from "./s3Errors.ts";
import type { StoredObject } from "./storage.ts";
import type { Upload } from "./upload.ts";

/** Object metadata that holds the id of the write. */
const WRITE_ID = "kafka-iceberg-write";
/** Bytes hashed between two turns of the event loop: about half a millisecond. */
const HASH_BYTES = 1024 * 1024;

interface Part {
  readonly number: number;
  readonly sha256: Buffer;
  readonly etag: string;
}

/** Streams one object. */
export class S3Upload implements Upload {
  readonly #calls: S3Calls;
  readonly #location: string;
  readonly #bucket: string;
  readonly #key: string;
  readonly #writeId: string;
  readonly #clock: Clock;
  readonly #parts: PartBuffer;
  /** The first part, while it waits for the second. */
  #held: Uint8Array | null = null;
  #uploadId: string | null = null;
  #partNumber = 0;
  #inFlight: Promise<Part>[] = [];
  readonly #stored: Part[] = [];

  constructor(location: string, calls: S3Calls, parts: S3Parts) {
    const { bucket, key } = s3Address(location);
    this.#location = location;
    this.#bucket = bucket;
    this.#key = key;
    this.#calls = calls;
    this.#clock = parts.clock;
    this.#parts = new PartBuffer(parts.clock);
    this.#writeId = parts.random.uuid();
  }

  get id(): string | null {
    return this.#uploadId;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#parts.add(chunk, () => this.#full());
  }

  async finish(sha256?: string): Promise<StoredObject | null> {
    const isMultipart = this.#uploadId !== null;
    const won = isMultipart ? await this.#complete() : await this.#putWhole(sha256);
    if (!won) return null;
    return { location: this.#location, bytes: this.#parts.bytes };
  }

  async discard(): Promise<void> {
    this.#parts.take();
    this.#takeHeld();
    await Promise.allSettled(this.#inFlight);
    if (this.#uploadId !== null) await abortUpload(this.#calls, this.#location, this.#uploadId);
    this.#uploadId = null;
  }

  /** There is more than the filled part. */
  async #full(): Promise<void> {
    if (this.#uploadId === null && this.#held === null && holdPart())
      this.#held = this.#parts.take();
    else await this.#ship();
  }

  #takeHeld(): Uint8Array[] {
    const held = this.#held;
    this.#held = null;
    if (held === null) return [];
    letGoPart();
    return [held];
  }

  /** Sends what is there; waits for the oldest part when too many are on their way. */
  async #ship(): Promise<void> {
    this.#uploadId ??= await this.#begin();
    for (const body of [...this.#takeHeld(), this.#parts.take()]) {
      const sha256 = await this.#hash([body]);
      const part = this.#sendPart(this.#uploadId, ++this.#partNumber, body, sha256);
      part.catch(() => undefined);
      this.#inFlight.push(part);
      await this.#settle(LIMITS.s3PartsInFlightMax - 1);
    }
  }

  async #settle(inFlightMax: number): Promise<void> {
    while (this.#inFlight.length > inFlightMax) {
      const [oldest, ...later] = this.#inFlight;
      if (oldest !== undefined) this.#stored.push(await oldest);
      this.#inFlight = later;
    }
  }

  async #begin(): Promise<string> {
    const input = {
      ...this.#objectFields(),
      ChecksumAlgorithm: "SHA256" as const,
    };
    const { UploadId } = await this.#call("CreateMultipartUpload", (abortSignal) =>
      this.#calls.client.createMultipartUpload(input, { abortSignal }),
    );
    if (UploadId !== undefined) return UploadId;
    throw fail("storage_unreachable", `S3 gave no upload id for ${this.#location}`);
  }

  async #sendPart(id: string, number: number, body: Uint8Array, sha256: Buffer): Promise<Part> {
    const checksum = sha256.toString("base64");
    const input = {
      Bucket: this.#bucket,
      Key: this.#key,
      UploadId: id,
      PartNumber: number,
      Body: body,
      ChecksumSHA256: checksum,
      ...this.#calls.customerKey,
    };
    const answer = await this.#send("UploadPart", [body], (abortSignal) =>
      this.#calls.client.uploadPart(input, { abortSignal }),
    );
    this.#compare("checksum", answer.ChecksumSHA256, checksum);
    return { number, sha256, etag: answer.ETag ?? "" };
  }

  async #putWhole(known: string | undefined): Promise<boolean> {
    const pieces = [...this.#takeHeld(), this.#parts.take()];
    const sha256 = known === undefined ? await this.#hash(pieces) : Buffer.from(known, "hex");
    const checksum = sha256.toString("base64");
    const input = {
      ...this.#objectFields(),
      Body: BodyPieces.of(pieces),
      ChecksumSHA256: checksum,
      IfNoneMatch: "*",
    };
    return this.#conditionally(checksum, () =>
      this.#send("PutObject", pieces, (abortSignal) =>
        this.#calls.client.putObject(input, { abortSignal }),
      ),
    );
  }

  async #complete(): Promise<boolean> {
    await this.#ship();
    await this.#settle(0);
    const digests = Buffer.concat(this.#stored.map((part) => part.sha256));
    const composite = new Bun.CryptoHasher("sha256").update(digests).digest("base64");
    const input = {
      Bucket: this.#bucket,
      Key: this.#key,
      UploadId: this.#uploadId ?? "",
      IfNoneMatch: "*",
      ...this.#calls.customerKey,
      MultipartUpload: {
        Parts: this.#stored.map((part) => ({
          PartNumber: part.number,
          ETag: part.etag,
          ChecksumSHA256: part.sha256.toString("base64"),
        })),
      },
    };
    const checksum = `${composite}-${this.#stored.length}`;
    return this.#conditionally(checksum, () =>
      this.#call("CompleteMultipartUpload", (abortSignal) =>
        this.#calls.client.completeMultipartUpload(input, { abortSignal }),
      ),
    );
  }

  /** True when our write has the name now, false when another's has. */
  async #conditionally(
    checksum: string,
    send: () => Promise<{ ChecksumSHA256?: string | undefined }>,
  ): Promise<boolean> {
    try {
      const answer = await send();
      if (answer.ChecksumSHA256 === undefined) await this.#isOurs(checksum);
      else this.#compare("checksum", answer.ChecksumSHA256, checksum);
      return true;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const { status, code } = s3Status(error);
      if (status !== 412 && code !== "NoSuchUpload") throw error;
      return await this.#isOurs(checksum);
    }
  }

  /**
   * Reads back who wrote the object; compares size and checksum when it was us. Throws
   * `storage_unreachable` when there is none, or it cannot be read.
   */
  async #isOurs(checksum: string): Promise<boolean> {
    const input = {
      Bucket: this.#bucket,
      Key: this.#key,
      ChecksumMode: "ENABLED" as const,
      ...this.#calls.customerKey,
    };
    const found = await this.#call("HeadObject", (abortSignal) =>
      this.#calls.client.headObject(input, { abortSignal }),
    ).catch((error: unknown) => {
      const sentence = `Whether ${this.#location} was written is not known`;
      throw fail("storage_unreachable", sentence, { location: this.#location }, error);
    });
    if (found.Metadata?.[WRITE_ID] !== this.#writeId) return false;
    this.#compare("size", found.ContentLength, this.#parts.bytes);
    this.#compare("checksum", found.ChecksumSHA256, checksum);
    return true;
  }

  /** Stores that compute no SHA-256 answer nothing: they have checked the signed body hash. */
  #compare(what: string, found: string | number | undefined, wanted: string | number): void {
    if (found === undefined || found === wanted) return;
    const sentence = `The ${what} of ${this.#location} in S3 is ${found}, not ${wanted}`;
    throw fail("storage_corrupt", sentence, { location: this.#location });
  }

  async #hash(pieces: readonly Uint8Array[]): Promise<Buffer> {
    const hash = new Bun.CryptoHasher("sha256");
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; at += HASH_BYTES) {
        if (at > 0) await this.#clock.sleep(0);
        hash.update(piece.subarray(at, at + HASH_BYTES));
      }
    }
    return hash.digest();
  }

  /**
   * Calls with a body. Its memory serves another upload when the only request for it was answered; an
   * earlier one that was given up may still be reading it.
   */
  async #send<T>(
    operation: string,
    pieces: readonly Uint8Array[],
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    let requests = 0;
    const answer = await this.#call(operation, (signal) => {
      requests++;
      return run(signal);
    });
    if (requests === 1) for (const piece of pieces) givePart(piece);
    return answer;
  }

  #call<T>(operation: string, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#calls.call({ operation, bucket: this.#bucket, key: this.#key }, run);
  }

  #objectFields() {
    return {
      Bucket: this.#bucket,
      Key: this.#key,
      Metadata: { [WRITE_ID]: this.#writeId },
      ...this.#calls.encryption,
    };
  }
}

/** Aborts a multipart upload; one that is gone is no error. */
export async function abortUpload(
  calls: S3Calls,
  location: string,
  uploadId: string,
): Promise<void> {
  const { bucket, key } = s3Address(location);
  const input = {
    Bucket: bucket,
    Key: key,
    UploadId: uploadId,
  };
  try {
    await calls.call({ operation: "AbortMultipartUpload", bucket, key }, (abortSignal) =>
      calls.client.abortMultipartUpload(input, { abortSignal }),
    );
  } catch (error) {
    if (!(error instanceof AppError) || s3Status(error).code !== "NoSuchUpload") throw error;
  }
}
