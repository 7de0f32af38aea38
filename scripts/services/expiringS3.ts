/**
 * An S3 server's front that takes lent keys only: a request must show a session token
 * (`until-<ms since epoch>`) that has not ended, as a store does with keys of STS. The server behind it
 * knows no such tokens: for it the request is signed anew, with keys that do not end.
 */
import { createHash, createHmac } from "node:crypto";
import {
  createServer,
  request as forward,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { S3Service } from "./versitygw.ts";

/** A running front. */
export interface ExpiringS3 {
  readonly endpoint: string;
  /** Requests refused since the start, by why. */
  readonly refused: { ended: number; missing: number };
  /** Requests let through, by the token that they showed. */
  readonly tokens: ReadonlyMap<string, number>;
  /** Requests let through, by method and the kind of file (`PUT parquet`). */
  readonly requests: ReadonlyMap<string, number>;
  stop(): void;
}

/** Starts a front of a server on a free loopback port. */
export async function startExpiringS3(s3: S3Service): Promise<ExpiringS3> {
  const refused = { ended: 0, missing: 0 };
  const tokens = new Map<string, number>();
  const requests = new Map<string, number>();
  const server = createServer((request, response) => {
    const token = String(request.headers["x-amz-security-token"] ?? "");
    const until = Number(/^until-(\d+)$/.exec(token)?.[1] ?? 0);
    if (until > Date.now()) {
      tokens.set(token, (tokens.get(token) ?? 0) + 1);
      const what = `${request.method} ${kindOf(request.url ?? "")}`;
      requests.set(what, (requests.get(what) ?? 0) + 1);
      pass(request, response, s3);
      return;
    }
    refused[until === 0 ? "missing" : "ended"]++;
    const code = until === 0 ? "AccessDenied" : "ExpiredToken";
    request.resume();
    response.writeHead(until === 0 ? 403 : 400, { "content-type": "application/xml" });
    response.end(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { endpoint: `http://127.0.0.1:${port}`, refused, tokens, requests, stop };
}

/** `parquet`, `manifest list`, `manifest`, `metadata`, else `other`. */
function kindOf(url: string): string {
  const [path = ""] = url.split("?");
  if (path.endsWith(".parquet")) return "parquet";
  if (path.includes("/snap-")) return "manifest list";
  if (path.endsWith(".avro")) return "manifest";
  return path.endsWith(".json") ? "metadata" : "other";
}

/** The body as it is; the token is taken off. */
function pass(request: IncomingMessage, response: ServerResponse, s3: S3Service): void {
  const { method = "GET", url: path = "/", headers: given } = request;
  const { "x-amz-security-token": _, authorization: __, ...headers } = given;
  const authorization = signature(method, path, headers, s3);
  const onward = forward(
    { host: "127.0.0.1", port: s3.port, method, path, headers: { ...headers, authorization } },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  onward.on("error", () => response.destroy());
  request.pipe(onward);
}

/** Signature version 4 over the host and all headers of Amazon's. */
function signature(
  method: string,
  path: string,
  headers: IncomingHttpHeaders,
  { accessKey, secretKey, region }: S3Service,
): string {
  const [place = "/", query = ""] = path.split("?");
  const words = query.split("&").filter((word) => word !== "");
  const sorted = words.map((word) => (word.includes("=") ? word : `${word}=`)).sort();
  const signed = Object.entries(headers)
    .filter(([name]) => name === "host" || name.startsWith("x-amz-"))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(";");
  const lines = signed.map(([name, value]) => `${name}:${String(value).trim()}\n`).join("");
  const body = String(headers["x-amz-content-sha256"]);
  const canonical = [method, place, sorted.join("&"), lines, names, body].join("\n");
  const time = String(headers["x-amz-date"]);
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const hash = createHash("sha256").update(canonical).digest("hex");
  const keyed = (key: string | Buffer, text: string): Buffer =>
    createHmac("sha256", key).update(text).digest();
  const key = scope.split("/").reduce<string | Buffer>(keyed, `AWS4${secretKey}`);
  const sign = keyed(key, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash}`).toString("hex");
  const credential = `Credential=${accessKey}/${scope}`;
  return `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, Signature=${sign}`;
}
