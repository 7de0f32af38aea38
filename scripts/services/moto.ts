/**
 * AWS in memory on the loopback address: moto's Glue, S3 and STS, with Glue's optimistic locking added
 * (`glue_with_locks.py`), since moto itself takes any VersionId. Credentials are not checked.
 */
import { join } from "node:path";
import { motoPackages, readersPython } from "./cache.ts";
import { freePort, run, startService, temporaryFolder } from "./process.ts";

/** A running moto. */
export interface Moto {
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  /** Any keys do; with these in the environment the provider chain of the SDK finds them. */
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Runs Python with boto3; answers its output. */
  python(script: string, stdin?: string): Promise<string>;
  stop(): Promise<void>;
}

const REGION = "us-east-1";

/** Starts moto with the bucket `warehouse` and waits until it answers (about 2 s). */
export async function startMoto(): Promise<Moto> {
  const python = await readersPython();
  const packages = await motoPackages();
  const folder = await temporaryFolder("moto");
  const port = freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const logFile = join(folder, "moto.log");
  const script = join(import.meta.dir, "glue_with_locks.py");
  const environment = {
    AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE",
    AWS_SECRET_ACCESS_KEY: "secret",
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_ENDPOINT_URL_STS: endpoint,
  };
  const service = await startService({
    name: "moto",
    command: [python, script, "-H", "127.0.0.1", "-p", String(port)],
    env: { PYTHONPATH: packages },
    logFile,
    startTimeoutMs: 60_000,
    ready: async () => {
      const answer = await fetch(`${endpoint}/moto-api/`).catch(() => null);
      return answer?.status === 200;
    },
  });
  await fetch(`${endpoint}/warehouse`, { method: "PUT" });
  return {
    endpoint,
    port,
    region: REGION,
    environment,
    logFile,
    python: (text, stdin = "") =>
      run([python, "-c", text], {
        stdin,
        env: { PYTHONPATH: packages, ...environment, AWS_ENDPOINT_URL: endpoint },
      }),
    stop: () => service.stop(),
  };
}
