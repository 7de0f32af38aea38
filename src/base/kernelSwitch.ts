/**
 * Whether the WebAssembly kernels are used. `KAFKA_ICEBERG_KERNEL=off` runs everything in TypeScript
 * and parquet-wasm, with the same results: that is how the test suite runs twice, and how a suspicion
 * against a kernel is checked on a machine.
 *
 * So it does on a processor that cannot run them: WebAssembly's SIMD needs AVX on x64 (from 2011 on).
 */

/** A function that makes a vector, as small as a module can be. */
const VECTOR_MODULE = Uint8Array.fromHex(
  "0061736d010000000105016000017b030201000a0a0108004100fd0ffd620b",
);

/** Whether this processor's WebAssembly has vectors. */
export const VECTORS: boolean = WebAssembly.validate(VECTOR_MODULE);

/** True unless the environment says `KAFKA_ICEBERG_KERNEL=off`, or the processor has no vectors. */
export const KERNELS_ON: boolean = process.env["KAFKA_ICEBERG_KERNEL"] !== "off" && VECTORS;
