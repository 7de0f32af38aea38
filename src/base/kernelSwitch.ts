/**
 * Whether the WebAssembly kernels are used. `KAFKA_ICEBERG_KERNEL=off` runs everything in TypeScript
 * and parquet-wasm, with the same results: that is how the test suite runs twice, and how a suspicion
 * against a kernel is checked on a machine.
 */

/** True unless the environment says `KAFKA_ICEBERG_KERNEL=off`. */
export const KERNELS_ON: boolean = process.env["KAFKA_ICEBERG_KERNEL"] !== "off";
