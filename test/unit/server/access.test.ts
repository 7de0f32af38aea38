/** Who is let in, and who only looks as if. */
import { describe, expect, test } from "bun:test";
import { isLoopback, refusal } from "#server/access.ts";

/** A program on this machine, unless told otherwise. */
function asked(
  access: Parameters<typeof refusal>[0],
  headers: Readonly<Record<string, string>> = {},
  more: { listenerHost?: string; address?: string; token?: string } = {},
): string | null {
  const { listenerHost = "127.0.0.1", address = "127.0.0.1", token = "" } = more;
  const all = new Headers({ host: "localhost:8080", ...headers });
  return refusal(access, { listenerHost, address, headers: all }, token);
}

describe("a route for this machine", () => {
  test("lets programs on it in, by any of its names", () => {
    for (const host of ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"]) {
      expect(asked("local", { host })).toBeNull();
      expect(asked("token", { host }, { listenerHost: "::1", address: "::1" })).toBeNull();
    }
  });

  test("does not believe in loopback when the listener is reachable from elsewhere", () => {
    // A proxy in the same container, or a port that a container engine forwards, is on loopback too.
    for (const listenerHost of ["0.0.0.0", "::", "10.0.0.7", "sink.example"]) {
      expect(asked("token", {}, { listenerHost })).toContain("reachable from elsewhere");
      expect(asked("local", {}, { listenerHost })).not.toBeNull();
    }
  });

  test("does not believe a proxy on loopback", () => {
    const standard = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
    const others = ["x-forwarded-proto", "x-forwarded", "x-client-ip", "true-client-ip"];
    const networks = ["cf-connecting-ip", "fastly-client-ip", "x-cluster-client-ip", "cdn-loop"];
    for (const name of [...standard, ...others, ...networks]) {
      expect(asked("token", { [name]: "198.51.100.7" })).toContain(name);
    }
  });

  test("does not answer a page of another site that a browser on this machine shows", () => {
    expect(asked("local", { origin: "https://evil.example" })).toContain("another site");
    expect(asked("local", { origin: "null" })).toContain("another site");
    expect(asked("local", { origin: "http://localhost:9999" })).toContain("another site");
    expect(asked("local", { "sec-fetch-site": "cross-site" })).toContain("another site");
    expect(asked("local", { "sec-fetch-site": "same-site" })).toContain("another site");
    expect(asked("local", { origin: "http://localhost:8080" })).toBeNull();
    expect(asked("local", { "sec-fetch-site": "none" })).toBeNull();
  });

  test("does not answer a foreign name that was made to point here", () => {
    expect(asked("local", { host: "evil.example:8080" })).toContain("evil.example");
    expect(asked("token", { host: "127.0.0.1.evil.example" })).toContain("evil.example");
  });

  test("does not answer clients elsewhere", () => {
    for (const address of ["10.0.0.8", "", "::ffff:10.0.0.8", "2001:db8::1"]) {
      expect(asked("local", {}, { address })).toContain("elsewhere");
    }
  });
});

describe("a route for the token", () => {
  const from = { listenerHost: "0.0.0.0", address: "10.0.0.8", token: "hunter2" };

  test("lets in whoever shows it, from anywhere and through any proxy", () => {
    const headers = { authorization: "Bearer hunter2", via: "1.1 p", host: "sink.example" };
    expect(asked("token", headers, from)).toBeNull();
  });

  test("refuses others and tells what to show, but not what", () => {
    for (const authorization of [
      "",
      "Bearer wrong",
      "Bearer hunter3",
      "hunter2",
      "Bearer hunter",
    ]) {
      const reason = asked("token", { authorization }, from);
      expect(reason).toContain("server.query_token");
      expect(reason).not.toContain("hunter2");
    }
  });

  test("is no use where there is none, or where only this machine may ask", () => {
    expect(asked("token", { authorization: "Bearer " }, { ...from, token: "" })).not.toBeNull();
    expect(asked("local", { authorization: "Bearer hunter2" }, from)).not.toBeNull();
  });
});

test("a public route asks nothing", () => {
  expect(asked("public", { origin: "null" }, { address: "", listenerHost: "::" })).toBeNull();
});

test("only whole addresses of loopback are loopback", () => {
  expect(["127.1.2.3", "::ffff:127.0.0.1", "[::1]"].every(isLoopback)).toBe(true);
  expect(["127.0.0.1.x", "128.0.0.1", "127.", "localhost.evil", ""].some(isLoopback)).toBe(false);
});
