/**
 * The datagram socket of a service manager (`NOTIFY_SOCKET`, sd_notify(3)). Neither Bun nor Node has
 * datagrams over Unix sockets, so the C library is asked; loaded only where there is such a socket.
 * Sending never waits: a full queue loses a message, and the next one says the same again.
 */
import { fail } from "#base/errors.ts";
import { openLibc } from "#base/libc.ts";

/** Sends one message; lost without a word when nobody takes it. */
export type SendNotice = (text: string) => void;

const SYMBOLS = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  sendto: { args: ["i32", "buffer", "u64", "i32", "buffer", "u32"], returns: "i64" },
} as const;

const AF_UNIX = 1;
/** SOCK_DGRAM with SOCK_CLOEXEC, of Linux: nothing that we start inherits it. */
const DATAGRAM = 2 | 0o2000000;
/** MSG_DONTWAIT with MSG_NOSIGNAL, of Linux. */
const AT_ONCE = 0x40 | 0x4000;
/** Length of `sun_path`. */
const SUN_PATH_BYTES = 108;

/** Opens the socket of a path; `@` stands for a zero in front of an abstract one. Throws `usage`. */
export function openNotifySocket(path: string): SendNotice {
  const name = Buffer.from(path);
  if (!/^[/@]./.test(path) || name.length >= SUN_PATH_BYTES) {
    throw fail("usage", "NOTIFY_SOCKET is no path of a socket");
  }
  const isAbstract = path.startsWith("@");
  if (isAbstract) name[0] = 0;
  const family = Buffer.from(new Uint16Array([AF_UNIX]).buffer);
  const address = Buffer.concat(isAbstract ? [family, name] : [family, name, Buffer.alloc(1)]);
  const { socket, sendto } = systemCalls();
  const descriptor = socket(AF_UNIX, DATAGRAM, 0);
  if (descriptor < 0) throw fail("usage", "No socket can be opened for NOTIFY_SOCKET");
  return (text) => {
    const bytes = Buffer.from(text);
    sendto(descriptor, bytes, BigInt(bytes.length), AT_ONCE, address, address.length);
  };
}

interface SystemCalls {
  socket(family: number, type: number, protocol: number): number;
  sendto(
    descriptor: number,
    bytes: Uint8Array,
    length: bigint,
    flags: number,
    address: Uint8Array,
    addressLength: number,
  ): bigint;
}

function systemCalls(): SystemCalls {
  const calls = openLibc<SystemCalls>(SYMBOLS);
  if (calls !== null) return calls;
  throw fail("usage", "NOTIFY_SOCKET is set, and no C library can be loaded to write to it");
}
