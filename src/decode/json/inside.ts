/**
 * What is inside a JSON value that has no column, as the settings of `[source.transform]` see it: some of
 * it may be left out, and some may stand where they expect an object.
 */
import type { Shaping } from "#decode/shaping.ts";
import { CHAR, skipSpace, skipString } from "./scan.ts";
import { Skipper } from "./skip.ts";
import { textOf } from "./strings.ts";

/** What may be in a value, the graver behind the less grave. */
const FINDINGS = ["nothing", "something", "slip", "misplaced"] as const;
/**
 * `nothing`: all of it is left out; `slip`: a field in it differs by case only from one that is hidden;
 * `misplaced`: what is protected may be in it, and is not where it is said to be.
 */
export type Inside = (typeof FINDINGS)[number];

const skipper = new Skipper();

/**
 * Looks into the value at `at`, which is known to be well formed and to hold something with a type.
 * @param path of its field
 */
export function lookInside(bytes: Uint8Array, at: number, path: string, shaping: Shaping): Inside {
  return shaping.leadsInside(path) ? new Look(bytes, shaping).value(at, path) : "something";
}

/** The kind of column that a value may make, as far as its first byte tells. */
export function kindAt(bytes: Uint8Array, at: number): "struct" | "list" | "string" {
  if (bytes[at] === CHAR.open) return "struct";
  return bytes[at] === CHAR.openList ? "list" : "string";
}

class Look {
  readonly #bytes: Uint8Array;
  readonly #shaping: Shaping;
  /** Behind the value that was looked at last. */
  #after = 0;

  constructor(bytes: Uint8Array, shaping: Shaping) {
    this.#bytes = bytes;
    this.#shaping = shaping;
  }

  value(at: number, path: string): Inside {
    const kind = kindAt(this.#bytes, at);
    skipper.typed = false;
    this.#after = skipper.value(this.#bytes, at, this.#bytes.length, 0);
    if (!skipper.typed || this.#shaping.ignores(path)) return "nothing";
    if (!this.#shaping.admits(path, kind)) return "misplaced";
    if (this.#shaping.isSlip(path)) return "slip";
    if (kind === "string" || !this.#shaping.leadsInside(path)) return "something";
    return kind === "struct" ? this.#members(at, path) : this.#elements(at, path);
  }

  #members(at: number, path: string): Inside {
    const bytes = this.#bytes;
    let found: Inside = "nothing";
    let i = skipSpace(bytes, at + 1);
    while (bytes[i] === CHAR.quote) {
      const end = skipString(bytes, i + 1, bytes.length);
      const inner = this.#shaping.inside(path, textOf(bytes, i + 1, end));
      found = both(found, this.value(skipSpace(bytes, skipSpace(bytes, end) + 1), inner));
      i = this.#next();
    }
    this.#after = i + 1;
    return found;
  }

  #elements(at: number, path: string): Inside {
    const bytes = this.#bytes;
    let found: Inside = "nothing";
    let i = skipSpace(bytes, at + 1);
    while (bytes[i] !== CHAR.closeList) {
      found = both(found, this.value(i, this.#shaping.inside(path, "element")));
      i = this.#next();
    }
    this.#after = i + 1;
    return found;
  }

  /** Behind the value and the comma after it. */
  #next(): number {
    const i = skipSpace(this.#bytes, this.#after);
    return this.#bytes[i] === CHAR.comma ? skipSpace(this.#bytes, i + 1) : i;
  }
}

function both(one: Inside, other: Inside): Inside {
  return FINDINGS.indexOf(one) > FINDINGS.indexOf(other) ? one : other;
}
