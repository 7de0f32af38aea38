/** Repeatable choices for generated inputs. */
import { type Random, seededRandom } from "#base/random.ts";

/** Chooses by a seed. */
export class Picks {
  protected readonly random: Random;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  below(bound: number): number {
    return Math.floor(this.random.unit() * bound);
  }

  oneOf<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}
