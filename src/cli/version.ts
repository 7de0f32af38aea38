/**
 * Which build this is: `scripts/build.ts` puts the constants in; from source they are not there.
 */
import type { Build } from "./actions.ts";

declare const KAFKA_ICEBERG_VERSION: string;
declare const KAFKA_ICEBERG_COMMIT: string;

/** The running build. */
export const BUILD: Build = {
  version: typeof KAFKA_ICEBERG_VERSION === "string" ? KAFKA_ICEBERG_VERSION : "0.0.0-source",
  commit: typeof KAFKA_ICEBERG_COMMIT === "string" ? KAFKA_ICEBERG_COMMIT : "source",
};
