/** The sockets of connections: what comes goes to the listener at once, and in order. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { openSocket } from "#consumer/wire/kafkajs.ts";

async function served(greet: (peer: Socket) => void): Promise<{ server: Server; socket: Socket }> {
  const server = createServer(greet).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const socket = openSocket({ host: "127.0.0.1", port, ssl: null, onConnect: () => undefined });
  return { server, socket };
}

test("every byte comes once, in order, and the end behind the last one", async () => {
  const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 31) % 251));
  const { server, socket } = await served((peer) => {
    peer.write(sent.subarray(0, 1_000_001));
    peer.end(sent.subarray(1_000_001));
  });
  const got: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => got.push(Buffer.from(chunk)));
  await once(socket, "end");
  expect(Buffer.concat(got).equals(sent)).toBeTrue();
  server.close();
});

test("bytes that come before anybody listens wait; what comes after a socket is destroyed goes to nobody", async () => {
  const { server, socket } = await served((peer) => peer.on("error", () => undefined));
  await once(socket, "connect");
  socket.push(Buffer.from("early"));
  const got: string[] = [];
  socket.on("data", (chunk: Buffer) => got.push(chunk.toString()));
  await once(socket, "data");
  socket.push(Buffer.from("next"));
  expect(got).toEqual(["early", "next"]);
  socket.destroy();
  socket.push(Buffer.from("late"));
  await once(socket, "close");
  expect(got).toEqual(["early", "next"]);
  server.close();
});

test("what a listener throws does not keep the next bytes from it", async () => {
  const { server, socket } = await served((peer) => peer.on("error", () => undefined));
  await once(socket, "connect");
  const got: string[] = [];
  socket.on("data", (chunk: Buffer) => {
    got.push(chunk.toString());
    if (got.length === 1) throw new Error("of the listener");
  });
  expect(() => socket.push(Buffer.from("a"))).toThrow("of the listener");
  socket.push(Buffer.from("b"));
  expect(got).toEqual(["a", "b"]);
  socket.destroy();
  server.close();
});
