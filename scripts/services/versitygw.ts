/**
 * A real S3 server on a local folder: versitygw or MinIO (Go), or s3proxy (Java).
 *
 * All check keys and honour `If-None-Match: *` and `If-Match` atomically, multipart included.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type S3Server, s3Server } from "./cache.ts";
import { accepts, freePort, type Service, startService, temporaryFolder } from "./process.ts";

const ACCESS_KEY = "testkey";
const SECRET_KEY = "testsecret";

/** Options of {@link startS3}. */
export interface S3Options {
  /** Default: versitygw, or s3proxy where Go is missing. */
  readonly kind?: S3Server["kind"];
  /** Default: a free one. */
  readonly port?: number;
  /** Where objects lie; default: a new temporary folder. */
  readonly dataDir?: string;
  /** Made at the start; default: one, `warehouse`. */
  readonly buckets?: readonly string[];
}

/** A running S3 server; region `us-east-1`, path-style addresses. */
export interface S3Service {
  readonly kind: S3Server["kind"];
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly logFile: string;
  /** Orderly end; objects stay. */
  stop(): Promise<void>;
  /** SIGKILL; objects stay. */
  kill(): Promise<void>;
  /** Stops it if it runs, and starts it again on the same port and objects. */
  restart(): Promise<void>;
}

/** Starts an S3 server and waits until it answers. */
export async function startS3(options: S3Options = {}): Promise<S3Service> {
  const server = await s3Server(options.kind);
  const folder = options.dataDir ?? (await temporaryFolder("s3"));
  const port = options.port ?? freePort();
  const objects = join(folder, "objects");
  for (const bucket of options.buckets ?? ["warehouse"]) {
    mkdirSync(join(objects, bucket), { recursive: true });
  }
  const logFile = join(folder, "s3.log");
  const start = (): Promise<Service> =>
    startService({
      name: server.kind,
      command: command(server, folder, objects, port),
      env: {
        ROOT_ACCESS_KEY: ACCESS_KEY,
        ROOT_SECRET_KEY: SECRET_KEY,
        MINIO_ROOT_USER: ACCESS_KEY,
        MINIO_ROOT_PASSWORD: SECRET_KEY,
        MINIO_BROWSER: "off",
        MINIO_UPDATE: "off",
      },
      logFile,
      ready: () => (server.kind === "minio" ? isAlive(port) : accepts(port)),
    });
  let service = await start();
  let running = true;
  const end = async (how: (running: Service) => Promise<void>): Promise<void> => {
    if (running) await how(service);
    running = false;
  };
  return {
    kind: server.kind,
    endpoint: `http://127.0.0.1:${port}`,
    port,
    region: "us-east-1",
    accessKey: ACCESS_KEY,
    secretKey: SECRET_KEY,
    logFile,
    stop: () => end((now) => now.stop()),
    kill: () => end((now) => now.kill()),
    restart: async () => {
      await end((now) => now.stop());
      service = await start();
      running = true;
    },
  };
}

/** MinIO listens before it can answer. */
async function isAlive(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/minio/health/live`).catch(() => null);
  return answer?.status === 200;
}

function command(server: S3Server, folder: string, objects: string, port: number): string[] {
  if (server.kind === "versitygw") {
    const iam = join(folder, "iam");
    mkdirSync(iam, { recursive: true });
    const address = `127.0.0.1:${port}`;
    return [server.binary, "--quiet", "--port", address, "--iam-dir", iam, "posix", objects];
  }
  if (server.kind !== "s3proxy")
    return [server.binary, "server", "--address", `127.0.0.1:${port}`, objects];
  const properties = join(folder, "s3proxy.properties");
  writeFileSync(
    properties,
    [
      "s3proxy.authorization=aws-v2-or-v4",
      `s3proxy.endpoint=http://127.0.0.1:${port}`,
      `s3proxy.identity=${ACCESS_KEY}`,
      `s3proxy.credential=${SECRET_KEY}`,
      "jclouds.provider=filesystem-nio2",
      `jclouds.filesystem.basedir=${objects}`,
    ].join("\n"),
  );
  return [
    "java",
    "-Xmx256m",
    "-cp",
    server.jar,
    "org.gaul.s3proxy.Main",
    "--properties",
    properties,
  ];
}
