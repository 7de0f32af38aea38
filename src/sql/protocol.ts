/**
 * Messages between the event loop and the Worker that has the SQL engine. A call is answered by one
 * reply of the same id.
 */
import type { ErrorKind } from "#base/errors.ts";
import type { Run } from "./database.ts";
import type { InstanceOptions } from "./duckdb/instance.ts";

/** What is asked of the Worker. */
export type Call = { readonly id: number } & CallBody;

/** A call without its id. */
export type CallBody =
  | { readonly type: "open"; readonly options: InstanceOptions }
  | { readonly type: "admit"; readonly text: string }
  | { readonly type: "allow"; readonly folders: readonly string[] }
  | { readonly type: "columns"; readonly paths: readonly string[] }
  | { readonly type: "run"; readonly run: Run };

/** Its answer. `connection`: the engine's, as an address, which another thread may interrupt. */
export type Reply =
  | { readonly id: number; readonly value: unknown; readonly connection: number }
  | { readonly id: number; readonly error: { readonly kind: ErrorKind; readonly message: string } };
