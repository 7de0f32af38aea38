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
/** Readers of a process at most: each takes memory for its code, so that further programs do without. */
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
  /** Documents that were left to the kernel since it was judged. */
  left = 0;
  private readonly timing: ReaderTiming;
  private state: "counting" | "making" | "made" | "none";
  private documents = 0;

  constructor(timing: ReaderTiming) {
    this.timing = timing;
    this.state = timing === "never" ? "none" : "counting";
  }

  /** Makes one that is to be there at once. `address`: of the call of its program, which is in the memory. */
  begin(parts: () => ReaderParts, address: number): void {
    if (this.state !== "counting" || this.timing !== "at once") return;
    const made = parts();
    const bytes = straightModule(made, address);
    if (bytes !== null) this.read = readerOf(new WebAssembly.Module(bytes), made);
    this.state = bytes === null ? "none" : "made";
  }

  /**
   * Notes documents that the program has read, while it is still in the kernel's memory.
   * @param left of them to the kernel
   */
  note(documents: number, left: number, parts: () => ReaderParts, address: number): void {
    if (this.state === "none" || this.state === "making") return;
    this.documents += documents;
    this.left += left;
    if (this.state === "made") this.judge();
    else if (this.documents >= DOCUMENTS_MIN) this.start(parts(), address);
  }

  private start(parts: ReaderParts, address: number): void {
    this.documents = 0;
    readers = readers.filter((reader) => reader.deref() !== undefined);
    if (readers.length >= READERS_MAX) return;
    const module = straightModule(parts, address);
    this.state = module === null ? "none" : "making";
    if (module === null) return;
    readers.push(new WeakRef(this));
    void this.make(module, parts);
  }

  /** It is there from the program's next batch on. */
  private async make(bytes: Uint8Array<ArrayBuffer>, parts: ReaderParts): Promise<void> {
    try {
      this.read = readerOf(await WebAssembly.compile(bytes), parts);
      this.state = "made";
    } catch {
      // The kernel reads what a reader would: who has no memory for one does without.
      this.state = "none";
    }
  }

  private judge(): void {
    if (this.documents < WINDOW || this.timing === "at once") return;
    const isGood = this.left * LEFT_SHARE <= this.documents;
    this.documents = 0;
    this.left = 0;
    if (isGood) return;
    this.read = null;
    this.state = "none";
    readers = readers.filter((reader) => reader.deref() !== this);
  }
}

function readerOf(module: WebAssembly.Module, { memory, readSlot }: ReaderParts): ReadDocument {
  const instance = new WebAssembly.Instance(module, { env: { memory, readSlot } });
  return instance.exports["read"] as ReadDocument;
}
