/**
 * One object on its way to Azure Blob Storage: a single request while it is small, blocks and their list
 * once it is larger than one part. The request that makes it visible carries `If-None-Match: *` and an id
 * of this write as metadata, which says whose write won when an answer was lost (decision 0061).
 *
 * Each body goes with its MD5, which the store checks or answers. Blocks without a list are kept for a
 * week, and paid for: `clearBlocks` removes them. Memory: four parts at most.
 */
import type { BlockBlobClient } from "@azure/storage-blob";
import { AppError, fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { AzureCalls, AzureParts } from "./azureClient.ts";
import type { AzureTarget } from "./azureErrors.ts";
import { azureAddress } from "./location.ts";
import { PartBuffer } from "./partBuffer.ts";
import type { StoredObject } from "./storage.ts";
import type { Upload } from "./upload.ts";

/** Object metadata that holds the id of the write: names are identifiers there. */
const WRITE_ID = "kafka_iceberg_write";
/** An upload's id once blocks were sent: they belong to the name alone. */
const BLOCKS = "blocks";
/** Answers to a condition that does not hold. */
const TAKEN: ReadonlySet<unknown> = new Set([
  "BlobAlreadyExists",
  "ConditionNotMet",
  "InvalidBlockList",
]);

/** Streams one object. */
export class AzureUpload implements Upload {
  readonly #calls: AzureCalls;
  readonly #location: string;
  readonly #target: AzureTarget;
  readonly #writeId: string;
  readonly #parts: PartBuffer;
  #partHash = new Bun.CryptoHasher("md5");
  readonly #blocks: string[] = [];
  #inFlight: Promise<unknown>[] = [];

  constructor(location: string, calls: AzureCalls, parts: AzureParts) {
    this.#calls = calls;
    this.#location = location;
    this.#target = targetOf("write", location);
    this.#writeId = parts.random.uuid();
    this.#parts = new PartBuffer(parts.clock, (piece) => this.#partHash.update(piece));
  }

  get id(): string | null {
    return this.#blocks.length === 0 ? null : BLOCKS;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#parts.add(chunk, () => this.#ship());
  }

  async finish(): Promise<StoredObject | null> {
    const won = this.id === null ? await this.#putWhole() : await this.#putList();
    return won ? { location: this.#location, bytes: this.#parts.bytes } : null;
  }

  async discard(): Promise<void> {
    this.#parts.take();
    await Promise.allSettled(this.#inFlight);
    if (this.id !== null) await clearBlocks(this.#calls, this.#location);
    this.#blocks.length = 0;
  }

  /** Sends the filled part as a block; waits for the oldest one when too many are on their way. */
  async #ship(): Promise<void> {
    const { body, md5 } = this.#take();
    // Ids of one blob are of one length; the write's own part keeps two writers of a name apart.
    const id = Buffer.from(
      `${this.#writeId}-${String(this.#blocks.length).padStart(5, "0")}`,
    ).toString("base64");
    this.#blocks.push(id);
    const sent = this.#call((blob, abortSignal) =>
      blob.stageBlock(id, body, body.length, { abortSignal, transactionalContentMD5: md5 }),
    );
    sent.catch(() => undefined);
    this.#inFlight.push(sent);
    await this.#settle(LIMITS.s3PartsInFlightMax - 1);
  }

  async #settle(inFlightMax: number): Promise<void> {
    while (this.#inFlight.length > inFlightMax) await this.#inFlight.shift();
  }

  #take(): { body: Uint8Array; md5: Buffer } {
    const body = this.#parts.take();
    const md5 = this.#partHash.digest();
    this.#partHash = new Bun.CryptoHasher("md5");
    return { body, md5 };
  }

  #putWhole(): Promise<boolean> {
    const { body, md5 } = this.#take();
    return this.#conditionally(async (blob, abortSignal) => {
      const fields = { ...this.#fields(), abortSignal };
      const { contentMD5 } = await blob.upload(body, body.length, fields);
      if (contentMD5 === undefined || Buffer.from(contentMD5).equals(md5)) return;
      const sentence = `${this.#location} has another MD5 in the store than it was sent with`;
      throw fail("storage_corrupt", sentence, { location: this.#location });
    });
  }

  async #putList(): Promise<boolean> {
    await this.#ship();
    await this.#settle(0);
    return this.#conditionally((blob, abortSignal) =>
      blob.commitBlockList([...this.#blocks], { ...this.#fields(), abortSignal }),
    );
  }

  /** True when our write has the name now, false when another's has. */
  async #conditionally(
    send: (blob: BlockBlobClient, signal: AbortSignal) => Promise<unknown>,
  ): Promise<boolean> {
    try {
      await this.#call(send);
      return true;
    } catch (error) {
      if (!(error instanceof AppError) || !TAKEN.has(error.context["code"])) throw error;
      return await this.#isOurs();
    }
  }

  /** Reads back who wrote the object. Throws `storage_unreachable` when there is none, or it cannot be read. */
  async #isOurs(): Promise<boolean> {
    const target = targetOf("read", this.#location);
    const found = await this.#calls
      .call(target, async (abortSignal) =>
        (await this.#calls.blob(this.#location)).getProperties({ abortSignal }),
      )
      .catch((error: unknown) => {
        const sentence = `Whether ${this.#location} was written is not known`;
        throw fail("storage_unreachable", sentence, { location: this.#location }, error);
      });
    if (found.metadata?.[WRITE_ID] !== this.#writeId) return false;
    if (found.contentLength === this.#parts.bytes) return true;
    const sentence = `${this.#location} has ${found.contentLength} bytes in the store, not ${this.#parts.bytes}`;
    throw fail("storage_corrupt", sentence, { location: this.#location });
  }

  #fields() {
    return { conditions: { ifNoneMatch: "*" }, metadata: { [WRITE_ID]: this.#writeId } };
  }

  #call<T>(send: (blob: BlockBlobClient, signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#calls.call(this.#target, async (signal) =>
      send(await this.#calls.blob(this.#location), signal),
    );
  }
}

/** A call's target by its location. */
export function targetOf(operation: AzureTarget["operation"], location: string): AzureTarget {
  const { account, container, key } = azureAddress(location);
  return { operation, account, container, key };
}

/**
 * Removes the blocks that wait for a list under a name. Azure has no call for it; a blob that takes the
 * name drops them, and is removed at once. A name that is taken has none, and is left alone.
 */
export async function clearBlocks(calls: AzureCalls, location: string): Promise<void> {
  try {
    const { etag } = await calls.call(targetOf("write", location), async (abortSignal) =>
      (await calls.blob(location)).upload("", 0, {
        abortSignal,
        conditions: { ifNoneMatch: "*" },
      }),
    );
    await calls.call(targetOf("delete", location), async (abortSignal) =>
      (await calls.blob(location)).deleteIfExists({
        abortSignal,
        ...(etag === undefined ? {} : { conditions: { ifMatch: etag } }),
      }),
    );
  } catch (error) {
    if (!(error instanceof AppError) || !TAKEN.has(error.context["code"])) throw error;
  }
}
