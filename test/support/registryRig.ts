/** A decoder of a registry's format, behind a registry that is faked. */
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, RecordBytes } from "#decode/decoder.ts";
import { formatOf, keyFormatOf } from "#decode/formatOf.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { SchemaRegistry } from "#decode/registry/registry.ts";
import { createRegistryFake, type RegistryFake } from "../fakes/schemaRegistry.ts";
import { SimClock } from "../sim/simClock.ts";
import { type Decoded, decodeAll } from "./avroRows.ts";
import { recordBatch } from "./records.ts";

/** A decoder and its registry. */
export interface RegistryRig {
  readonly server: RegistryFake;
  readonly decoder: Decoder;
  /** A batch, after what it needs was asked for. */
  prepared(values: readonly Uint8Array[]): Promise<RecordBytes>;
  /** Decodes values. */
  decode(values: readonly Uint8Array[]): Promise<Decoded>;
}

/** A decoder without metadata columns, unless they are asked for. */
export function registryRig(
  format: DecoderOptions["format"],
  more: Partial<DecoderOptions> = {},
): RegistryRig {
  const server = createRegistryFake();
  const clock = new SimClock(0, () => undefined);
  const parts = { clock, random: seededRandom(1), log: silentLogger, observe: ignoreObservations };
  const settings = { urls: ["http://r.test"], auth: { type: "none" }, ca: null } as const;
  const policy = { cacheTtlMs: 1000, strategy: "topic-name", onMissing: "dead_letter" } as const;
  const registry = new SchemaRegistry({ ...settings, ...policy }, { ...parts, http: server.http });
  const options: DecoderOptions = { ...DECODER_DEFAULTS, format, metadataColumns: [], ...more };
  const decoder = createDecoder(
    options,
    formatOf(options, registry),
    keyFormatOf(options, registry),
  );
  const prepared = async (values: readonly Uint8Array[]): Promise<RecordBytes> => {
    const batch = recordBatch(values);
    for (let next = decoder.prepare?.(batch); next; next = decoder.prepare?.(batch)) await next;
    return batch;
  };
  const decode = async (values: readonly Uint8Array[]): Promise<Decoded> =>
    decodeAll(decoder, await prepared(values));
  return { server, decoder, prepared, decode };
}
