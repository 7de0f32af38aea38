/**
 * Rows -> one Parquet file, in the calling thread: {@link encodeParquet}, and the encoder for tests.
 *
 * The encode kernel writes it (`kernel/encode.ts`), or `parquet-wasm` what that does not take
 * (`reference.ts`): brotli at its default level, structs without fields. Either way row
 * group by row group while batches arrive. The production encoder (`pool.ts`) runs the same function
 * in a Worker.
 */
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import type { Field } from "#columns/schema.ts";
import type { BatchSource } from "./columnData.ts";
import type {
  ByteSink,
  EncodedFile,
  EncodeOptions,
  OpenFileOptions,
  ParquetEncoder,
} from "./encoder.ts";
import { batchesOf } from "./handover.ts";
import { encodeWithKernel, KernelFile, kernelTakes } from "./kernel/encode.ts";
import { encodeReference } from "./reference.ts";
import { sorted } from "./sort.ts";

/**
 * Encodes the batches as one file, whose bytes go to `sink` while they are made. `fields` carry the
 * table's ids and match the columns by position. Errors: what the sink throws, `table_unsupported`
 * for a struct without fields, `internal` when columns and fields do not fit.
 */
export function encodeParquet(
  fields: readonly Field[],
  batches: BatchSource,
  options: EncodeOptions,
  sink: ByteSink,
): Promise<EncodedFile> {
  const { kernel = KERNELS_ON } = options;
  const encode = kernel && kernelTakes(fields, options) ? encodeWithKernel : encodeReference;
  const { sort = [] } = options;
  return encode(fields, sort.length > 0 ? sorted(fields, batches, sort) : batches, options, sink);
}

/** True for files that may be encoded by and by: those that the kernel writes. */
export function canStayOpen(fields: readonly Field[], options: OpenFileOptions): boolean {
  const { kernel = KERNELS_ON } = options;
  return kernel && kernelTakes(fields, options);
}

/** An encoder in the calling thread, for tests and for processes that do nothing else: it blocks while it encodes. */
export function createInlineEncoder(): ParquetEncoder {
  return {
    encode: (fields, slices, options, sink) =>
      encodeParquet(fields, batchesOf(fields, slices), options, sink),
    open: (fields, options) => {
      if (!canStayOpen(fields, options)) return null;
      const file = new KernelFile(fields, options);
      return {
        append: (slices, sink) => file.append(batchesOf(fields, slices), sink),
        finish: async (slices, metadata, sink) => {
          await file.append(batchesOf(fields, slices), sink);
          return await file.finish(metadata, sink);
        },
        discard: () => undefined,
      };
    },
    close: () => Promise.resolve(),
  };
}
