/** Processors whose WebAssembly has no vectors. */
import { expect, test } from "bun:test";

test("a processor without vectors gets the readers that need none", async () => {
  const said = async (useWasmSIMD: string): Promise<string> => {
    const script =
      'const { KERNELS_ON, VECTORS } = await import("#base/kernelSwitch.ts"); console.log(KERNELS_ON, VECTORS);';
    const { KAFKA_ICEBERG_KERNEL: _, ...variables } = process.env;
    const env = { ...variables, BUN_JSC_useWasmSIMD: useWasmSIMD };
    const child = Bun.spawn([process.execPath, "-e", script], { env, stdout: "pipe" });
    return (await new Response(child.stdout).text()).trim();
  };
  expect(await said("1")).toBe("true true");
  expect(await said("0")).toBe("false false");
});
