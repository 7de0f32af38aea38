/**
 * The words of the key tables: what is said about one configuration key, and the TypeScript type of
 * its value. `keys*.ts` declare every key once; validation, `config.example.toml` and
 * docs/CONFIG.md come from there.
 */

import type { Feature } from "./features.ts";

/** A value as it stands in the configuration, after substitution. */
export type ConfigValue =
  | string
  | number
  | boolean
  | readonly ConfigValue[]
  | { readonly [key: string]: ConfigValue };

/** The form of a value. `map`: a table of strings; `tables`: an array of tables. */
export type KeyType =
  | "string"
  | "integer"
  | "number"
  | "boolean"
  | "strings"
  | "integers"
  | "map"
  | "tables"
  /** An integer or the word `auto`. */
  | "auto_or_integer";

/** All that is said about one key. */
export interface KeySpec {
  readonly type: KeyType;
  /** Null: none; the key may be left out. */
  readonly default: ConfigValue | null;
  /** What it is and why this default, as one or two sentences. */
  readonly doc: string;
  /** The words that a string may be. */
  readonly values?: readonly string[];
  /** The empty text says something of its own, as `doc` tells. Without it a text that has a default must not be empty. */
  readonly mayBeEmpty?: true;
  readonly min?: number;
  readonly max?: number;
  /** TOML text of a sensible value, for keys without a default. */
  readonly example?: string;
  /** Never printed. */
  readonly secret?: true;
  /** Set: the key belongs to a feature that is not built yet. */
  readonly unbuilt?: Feature;
}

/** Keys by path, in the order of the documentation. */
export type KeyTable = Readonly<Record<string, KeySpec>>;

type Plain<S extends KeySpec> = S extends { type: "string"; values: readonly (infer Word)[] }
  ? Word
  : {
      string: string;
      integer: number;
      number: number;
      boolean: boolean;
      strings: readonly string[];
      integers: readonly number[];
      map: Readonly<Record<string, string>>;
      tables: readonly Readonly<Record<string, ConfigValue>>[];
      auto_or_integer: number | "auto";
    }[S["type"]];

/** The type of a key's value in a loaded configuration; null where it has no default. */
export type ValueOf<S extends KeySpec> = S["default"] extends null ? Plain<S> | null : Plain<S>;

/** The values of a key table, by path. */
export type ValuesOf<T extends KeyTable> = { readonly [Path in keyof T]: ValueOf<T[Path]> };
