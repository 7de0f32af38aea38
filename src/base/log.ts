/**
 * The logging port. Modules log through it; where lines go and how they look is decided in `server/`.
 */

/** Severity of a line. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Fields of a line; names of SPEC section 9. Never secrets, never row values. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one structured line. */
export interface Logger {
  log(level: LogLevel, message: string, fields?: LogFields): void;
  /** A logger whose lines carry `fields` as well. */
  with(fields: LogFields): Logger;
}

/** A logger that drops everything. */
export const silentLogger: Logger = { log: () => undefined, with: () => silentLogger };
