/** A key table over a JavaScript map: what the real one is judged by, and slow enough for tests only. */
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { FoundPlaces, KeyTable, Places } from "#keyindex/keyTable.ts";
import type { Move, MovedFile } from "#keyindex/moves.ts";
import type { KeySet } from "#keyindex/port.ts";

interface Place {
  readonly file: number;
  readonly row: number;
}

/** An empty table. */
export function createMapKeyTable(): KeyTable {
  return new MapKeyTable();
}

class MapKeyTable implements KeyTable {
  readonly #rows = new Map<string, Place[]>();

  get size(): number {
    return this.#rows.values().reduce((sum, places) => sum + places.length, 0);
  }

  reserve(): void {
    // A map grows by itself.
  }

  add({ words }: KeySet, file: number, rows: Uint32Array): void {
    for (const [n, row] of rows.entries()) {
      const key = keyOf(words, n);
      this.#rows.set(key, [...(this.#rows.get(key) ?? []), { file, row }]);
    }
  }

  locate(keys: KeySet): FoundPlaces {
    const found = namesOf(keys).flatMap((key, number) =>
      (this.#rows.get(key) ?? []).map((place) => ({ number, place })),
    );
    return {
      keys: Uint32Array.from(found, ({ number }) => number),
      ...placesOf(found.map(({ place }) => place)),
    };
  }

  remove(keys: KeySet): Places {
    const places = namesOf(keys).flatMap((key) => {
      const found = this.#rows.get(key) ?? [];
      this.#rows.delete(key);
      return found;
    });
    return placesOf(places);
  }

  drop(files: ReadonlyMap<number, RowSet | null>): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const [key, places] of this.#rows) {
      const kept = places.filter(({ file, row }) => {
        const rows = files.get(file);
        const isKept = rows === undefined || (rows !== null && !rows.has(row));
        if (!isKept) counts.set(file, (counts.get(file) ?? 0) + 1);
        return isKept;
      });
      if (kept.length === 0) this.#rows.delete(key);
      else this.#rows.set(key, kept);
    }
    return counts;
  }

  move(moves: readonly Move[]): Uint32Array {
    const moved = new Uint32Array(moves.length);
    const places = new Map(
      moves.flatMap(({ into, hidden, from }, n) =>
        [...from].map(([file, rows]) => [file, { n, into, hidden, rows: placesOfRows(rows) }]),
      ),
    );
    for (const [key, before] of this.#rows) {
      const after = before.flatMap((place): Place[] => {
        const to = places.get(place.file);
        if (to === undefined) return [place];
        const row = to.rows.get(place.row);
        if (row === undefined || to.hidden.has(row)) return [];
        moved[to.n] = (moved[to.n] ?? 0) + 1;
        return [{ file: to.into, row }];
      });
      if (after.length === 0) this.#rows.delete(key);
      else this.#rows.set(key, after);
    }
    return moved;
  }

  clear(): void {
    this.#rows.clear();
  }
}

/** Row by row, the place of each row that was left. */
function placesOfRows({ places, hidden }: MovedFile): Map<number, number> {
  const left = Array.from({ length: hidden.fileRows }, (_, row) => row).filter(
    (row) => !hidden.has(row),
  );
  return new Map(
    left.map((row, n) => [row, typeof places === "number" ? places + n : (places[n] ?? -1)]),
  );
}

function namesOf({ count, words }: KeySet): string[] {
  return Array.from({ length: count }, (_, n) => keyOf(words, n));
}

function keyOf(words: BigUint64Array, n: number): string {
  return `${words[2 * n]} ${words[2 * n + 1]}`;
}

function placesOf(places: readonly Place[]): Places {
  return {
    files: Uint32Array.from(places, ({ file }) => file),
    rows: Uint32Array.from(places, ({ row }) => row),
  };
}
