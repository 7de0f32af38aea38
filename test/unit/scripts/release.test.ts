/** What is released: parts of natives, headers, the changelog's section, the install script. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { changesOf } from "../../../scripts/release/changes.ts";
import { processorPart } from "../../../scripts/release/library.ts";
import { mismatch, readNativeFile } from "../../../scripts/release/nativeFile.ts";
import { ownTarget, TARGETS, targetNamed } from "../../../scripts/release/targets.ts";
import { run } from "../../../scripts/services/process.ts";

const folder = mkdtempSync(join(tmpdir(), "release-unit-"));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("natives", () => {
  test("an ELF executable says its processor and loader, and is for no other target", () => {
    const bytes = elf(0xb7, "/lib/ld-musl-aarch64.so.1");
    expect(mismatch(bytes, targetNamed("linux-arm64-musl"))).toBeNull();
    const others = TARGETS.filter(({ name }) => name !== "linux-arm64-musl");
    expect(others.map((target) => mismatch(bytes, target) !== null)).not.toContain(false);
  });

  test("a Mach-O executable must be signed", () => {
    const [signed, bare] = [machO(0x1d), machO(0x02)];
    expect(mismatch(signed, targetNamed("darwin-arm64"))).toBeNull();
    expect(mismatch(bare, targetNamed("darwin-arm64"))).toBe("is not signed");
    expect(mismatch(signed, targetNamed("darwin-x64"))).toBe("is for arm64, not x64");
  });

  test("what runs this test is for this machine", async () => {
    const bytes = await Bun.file(process.execPath).bytes();
    expect(readNativeFile(bytes).processor).toBe(ownTarget().processor);
  });

  test("of a universal library only the processor's part travels", () => {
    const bytes = new Uint8Array(300).fill(9, 100, 200).fill(7, 200);
    const view = new DataView(bytes.buffer);
    const words = [0xca_fe_ba_be, 2, 0x01_00_00_07, 3, 100, 100, 12, 0x01_00_00_0c, 0, 200, 100];
    for (const [index, word] of words.entries()) view.setUint32(index * 4, word);
    expect(processorPart(bytes, "x64")).toEqual(new Uint8Array(100).fill(9));
    expect(processorPart(bytes, "arm64")).toEqual(new Uint8Array(100).fill(7));
    expect(processorPart(bytes.subarray(100), "arm64")).toHaveLength(200);
  });
});

test("the changelog's section of a version, and of no other one", () => {
  const text = "# Changelog\n\n## 1.2.0 (2026)\n\n- new\n\n## 1.1.0\n\n- old\n";
  expect(changesOf(text, "1.2.0")).toBe("- new\n");
  expect(changesOf(text, "1.1.0")).toBe("- old\n");
  expect(() => changesOf(text, "1.2")).toThrow("says nothing about 1.2");
});

describe("install.sh", () => {
  test("puts the executable of this system into a folder", async () => {
    const { from, to } = await published();
    expect(await install(from, to)).toMatchObject({
      code: 0,
      out: `fake 1.0: ${to}/kafka-iceberg\n`,
    });
    expect(await run([join(to, "kafka-iceberg"), "--version"])).toBe("fake 1.0\n");
  });

  test("installs nothing that is not what SHA256SUMS says", async () => {
    const { from, to, archive } = await published();
    writeFileSync(archive, "something else");
    const { code, err } = await install(from, to);
    expect(code).toBe(1);
    expect(err).toContain("is not what SHA256SUMS says: nothing was installed");
    expect(existsSync(join(to, "kafka-iceberg"))).toBe(false);
  });

  test("says what is missing", async () => {
    const { from } = await published();
    expect((await install(from, "/nowhere")).err).toContain("choose one with --to");
    expect((await install("", folder)).err).toContain("say where the release is");
    expect((await install(join(from, "not"), folder)).err).toContain("has no SHA256SUMS");
  });
});

async function published(): Promise<{ from: string; to: string; archive: string }> {
  const [from, to] = [join(folder, "from"), join(folder, "to")];
  const name = `kafka-iceberg-${ownTarget().name}`;
  mkdirSync(join(from, name), { recursive: true });
  mkdirSync(to, { recursive: true });
  writeFileSync(join(from, name, "kafka-iceberg"), "#!/bin/sh\necho fake 1.0\n", { mode: 0o755 });
  await run(["tar", "-czf", `${name}.tar.gz`, name], { cwd: from });
  writeFileSync(
    join(from, "SHA256SUMS"),
    await run(["sha256sum", `${name}.tar.gz`], { cwd: from }),
  );
  return { from, to, archive: join(from, `${name}.tar.gz`) };
}

async function install(
  from: string,
  to: string,
): Promise<{ code: number; out: string; err: string }> {
  const script = resolve("deploy/install.sh");
  const child = Bun.spawn(["sh", script, "--from", from, "--to", to], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}

/** The head of an ELF file with one program header, which names its loader. */
function elf(processor: number, loader: string): Uint8Array {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x7f_45_4c_46);
  view.setUint16(18, processor, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 3, true);
  view.setBigUint64(72, 160n, true);
  view.setBigUint64(96, BigInt(loader.length + 1), true);
  bytes.set(new TextEncoder().encode(loader), 160);
  return bytes;
}

/** The head of a Mach-O file for arm64 with one load command. */
function machO(command: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0xcf_fa_ed_fe);
  view.setUint32(4, 0x01_00_00_0c, true);
  view.setUint32(16, 1, true);
  view.setUint32(32, command, true);
  view.setUint32(36, 16, true);
  return bytes;
}
