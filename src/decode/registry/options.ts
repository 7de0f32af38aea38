/**
 * Settings of the schema registry (SPEC section 4, `[schema_registry]`).
 */

/** How a subject is named (`schema_registry.subject_strategy`). */
export type SubjectStrategy = "topic-name" | "record-name" | "topic-record-name";

/** How requests sign in. */
export type RegistryAuth =
  | { readonly type: "none" }
  | { readonly type: "basic"; readonly userAndPassword: string }
  | { readonly type: "bearer"; readonly token: string };

/** What is done about a record whose schema the registry does not know. */
export type MissingPolicy = "dead_letter" | "fail" | "latest";

/** One registry, behind one or more addresses. */
export interface RegistryOptions {
  /** Addresses of the same registry, without credentials; the first one that answers is used. */
  readonly urls: readonly string[];
  readonly auth: RegistryAuth;
  /** Certificates (PEM) that the registry must prove itself by; null: the machine's own. */
  readonly ca: string | null;
  /** How long a latest version, and a "no such schema", is believed. */
  readonly cacheTtlMs: number;
  readonly strategy: SubjectStrategy;
  readonly onMissing: MissingPolicy;
}
