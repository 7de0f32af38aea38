/** Requests over HTTP against a server on loopback. */
import { afterAll, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { systemClock } from "#base/clock.ts";
import { AnswerTooLarge, createHttp, createTransport, NoAnswer } from "#base/http.ts";

/** Bytes of an answer that says how long it is, of one that does not, and of one that never ends. */
const KNOWN = 1000;
let endless = 0;

const server: Server = createServer((request, answer) => {
  if (request.url === "/known") {
    answer.writeHead(200, { "content-length": String(KNOWN) }).end("x".repeat(KNOWN));
  } else if (request.url === "/cut") {
    answer.writeHead(200, { "content-length": String(KNOWN) });
    answer.write("x", () => answer.destroy());
  } else if (request.url === "/endless") {
    const piece = Buffer.alloc(64 * 1024);
    const more = (): void => {
      if (answer.destroyed) return;
      endless += piece.length;
      answer.write(piece, () => setImmediate(more));
    };
    more();
  } else {
    answer.end(request.url);
  }
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const transport = createTransport(1);
afterAll(() => {
  transport.close();
  server.closeAllConnections();
  server.close();
});

async function failureOf(path: string, bytesMax: number): Promise<unknown> {
  const request = { method: "GET", url: address + path, headers: {}, body: [] };
  return transport.send(request, new AbortController().signal, bytesMax).catch((error) => error);
}

test("an answer as large as is allowed is read whole, one byte more is refused", async () => {
  expect(await failureOf("/known", KNOWN)).toMatchObject({ status: 200 });
  const error = await failureOf("/known", KNOWN - 1);
  expect(error).toBeInstanceOf(AnswerTooLarge);
  expect(String(error)).toContain("larger than 999 bytes");
});

test("an answer without an end is given up at the limit, and its connection is free for the next", async () => {
  const error = await failureOf("/endless", 1_000_000);
  expect(error).toBeInstanceOf(AnswerTooLarge);
  expect(error).toMatchObject({ maybeSent: true });
  // The only connection of this transport: it was given up, and another is made.
  expect(await failureOf("/next", 100)).toMatchObject({ status: 200 });
  const sent = endless;
  await Bun.sleep(200);
  expect(endless).toBe(sent);
});

test("an answer that is cut off is none", async () => {
  const error = await failureOf("/cut", KNOWN);
  expect(error).toBeInstanceOf(NoAnswer);
  expect(error).not.toBeInstanceOf(AnswerTooLarge);
  expect(error).toMatchObject({ maybeSent: true });
});

test("text is answered as text", async () => {
  const http = createHttp({ clock: systemClock, timeoutMs: 10_000, connectionsMax: 1 });
  const answer = await http.send({
    method: "GET",
    url: `${address}/said`,
    headers: {},
    body: null,
  });
  http.close();
  expect(answer).toMatchObject({ status: 200, body: "/said" });
});
