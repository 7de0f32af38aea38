/**
 * Problems of a configuration: where, which key, what is wrong, and the nearest known key.
 *
 * A problem never holds a secret: values of secret keys, of unknown keys, and values that came from
 * outside the file (`${...}`) are not quoted.
 */

/** One thing that a person must put right. */
export interface Problem {
  /** `config.toml:12`, `--set`, or the file alone when the key is not there. */
  readonly where: string;
  /** The key's path, or empty for the file as a whole. */
  readonly key: string;
  /** One clause: "must be at least 1, is 0". */
  readonly problem: string;
  /** The nearest known key, for unknown ones. */
  readonly near: string | null;
}

/** One line for a person. */
export function formatProblem({ where, key, problem, near }: Problem): string {
  const hint = near === null ? "" : `; did you mean ${near}?`;
  return `${where}: ${key === "" ? "" : `${key}: `}${problem}${hint}`;
}

/** The known word with the fewest edits from `word`; null when none is near. */
export function nearest(word: string, known: Iterable<string>): string | null {
  let best: string | null = null;
  let bestEdits = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const edits = editDistance(word, candidate);
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
