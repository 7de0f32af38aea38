/**
 * The straight reader of one program: made when the program has read enough for it to pay, while the
 * kernel goes on without it, and given up when it leaves too many documents to the kernel.
 */
import { straightModule } from "./straight.ts";
import type { StraightSource } from "./straightColumns.ts";

/** Documents before it is made: by then the order of members is known, and making it (some ms) pays. */
const DOCUMENTS_MIN = 32 * 1024;
/** Documents after which it is judged. */
const WINDOW = 4096;
/** Of which it may leave one in so many. */
const LEFT_SHARE = 8;
/** Readers of a process at most: each takes about 100 KB, so that further programs do without. */
const READERS_MAX = 64;

/** A document's bytes into a row; 0: it is left. */
export type ReadDocument = (at: number, end: number, row: number) => number;

/** What a reader is made with. */
export interface ReaderParts extends StraightSource {
  readonly memory: WebAssembly.Memory;
  readonly readSlot: (slot: number, at: number, depth: number) => number;
}

/** `never`: the kernel alone. `at once`: before the first document, for good (for tests). */
export type ReaderTiming = "when it pays" | "at once" | "never";

/** Programs that have one. */
let readers: WeakRef<StraightReader>[] = [];

/** Whether a program has a reader yet. */
export class StraightReader {
  /** Null: the kernel reads all. */
  read: ReadDocument | null = null;
  private readonly timing: ReaderTiming;
  private state: "counting" | "making" | "made" | "none";
  private documents = 0;
  private left = 0;

  constructor(timing: ReaderTiming) {
    this.timing = timing;
    this.state = timing === "never" ? "none" : "counting";
  }

  /**
   * Notes documents that the program is about to read. True when `read` has changed.
   * @param left documents that were left since the program was activated
   * @param address of the program's call
   */
  note(documents: number, left: number, parts: () => ReaderParts, address: number): boolean {
    switch (this.state) {
      case "none":
      case "making":
        return false;
      case "counting":
        return this.count(documents, parts, address);
      case "made":
        return this.judge(documents, left);
    }
  }

  private count(documents: number, parts: () => ReaderParts, address: number): boolean {
    this.documents += documents;
    if (this.timing !== "at once" && this.documents < DOCUMENTS_MIN) return false;
    this.documents = 0;
    if (this.timing === "at once") return this.makeAtOnce(parts(), address);
    readers = readers.filter((reader) => reader.deref() !== undefined);
    if (readers.length >= READERS_MAX) return false;
    const made = parts();
    const module = straightModule(made, address);
    this.state = module === null ? "none" : "making";
    if (module !== null) {
      readers.push(new WeakRef(this));
      void this.make(module, made);
    }
    return false;
  }

  private makeAtOnce(parts: ReaderParts, address: number): boolean {
    const bytes = straightModule(parts, address);
    if (bytes !== null) this.read = readerOf(new WebAssembly.Module(bytes), parts);
    this.state = bytes === null ? "none" : "made";
    return bytes !== null;
  }

  /** It is there from the program's next activation or batch on. */
  private async make(bytes: Uint8Array<ArrayBuffer>, parts: ReaderParts): Promise<void> {
    try {
      this.read = readerOf(await WebAssembly.compile(bytes), parts);
      this.state = "made";
    } catch {
      // The kernel reads what a reader would: who has no memory for one does without.
      this.state = "none";
    }
  }

  private judge(documents: number, left: number): boolean {
    this.documents += documents;
    // Activated anew: what was left before is not counted any more.
    if (left < this.left) this.left = left;
    if (this.documents < WINDOW || this.timing === "at once") return false;
    const share = (left - this.left) * LEFT_SHARE;
    const isGood = share <= this.documents;
    this.documents = 0;
    this.left = left;
    if (isGood) return false;
    this.read = null;
    this.state = "none";
    readers = readers.filter((reader) => reader.deref() !== this);
    return true;
  }
}

function readerOf(module: WebAssembly.Module, { memory, readSlot }: ReaderParts): ReadDocument {
  const instance = new WebAssembly.Instance(module, { env: { memory, readSlot } });
  return instance.exports["read"] as ReadDocument;
}
