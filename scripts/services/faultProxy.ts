/**
 * A TCP proxy that makes the three outcomes of a remote write happen on purpose.
 *
 * `swallow` is the one that matters: the request reaches the target and is applied, the caller sees
 * a dropped socket (SPEC section 2.4, "unknown"). The mode can be switched while connections live.
 */
import type { Socket, TCPSocketListener } from "bun";

/**
 * What happens to bytes. With `match`, only to a connection from the request on whose first bytes
 * (as Latin-1 text) match, e.g. `/^PUT .*metadata\.json/`. With `once`, the mode is `pass` afterwards.
 */
export type FaultMode =
  /** Both ways, unchanged. */
  | { readonly kind: "pass" }
  /** Requests pass; the first byte of an answer closes the caller's socket instead. */
  | { readonly kind: "swallow"; readonly match?: RegExp; readonly once?: boolean }
  /**
   * Requests are held for `ms`, or until the mode changes, also those whose caller has gone by then;
   * answers pass.
   */
  | { readonly kind: "stall"; readonly ms?: number; readonly match?: RegExp }
  /**
   * New connections and new requests are closed at once; nothing reaches the target. With `match`, only
   * from a matching request on.
   */
  | { readonly kind: "refuse"; readonly match?: RegExp; readonly once?: boolean }
  /**
   * HTTP only: the caller gets an answer of the proxy's instead of the target's. `applied`: once the target
   * has answered; else the request never reaches it.
   */
  | {
      readonly kind: "answer";
      readonly status: number;
      /** JSON, default an empty object. */
      readonly body?: string;
      readonly applied: boolean;
      readonly match?: RegExp;
      readonly once?: boolean;
    };

/** A running proxy. */
export interface FaultProxy {
  readonly port: number;
  /** Switches the mode for all connections, and lets go of what is held, in order. */
  set(mode: FaultMode): void;
  readonly counters: FaultCounters;
  stop(): void;
}

/** What the proxy has done since its start. */
export interface FaultCounters {
  connections: number;
  bytesToTarget: number;
  bytesToCaller: number;
  swallowed: number;
  stalled: number;
  refused: number;
  answered: number;
}

interface Link {
  readonly caller: Pipe;
  target: Pipe | undefined;
  /** Requests not yet sent to the target: held, or its connection is not open yet. */
  readonly held: Buffer[];
  /** A request on this connection matched the present mode. */
  matched: boolean;
  /** The proxy has answered: whatever else comes, from either side, is dropped until the caller closes. */
  answered: boolean;
}

/** A socket and what it could not take yet. */
interface Pipe {
  readonly socket: Socket<Link>;
  readonly waiting: Buffer[];
  ending: boolean;
}

/** Starts a proxy on a free loopback port in front of `target` (`host:port`). */
export function startFaultProxy(target: string): FaultProxy {
  const links = new Set<Link>();
  const counters: FaultCounters = {
    connections: 0,
    bytesToTarget: 0,
    bytesToCaller: 0,
    swallowed: 0,
    stalled: 0,
    refused: 0,
    answered: 0,
  };
  let mode: FaultMode = { kind: "pass" };
  const close = (link: Link): void => {
    links.delete(link);
    link.caller.socket.terminate();
    link.target?.socket.terminate();
  };
  const gone = (link: Link): void => {
    // What is held reaches the target later, though nobody waits for its answer any more.
    if (link.held.length > 0) return;
    links.delete(link);
    if (link.target !== undefined) end(link.target);
  };
  const isTaken = (link: Link, from: Side): boolean => {
    if (link.answered) return true;
    const deed = link.matched ? deedOf(mode, from) : null;
    if (deed === null) return false;
    counters[deed]++;
    if (mode.kind === "answer") {
      link.answered = true;
      send(link.caller, httpAnswer(mode));
    } else {
      close(link);
    }
    if ("once" in mode && mode.once === true) mode = { kind: "pass" };
    return true;
  };
  const request = (link: Link, bytes: Buffer): void => {
    link.matched ||= matches(mode, bytes);
    if (isTaken(link, "caller")) return;
    link.held.push(Buffer.from(bytes));
    if (mode.kind !== "stall" || !link.matched) {
      release(link, counters);
      return;
    }
    counters.stalled++;
    if (mode.ms !== undefined) setTimeout(() => release(link, counters), mode.ms);
  };
  const answer = (link: Link, bytes: Buffer): void => {
    if (isTaken(link, "target")) return;
    counters.bytesToCaller += bytes.length;
    send(link.caller, bytes);
  };
  const listener = listen(target, {
    opened: (link) => {
      counters.connections++;
      links.add(link);
      if (mode.kind !== "refuse" || mode.match !== undefined) return true;
      counters.refused++;
      close(link);
      return false;
    },
    connected: (link) => {
      if (mode.kind !== "stall" || !link.matched) release(link, counters);
    },
    request,
    answer,
    closed: gone,
  });
  return {
    port: listener.port,
    counters,
    set: (next) => {
      mode = next;
      for (const link of links) {
        link.matched = false;
        release(link, counters);
      }
    },
    stop: () => {
      listener.stop(true);
      for (const link of links) close(link);
    },
  };
}

