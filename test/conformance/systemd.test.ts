/**
 * The process and its unit before systemd's own judges: datagrams at a socket that another program holds,
 * `systemd-analyze security` of the unit that is shipped.
 */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../scripts/services/process.ts";

/** Prints each datagram as a line of JSON, the path and an abstract name first tried alike. */
const RECEIVER = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print("bound", flush=True)
while True:
    print(json.dumps(s.recv(4096).decode()), flush=True)
`;

async function heard(name: string, folder: string): Promise<string[]> {
  const receiver = Bun.spawn(["python3", "-c", RECEIVER, name], { stdout: "pipe" });
  const lines: string[] = [];
  const text = new TextDecoder();
  const reader = receiver.stdout.getReader();
  const until = async (isEnough: () => boolean): Promise<void> => {
    while (!isEnough()) {
      const { value, done } = await reader.read();
      if (done) return;
      lines.push(...text.decode(value).split("\n").filter(Boolean));
    }
  };
  await until(() => lines.includes("bound"));
  const product = Bun.spawn(
    [
      process.execPath,
      "src/main.ts",
      "run",
      "--kafka-topic",
      "t",
      "--kafka-bootstrap-servers",
      "127.0.0.1:1",
      "--warehouse-path",
      join(folder, "wh"),
      "--set",
      `state.dir=${join(folder, "state")}`,
      "--set",
      "server.health_address=",
      "--set",
      "server.metrics_address=",
    ],
    {
      env: { ...process.env, NOTIFY_SOCKET: name, WATCHDOG_USEC: "1000000" },
      stdout: "ignore",
      stderr: "ignore",
    },
  );
  await until(() => lines.some((line) => line.includes("WATCHDOG=1")));
  product.kill("SIGTERM");
  await until(() => lines.some((line) => line.includes("STOPPING=1")));
  expect(await product.exited).toBe(0);
  receiver.kill();
  return lines.slice(1).map((line) => JSON.parse(line) as string);
}

test("a service manager hears of start, watchdog and stop, by path and by abstract name", async () => {
  const folder = mkdtempSync(join(tmpdir(), "notify-"));
  for (const name of [join(folder, "notify"), `@kafka-iceberg-${process.pid}`]) {
    const lines = await heard(name, mkdtempSync(join(folder, "run-")));
    expect(lines[0]).toBe("READY=1\nSTATUS=Starting, or waiting for a service: see /health");
    expect(lines[1]).toStartWith("WATCHDOG=1\nSTATUS=Starting");
    expect(lines.some((line) => line.startsWith("STOPPING=1\n"))).toBe(true);
  }
  rmSync(folder, { recursive: true });
}, 60_000);

test("systemd's analysis gives the unit an exposure of at most 2.0", async () => {
  const unit = "deploy/systemd/kafka-iceberg.service";
  const out = await run(["systemd-analyze", "security", "--offline=yes", "--threshold=20", unit]);
  expect(Number(/exposure level for .*: ([0-9.]+)/.exec(out)?.[1])).toBeLessThanOrEqual(2);
});
