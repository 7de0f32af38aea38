/** Memory limits as the kernel shows them: under systemd, in containers, nested, of both versions. */
import { describe, expect, test } from "bun:test";
import { totalmem } from "node:os";
import { cgroupMemoryLimit } from "#config/cgroup.ts";
import { machineMemory } from "#config/memory.ts";

const MIB = 1024 * 1024;
const UNIFIED = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
const LEGACY =
  "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n" +
  "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n" +
  "36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices\n";

/** The kernel's files; sizes in MiB. */
function kernel(
  groups: string,
  mounts: string,
  limits: Readonly<Record<string, number | "max">>,
): (path: string) => Promise<string> {
  const files = new Map<string, string>([
    ["/proc/self/cgroup", groups],
    ["/proc/self/mountinfo", mounts],
    ...Object.entries(limits).map(([path, limit]): [string, string] => [
      path,
      `${limit === "max" ? limit : limit * MIB}\n`,
    ]),
  ]);
  return async (path) => files.get(path) ?? "";
}

describe("the limit of the cgroups (v2)", () => {
  test("is that of the process's own group, as systemd's MemoryMax= sets it", async () => {
    const read = kernel("0::/system.slice/sink.service\n", UNIFIED, {
      "/sys/fs/cgroup/system.slice/sink.service/memory.max": 256,
      "/sys/fs/cgroup/system.slice/memory.max": "max",
    });
    expect(await cgroupMemoryLimit(read)).toBe(256 * MIB);
  });

  test("is that of a group above when it is smaller", async () => {
    const read = kernel("0::/kubepods/pod1/c1\n", UNIFIED, {
      "/sys/fs/cgroup/kubepods/pod1/c1/memory.max": "max",
      "/sys/fs/cgroup/kubepods/pod1/memory.max": 512,
      "/sys/fs/cgroup/kubepods/memory.max": 4096,
    });
    expect(await cgroupMemoryLimit(read)).toBe(512 * MIB);
  });

  test("counts memory.high, above which the kernel slows the process down", async () => {
    const read = kernel("0::/a\n", UNIFIED, {
      "/sys/fs/cgroup/a/memory.max": 512,
      "/sys/fs/cgroup/a/memory.high": 300,
    });
    expect(await cgroupMemoryLimit(read)).toBe(300 * MIB);
  });

  test("is the top's in a container with a cgroup namespace", async () => {
    const read = kernel("0::/\n", UNIFIED, { "/sys/fs/cgroup/memory.max": 128 });
    expect(await cgroupMemoryLimit(read)).toBe(128 * MIB);
  });

  test("is found where the hierarchy is mounted, a space in its path included", async () => {
    const mounts = "30 24 0:26 / /run/my\\040groups rw - cgroup2 none rw\n";
    const read = kernel("0::/a:b\n", mounts, { "/run/my groups/a:b/memory.max": 64 });
    expect(await cgroupMemoryLimit(read)).toBe(64 * MIB);
  });
});

describe("the limit of the cgroups (v1)", () => {
  test("is the smallest of the process's own group and those above", async () => {
    const read = kernel("4:memory:/jobs/7\n3:devices:/elsewhere\n0::/\n", LEGACY, {
      "/sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes": 300,
      "/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes": 200,
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": 8_796_093_022_207,
    });
    expect(await cgroupMemoryLimit(read)).toBe(200 * MIB);
  });

  test("is the mount's top in a container that shows the host's path", async () => {
    const mounts = "35 31 0:32 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,cpu,memory\n";
    const read = kernel("4:cpu,memory:/docker/1f\n", mounts, {
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": 192,
    });
    expect(await cgroupMemoryLimit(read)).toBe(192 * MIB);
  });
});

describe("what the process may use", () => {
  test("is the machine's memory where no group limits it, or limits it to more", async () => {
    expect(await machineMemory(kernel("", "", {}))).toBe(totalmem());
    const read = kernel("0::/a\n", UNIFIED, { "/sys/fs/cgroup/a/memory.max": 2 ** 40 });
    expect(await machineMemory(read)).toBe(totalmem());
    const none = kernel("0::/a\n", UNIFIED, { "/sys/fs/cgroup/a/memory.max": "max" });
    expect(await cgroupMemoryLimit(none)).toBe(Number.POSITIVE_INFINITY);
  });

  test("is at most what this machine's own kernel says", async () => {
    expect(await machineMemory()).toBeLessThanOrEqual(totalmem());
    expect(await machineMemory()).toBeGreaterThan(0);
  });
});
