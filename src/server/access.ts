/**
 * Who may ask for a route. Pure.
 *
 * "On this machine" is believed only where nothing can stand in between: the listener itself is on
 * loopback, the client's address is, and no header says that a proxy forwarded the request. A browser
 * on this machine asks on behalf of any page that it shows. Such a request is known by its `Origin`
 * or `Sec-Fetch-Site`, and by its `Host` where a foreign name was made to point here.
 */
import { timingSafeEqual } from "node:crypto";
import type { Access } from "./route.ts";

/** What is known of a request before it is answered. */
export interface Caller {
  /** The host that the listener was bound to, as configured. */
  readonly listenerHost: string;
  /** The client's address; empty when it is not known. */
  readonly address: string;
  readonly headers: Headers;
}

/** Headers with which proxies say whom they ask for: the standard ones, each `x-forwarded-...`, and those of large networks. */
const FORWARDED =
  /^(forwarded|via|x-forwarded(-.+)?|x-real-ip|x-original-(host|url|forwarded-for)|(x-)?client-ip|(x-|x-cluster-|true-|fastly-)client-ip|cf-connecting-ip(v6)?|cdn-loop|x-envoy-.+)$/;

/**
 * Why a request is not let in, as a sentence for a person; null when it is.
 * @param token `server.query_token`; empty: there is none
 */
export function refusal(access: Access, caller: Caller, token: string): string | null {
  switch (access) {
    case "public":
      return null;
    case "token": {
      if (showsToken(caller.headers, token)) return null;
      const reason = notLocal(caller);
      return reason === null ? null : `Show server.query_token as a bearer token: ${reason}`;
    }
    case "local": {
      const reason = notLocal(caller);
      return reason === null ? null : `Only programs on this machine may ask: ${reason}`;
    }
  }
}

/** True for a name or address that only this machine reaches. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return bare === "localhost" || bare === "::1" || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(bare);
}

/** Why a request counts as one from elsewhere; null when it comes from a program on this machine. */
function notLocal({ listenerHost, address, headers }: Caller): string | null {
  if (!isLoopback(listenerHost)) return "this address is reachable from elsewhere";
  if (!isLoopback(address)) return "the client is elsewhere";
  const proxy = [...headers.keys()].find((name) => FORWARDED.test(name));
  if (proxy !== undefined) return `a proxy forwarded the request (${proxy})`;
  const host = headers.get("host") ?? "";
  if (host === "") return "it names no host";
  if (!isLoopback(hostnameOf(host))) return `it asks for the host ${host}`;
  const site = headers.get("sec-fetch-site") ?? "none";
  const origin = headers.get("origin");
  const isOwnPage = origin === null || origin === `http://${host}` || origin === `https://${host}`;
  if (!isOwnPage || (site !== "none" && site !== "same-origin"))
    return "a page of another site asks";
  return null;
}

/** `localhost:8080` -> `localhost`, `[::1]:8080` -> `[::1]`. */
function hostnameOf(host: string): string {
  return host.replace(/:\d+$/, "");
}

function showsToken(headers: Headers, token: string): boolean {
  if (token === "") return false;
  const shown = Buffer.from(headers.get("authorization") ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return shown.length === wanted.length && timingSafeEqual(shown, wanted);
}
