/**
 * What a service manager is told (sd_notify(3)): that the process has started, what it does, that its
 * loop turns (the watchdog), and that it stops.
 *
 * `READY=1` says that the configuration holds and the process works, not that Kafka answers: services
 * that are away are waited for, and a manager that ends the process for that would help nobody. `STATUS`
 * and `/ready` say whether rows flow.
 */
import type { Clock } from "#base/clock.ts";
import type { Environment } from "#config/environment.ts";
import type { SendNotice } from "./notifySocket.ts";

/** Between two looks without a watchdog; with one, at most half of its time. */
const STATUS_MS = 5000;
const US_PER_MS = 1000;

/** What is told from, and to whom. */
export interface NotifyParts {
  readonly clock: Pick<Clock, "sleep">;
  readonly send: SendNotice;
  /** The manager ends the process when it hears nothing for so long, ms; null: it does not watch. */
  readonly watchdogMs: number | null;
  readonly isReady: () => boolean;
}

/** Tells the manager until `ended`; `stopping` is to be called once, when the stop begins. */
export interface Notifier {
  stopping(): void;
}

/** Nobody is told. */
export const NO_NOTIFIER: Notifier = { stopping: () => undefined };

/** The manager by the process's variables; one that nobody hears without `NOTIFY_SOCKET`. */
export async function notifyManager(
  environment: Environment,
  parts: Omit<NotifyParts, "send" | "watchdogMs">,
  { pid, ended }: { readonly pid: number; readonly ended: AbortSignal },
): Promise<Notifier> {
  const path = environment.variable("NOTIFY_SOCKET") ?? "";
  if (path === "") return NO_NOTIFIER;
  const { openNotifySocket } = await import("./notifySocket.ts");
  const watched = environment.variable("WATCHDOG_PID") ?? "";
  const isOurs = watched === "" || watched === String(pid);
  const timeUs = Number(environment.variable("WATCHDOG_USEC") ?? "");
  const watchdogMs = isOurs && timeUs > 0 ? timeUs / US_PER_MS : null;
  return startNotifying({ ...parts, send: openNotifySocket(path), watchdogMs }, ended);
}

/** Says that the process has started, then keeps saying that it lives. */
export function startNotifying(parts: NotifyParts, ended: AbortSignal): Notifier {
  let isStopping = false;
  const statusOf = (): string => {
    if (isStopping) return "Stopping: writing what is left";
    return parts.isReady() ? "Reading" : "Starting, or waiting for a service: see /health";
  };
  parts.send(`READY=1\nSTATUS=${statusOf()}`);
  void repeat(parts, statusOf, ended);
  return {
    stopping: () => {
      isStopping = true;
      parts.send(`STOPPING=1\nSTATUS=${statusOf()}`);
    },
  };
}

/** A timer of the loop that does all work: one that hangs says nothing. */
async function repeat(parts: NotifyParts, status: () => string, ended: AbortSignal): Promise<void> {
  const { clock, send, watchdogMs } = parts;
  const waitMs = Math.min(STATUS_MS, watchdogMs === null ? STATUS_MS : watchdogMs / 2);
  while (!ended.aborted) {
    await clock.sleep(waitMs, ended);
    if (ended.aborted) return;
    send(`${watchdogMs === null ? "" : "WATCHDOG=1\n"}STATUS=${status()}`);
  }
}
