/**
 * A broker's address as a person writes it in `kafka.bootstrap_servers`: `host:port`, an IPv6 address
 * in brackets. Whatever is not that is refused before anything is connected: a wrong address would
 * otherwise be tried for ever, as a broker that is away is.
 */

/** Where a broker listens. `host` has no brackets, also when it is an IPv6 address. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** An address, or the clause that says why it is none; the clause does not quote it. */
export type ParsedAddress = HostPort | { readonly problem: string };

const PORT_MAX = 65_535;
/** Host names, IPv4 addresses, and what is between the brackets of an IPv6 address (with a zone). */
const HOST = /^[\p{L}\p{N}_]([\p{L}\p{N}_.-]*[\p{L}\p{N}_.])?$/u;
const IPV6 = /^[0-9a-f:.]*:[0-9a-f:.]*(%[\w.-]+)?$/i;

/** Reads one address. */
export function parseBrokerAddress(text: string): ParsedAddress {
  if (text === "") return { problem: "is empty: leave the extra comma out" };
  if (/:\/\//.test(text))
    return { problem: "is a URL: write host:port, without what is before ://" };
  const bracketed = /^\[(?<host>[^\]]*)\](?<rest>.*)$/.exec(text)?.groups;
  if (bracketed === undefined && text.split(":").length > 2) {
    return { problem: "is an IPv6 address without brackets: write [address]:port" };
  }
  const colon = text.indexOf(":");
  const host = bracketed?.["host"] ?? (colon < 0 ? text : text.slice(0, colon));
  const rest = bracketed?.["rest"] ?? (colon < 0 ? "" : text.slice(colon));
  if (!(bracketed === undefined ? HOST : IPV6).test(host)) {
    return { problem: "has no host that can be looked up: write host:port" };
  }
  if (rest === "") return { problem: "has no port: write host:port, such as localhost:9092" };
  const port = /^:\d{1,5}$/.test(rest) ? Number(rest.slice(1)) : 0;
  if (port < 1 || port > PORT_MAX) return { problem: `has no port between 1 and ${PORT_MAX}` };
  return { host, port };
}

/** The items of `kafka.bootstrap_servers`: separated by commas, spaces around them do not count. */
export function splitServers(text: string): string[] {
  return text.split(",").map((server) => server.trim());
}
