/** The committed kernels are what their sources compile to. */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

test("every kernel is what the compiler makes of its source (bun run build:kernel)", async () => {
  const outdir = await mkdtemp(join(tmpdir(), "kernel-"));
  try {
    const build = Bun.spawn([process.execPath, "scripts/buildKernel.ts", "--outdir", outdir], {
      stdout: "ignore",
    });
    expect(await build.exited).toBe(0);
    const names = [...new Bun.Glob("*.wasm").scanSync("src/kernel")].sort();
    expect(names).toEqual([...new Bun.Glob("*.wasm").scanSync(outdir)].sort());
    for (const name of names) {
      const [committed, made] = await Promise.all([
        Bun.file(`src/kernel/${name}`).bytes(),
        Bun.file(join(outdir, name)).bytes(),
      ]);
      expect(Buffer.compare(committed, made)).toBe(0);
    }
  } finally {
    await rm(outdir, { recursive: true });
  }
}, 300_000);
