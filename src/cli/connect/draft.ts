/**
 * The configuration that an import makes, while it is made: keys of the sink are taken one by one, ours
 * are set, and whatever nobody took is named at the end. So no key is lost silently, also none that we
 * never heard of.
 *
 * A secret's value never gets in here: it becomes a reference to a variable, and the reader is told which
 * key of the sink holds the value.
 */
import type { ConnectorKeys } from "./source.ts";

/** A value in TOML. */
export type TomlValue = string | number | boolean | readonly string[] | TomlMap;

/** An inline table of texts. */
export interface TomlMap {
  readonly [key: string]: string;
}

/** A key of the sink that our configuration has no counterpart for, and why. */
export interface Unmatched {
  readonly key: string;
  readonly why: string;
}

/** The configuration as it is made. */
export interface Draft {
  /** The value of a key of the sink, which counts as seen to from now on; null: it is not set. */
  take(key: string): string | null;
  /** All keys that begin so, by what follows. They count as seen to. */
  takeAll(prefix: string): ReadonlyMap<string, string>;
  /** The keys that nobody took yet. */
  left(): readonly string[];
  /**
   * Sets one of our keys for all pipelines to what the sink has. A text with a reference of Connect, or
   * an address with a login in it, becomes a variable.
   */
  set(key: string, value: TomlValue): void;
  /** Sets one of our keys to a text with references of ours. */
  setWithReferences(key: string, text: string): void;
  /** Sets one of our keys to a variable that is to hold the value of a key of the sink. */
  setSecret(key: string, from: string, value: string): void;
  /** What a secret's variable is called, for values that hold it among others. */
  secret(variable: string, from: string, value: string): string;
  /** Says that a key has no counterpart. */
  refuse(key: string, why: string): void;
  /** Tells the reader something that no single key says. */
  note(text: string): void;
  /** Settings of one further pipeline. */
  pipeline(name: string, settings: ReadonlyMap<string, TomlValue>): void;
}

/** What an import has come to. */
export interface Drafted {
  readonly settings: ReadonlyMap<string, TomlValue>;
  readonly pipelines: readonly {
    readonly name: string;
    readonly settings: ReadonlyMap<string, TomlValue>;
  }[];
  /** Variables with the key of the sink whose value each is to have. */
  readonly variables: ReadonlyMap<string, string>;
  readonly unmatched: readonly Unmatched[];
  readonly notes: readonly string[];
}

/** An empty draft over the keys of a sink, and what it has come to. */
export function openDraft(keys: ConnectorKeys): { draft: Draft; finish(): Drafted } {
  const left = new Map(keys);
  const settings = new Map<string, TomlValue>();
  const pipelines: { name: string; settings: ReadonlyMap<string, TomlValue> }[] = [];
  const variables = new Map<string, string>();
  const unmatched: Unmatched[] = [];
  const notes: string[] = [];
  const secret = (variable: string, from: string, value: string): string => {
    const named = /^\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(value)?.[1] ?? variable;
    variables.set(named, from);
    return `\${${named}}`;
  };
  const draft: Draft = {
    take: (key) => {
      const value = left.get(key) ?? null;
      left.delete(key);
      return value;
    },
    left: () => [...left.keys()],
    takeAll: (prefix) => {
      const found = [...left].filter(([key]) => key.startsWith(prefix));
      for (const [key] of found) left.delete(key);
      return new Map(found.map(([key, value]) => [key.slice(prefix.length), value]));
    },
    set: (key, value) => {
      const isHidden = typeof value === "string" && /\$\{|:\/\/[^/]*@/.test(value);
      const from = `what the sink has for ${key}`;
      settings.set(key, isHidden ? secret(variableOf(key), from, value) : value);
    },
    setWithReferences: (key, text) => void settings.set(key, text),
    setSecret: (key, from, value) => {
      settings.set(key, secret(variableOf(key), from, value));
    },
    secret,
    refuse: (key, why) => {
      left.delete(key);
      unmatched.push({ key, why });
    },
    note: (text) => void notes.push(text),
    pipeline: (name, own) => void pipelines.push({ name, settings: own }),
  };
  const finish = (): Drafted => {
    for (const key of left.keys()) unmatched.push({ key, why: "nothing here is known for it" });
    return { settings, pipelines, variables, unmatched, notes };
  };
  return { draft, finish };
}

/** `iceberg.rest.credential`: ICEBERG_REST_CREDENTIAL. */
function variableOf(key: string): string {
  return key.toUpperCase().replace(/[^A-Z0-9]+/g, "_");
}
