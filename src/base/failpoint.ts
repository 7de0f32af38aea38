/**
 * Named places at every durable step of a flush, where a test can make the process die or a call
 * fail (issue: "a named failpoint at every durable step"). Without `KAFKA_ICEBERG_FAILPOINT` they
 * cost one comparison.
 *
 * `KAFKA_ICEBERG_FAILPOINT="upload=crash@3"` kills the process with SIGKILL the third time that
 * `upload` is passed; `=error@N` throws once instead; without `@N` the first time.
 */
import { fail } from "./errors.ts";

/** The steps, in the order in which a flush passes them. */
export const FAILPOINTS = [
  "seal",
  "log_flush_started",
  "write",
  "upload",
  "log_parquet_written",
  "log_commit_attempt",
  "manifest",
  "commit_before",
  "commit_after",
  "log_snapshot_created",
  "acknowledge",
  "log_flush_complete",
] as const;

/** The name of a failpoint. */
export type FailpointName = (typeof FAILPOINTS)[number];

interface Armed {
  readonly name: string;
  readonly action: "crash" | "error";
  remaining: number;
}

let armed: Armed | null = null;

/** Arms one failpoint from its text form; null or empty disarms. */
export function armFailpoint(text: string | null): void {
  const match = /^([a-z_]+)=(crash|error)(?:@(\d+))?$/.exec(text ?? "");
  armed =
    match === null
      ? null
      : {
          name: match[1] ?? "",
          action: match[2] === "crash" ? "crash" : "error",
          remaining: Number(match[3] ?? 1),
        };
}

/** Passes a failpoint. Throws `storage_unreachable` or ends the process when it is armed and due. */
export function failpoint(name: FailpointName): void {
  if (armed === null || armed.name !== name) return;
  armed.remaining--;
  if (armed.remaining !== 0) return;
  if (armed.action === "crash") process.kill(process.pid, "SIGKILL");
  throw fail("storage_unreachable", `Failpoint ${name} was armed with an error`);
}