/** Who sent the bytes that are looked at. */
type Side = "caller" | "target";

/** What a mode does to matching bytes instead of passing them on; null: they pass, or are held. */
function deedOf(mode: FaultMode, from: Side): "swallowed" | "refused" | "answered" | null {
  switch (mode.kind) {
    case "swallow":
      return from === "target" ? "swallowed" : null;
    case "refuse":
      return from === "caller" ? "refused" : null;
    case "answer":
      return from === (mode.applied ? "target" : "caller") ? "answered" : null;
    case "pass":
    case "stall":
      return null;
  }
}

/** `close`: the caller asks for no second answer on a connection of which bytes were dropped. */
function httpAnswer({ status, body = "{}" }: Extract<FaultMode, { kind: "answer" }>): Buffer {
  const head = `HTTP/1.1 ${status} Fault\r\ncontent-type: application/json\r\nconnection: close`;
  return Buffer.from(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function matches(mode: FaultMode, request: Buffer): boolean {
  const match = "match" in mode ? mode.match : undefined;
  return match === undefined || match.test(request.toString("latin1", 0, 2048));
}

interface LinkEvents {
  opened(link: Link): boolean;
  connected(link: Link): void;
  request(link: Link, bytes: Buffer): void;
  answer(link: Link, bytes: Buffer): void;
  closed(link: Link): void;
}

function listen(target: string, events: LinkEvents): TCPSocketListener<Link> {
  return Bun.listen<Link>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        const link: Link = {
          caller: pipe(socket),
          target: undefined,
          held: [],
          matched: false,
          answered: false,
        };
        socket.data = link;
        if (events.opened(link)) void connect(target, link, events);
      },
      data: (socket, bytes) => events.request(socket.data, bytes),
      drain: (socket) => flush(socket.data.caller),
      close: ({ data: link }) => events.closed(link),
      error: () => {},
    },
  });
}

async function connect(target: string, link: Link, events: LinkEvents): Promise<void> {
  const [hostname = "", port] = target.split(":");
  try {
    await Bun.connect<Link>({
      hostname,
      port: Number(port),
      data: link,
      socket: {
        open: (socket) => {
          link.target = pipe(socket);
          events.connected(link);
        },
        data: (_, bytes) => events.answer(link, bytes),
        drain: () => {
          if (link.target !== undefined) flush(link.target);
        },
        close: () => {
          if (!link.answered) end(link.caller);
        },
        error: () => {},
      },
    });
  } catch {
    link.caller.socket.terminate();
  }
}

function release(link: Link, counters: FaultCounters): void {
  if (link.target === undefined) return;
  for (const bytes of link.held.splice(0)) {
    counters.bytesToTarget += bytes.length;
    send(link.target, bytes);
  }
}

function pipe(socket: Socket<Link>): Pipe {
  return { socket, waiting: [], ending: false };
}

function send(to: Pipe, bytes: Buffer): void {
  to.waiting.push(Buffer.from(bytes));
  flush(to);
}

function flush(to: Pipe): void {
  for (let next = to.waiting[0]; next !== undefined; next = to.waiting[0]) {
    const sent = to.socket.write(next);
    if (sent < 0) return;
    if (sent < next.length) {
      to.waiting[0] = next.subarray(sent);
      return;
    }
    to.waiting.shift();
  }
  if (to.ending) to.socket.end();
}

function end(to: Pipe): void {
  to.ending = true;
  flush(to);
}
