/**
 * One object on its way to Google Cloud Storage: a single request while it is small, a resumable upload
 * once it is larger than one part. Both carry `ifGenerationMatch=0` and an id of this write as metadata,
 * which says whose write won when an answer was lost (decision 0061).
 *
 * The CRC-32C of the whole object is compared with the store's. An upload that is not finished is seen by
 * nobody and costs nothing, and the store forgets it after a week: a crash leaves nothing to remove. Memory: three parts at
 * most.
 */
import { crc32c } from "#base/crc32c.ts";
import { AppError, fail } from "#base/errors.ts";
import type { ByteAnswer } from "#base/http.ts";
import { type Json, writeJson } from "#base/json.ts";
import { type GcsCalls, type GcsParts, objectPath } from "./gcsClient.ts";
import { GcsRefusal, type GcsTarget, membersOf, objectIn } from "./gcsErrors.ts";
import { gcsAddress } from "./location.ts";
import { PartBuffer } from "./partBuffer.ts";
import type { StoredObject } from "./storage.ts";
import type { Upload } from "./upload.ts";

/** Object metadata that holds the id of the write. */
const WRITE_ID = "kafka-iceberg-write";
/** The answer to a piece of a resumable upload that wants more. */
const RESUME = 308;
/** The answer to the end of a session by the client. */
const CLOSED = 499;
/** Our condition does not hold: the name is taken. */
const TAKEN = 412;
/** The session is no more. */
const GONE = 410;
const ENDED: readonly number[] = [404, GONE];

/** Streams one object. */
export class GcsUpload implements Upload {
  readonly id = null;
  readonly #calls: GcsCalls;
  readonly #location: string;
  readonly #target: GcsTarget;
  readonly #writeId: string;
  readonly #parts: PartBuffer;
  #crc = 0;
  #session: string | null = null;
  /** Bytes handed to the session. */
  #sent = 0;
  #inFlight: Promise<unknown> = Promise.resolve();

