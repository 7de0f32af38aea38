/**
 * A Java of version 21 or newer for services that need one: `$KAFKA_ICEBERG_JAVA21`, or a folder beside
 * the machine's Java.
 */
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";

const JAVA_MIN = 21;

/** The path of such a Java. Throws when there is none. @param service that needs it */
export function newerJava(service: string): string {
  const found = newerJavaOrNull();
  if (found !== null) return found;
  throw new Error(`${service} needs Java ${JAVA_MIN}: set KAFKA_ICEBERG_JAVA21`);
}

function newerJavaOrNull(): string | null {
  const { KAFKA_ICEBERG_JAVA21 } = process.env;
  if (KAFKA_ICEBERG_JAVA21 !== undefined) return KAFKA_ICEBERG_JAVA21;
  const own = Bun.which("java");
  if (own === null) return null;
  const folder = dirname(dirname(dirname(realpathSync(own))));
  const found = readdirSync(folder)
    .filter((name) => Number(/(?:^|\D)(\d{2})(?:\D|$)/.exec(name)?.[1] ?? 0) >= JAVA_MIN)
    .map((name) => join(folder, name, "bin", "java"))
    .find((path) => existsSync(path));
  return found ?? null;
}
