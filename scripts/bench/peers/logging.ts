/** Log configuration of the Java peers: everything from INFO to standard output. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "./side.ts";

const TEXT = `status=error
appender.c.type=Console
appender.c.name=C
appender.c.target=SYSTEM_OUT
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d{ISO8601} %-5p [%t] %c{1} - %m%n
rootLogger.level=info
rootLogger.appenderRef.c.ref=C
`;

/** Writes it into the job's folder and returns its path. */
export function loggingFile(job: Job): string {
  const file = join(job.folder, "log4j2.properties");
  writeFileSync(file, TEXT);
  return file;
}