  constructor(location: string, calls: GcsCalls, parts: GcsParts) {
    this.#calls = calls;
    this.#location = location;
    this.#target = { operation: "create", ...gcsAddress(location) };
    this.#writeId = parts.random.uuid();
    this.#parts = new PartBuffer(parts.clock, (piece) => {
      this.#crc = crc32c(piece, 0, piece.length, this.#crc);
    });
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#parts.add(chunk, () => this.#ship());
  }

  async finish(): Promise<StoredObject | null> {
    const session = this.#session;
    await this.#inFlight;
    const body = this.#parts.take();
    const won = await this.#conditionally(() =>
      session === null ? this.#putWhole(body) : this.#putPart(session, body, true),
    );
    return won ? { location: this.#location, bytes: this.#parts.bytes } : null;
  }

  async discard(): Promise<void> {
    this.#parts.take();
    await Promise.allSettled([this.#inFlight]);
    const path = this.#session;
    this.#session = null;
    if (path === null) return;
    const gone = [...ENDED, TAKEN, CLOSED];
    await this.#calls.call(this.#target, (signal) =>
      this.#calls.send({ method: "DELETE", path }, signal, gone),
    );
  }

  /** Sends the filled part once the one before it is there: a session takes them in order. */
  async #ship(): Promise<void> {
    this.#session ??= await this.#begin();
    const session = this.#session;
    const body = this.#parts.take();
    await this.#inFlight;
    this.#inFlight = this.#putPart(session, body, false);
    this.#inFlight.catch(() => undefined);
  }

  async #begin(): Promise<string> {
    const { headers } = await this.#calls.call(this.#target, (signal) =>
      this.#calls.send(
        {
          method: "POST",
          path: this.#uploadPath("resumable"),
          headers: { "content-type": "application/json" },
          body: [this.#resource()],
        },
        signal,
      ),
    );
    const { location } = headers;
    if (location !== undefined) return location;
    throw fail("storage_unreachable", `The store began no upload of ${this.#location}`);
  }

  /** Metadata and content in one request. */
  #putWhole(body: Uint8Array): Promise<ByteAnswer> {
    const boundary = `part-${this.#writeId}`;
    const head = (type: string): Buffer =>
      Buffer.from(`--${boundary}\r\ncontent-type: ${type}\r\n\r\n`);
    const end = Buffer.from("\r\n");
    const pieces = [
      ...[head("application/json"), this.#resource(), end],
      ...[head("application/octet-stream"), body, end],
      Buffer.from(`--${boundary}--\r\n`),
    ];
    const request = {
      method: "POST",
      path: this.#uploadPath("multipart"),
      headers: { "content-type": `multipart/related; boundary=${boundary}` },
      body: pieces,
    } as const;
    return this.#calls.call(this.#target, async (signal) =>
      whole(await this.#calls.send(request, signal)),
    );
  }

  /** Sends a part; after trouble, what the store says it lacks of it. */
  async #putPart(session: string, body: Uint8Array, isLast: boolean): Promise<ByteAnswer> {
    const start = this.#sent;
    const end = start + body.length;
    this.#sent = end;
    const total = isLast ? String(end) : "*";
    let has: number | null = start;
    return this.#calls.call(this.#target, async (signal) => {
      if (has === null) {
        const state = await this.#putRange(session, [], `bytes */${total}`, signal);
        if (state.status !== RESUME) return state;
        has = persisted(state);
        if (has === end && !isLast) return state;
      }
      const rest = body.subarray(has - start);
      const range = rest.length === 0 ? `bytes */${total}` : `bytes ${has}-${end - 1}/${total}`;
      has = null;
      const answer = await this.#putRange(session, [rest], range, signal);
      const isDone = isLast ? answer.status !== RESUME : persisted(answer) === end;
      if (isDone) return answer;
      throw new GcsRefusal(RESUME, "", "the store took a piece of the part only");
    });
  }

  async #putRange(
    path: string,
    body: readonly Uint8Array[],
    range: string,
    signal: AbortSignal,
  ): Promise<ByteAnswer> {
    const request = { method: "PUT", path, headers: { "content-range": range }, body } as const;
    const answer = await this.#calls.send(request, signal, [RESUME, ...ENDED]);
    if (answer.status === RESUME) return answer;
    if (!ENDED.includes(answer.status)) return whole(answer);
    const sentence = `The store ended the upload of ${this.#location} before it was whole`;
    throw fail("storage_corrupt", sentence, { ...this.#target, status: GONE });
  }

  /** True when our write has the name now, false when another's has. */
  async #conditionally(send: () => Promise<ByteAnswer>): Promise<boolean> {
    try {
      this.#compare(objectIn(await send()));
      return true;
    } catch (error) {
      if (!(error instanceof AppError) || ![TAKEN, GONE].includes(Number(error.context["status"])))
        throw error;
      return await this.#isOurs(error);
    }
  }

  /** Reads back who wrote the object. Throws `storage_unreachable` when there is none, or it cannot be read. */
  async #isOurs(refusal: AppError): Promise<boolean> {
    const target: GcsTarget = { ...this.#target, operation: "get" };
    const found = await this.#calls
      .call(target, async (signal) =>
        objectIn(await this.#calls.send({ method: "GET", path: objectPath(target) }, signal)),
      )
      .catch((error: unknown) => {
        if (refusal.context["status"] !== TAKEN) throw refusal;
        const sentence = `Whether ${this.#location} was written is not known`;
        throw fail("storage_unreachable", sentence, { location: this.#location }, error);
      });
    if (membersOf(membersOf(found)["metadata"])[WRITE_ID] !== this.#writeId) return false;
    this.#compare(found);
    return true;
  }

  #compare(found: Json): void {
    const wanted = { size: String(this.#parts.bytes), crc32c: crcText(this.#crc) };
    const { size, crc32c: crc } = membersOf(found);
    if (String(size) === wanted.size && (crc === undefined || crc === wanted.crc32c)) return;
    const sentence = `${this.#location} has size ${String(size)} and CRC ${String(crc)} in the store, not ${wanted.size} and ${wanted.crc32c}`;
    throw fail("storage_corrupt", sentence, { location: this.#location });
  }

  #uploadPath(type: "multipart" | "resumable"): string {
    const { bucket, key } = this.#target;
    const query = new URLSearchParams({ uploadType: type, ifGenerationMatch: "0", name: key });
    return `/upload${objectPath({ bucket, key: "" })}?${query}`;
  }

  #resource(): Buffer {
    const { key: name } = this.#target;
    return Buffer.from(writeJson({ name, metadata: { [WRITE_ID]: this.#writeId } }));
  }
}

/** An answer that says what was stored; any other is as none, so that the store is asked again. */
function whole(answer: ByteAnswer): ByteAnswer {
  objectIn(answer);
  return answer;
}

/** How many bytes a session has. */
function persisted({ headers }: ByteAnswer): number {
  const last = /^bytes=0-(\d+)$/.exec(headers["range"] ?? "")?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}

function crcText(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString("base64");
}
