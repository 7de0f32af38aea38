/**
 * Compression on a thread pool would make the order of events depend on the machine: import this
 * before anything is run, and Avro files are deflated at once.
 */
import { mock } from "bun:test";
import * as zlib from "node:zlib";

type Done = (error: null, result: Buffer) => void;
const atOnce =
  (run: (bytes: Uint8Array) => Buffer) =>
  (bytes: Uint8Array, ...rest: unknown[]): void =>
    (rest.at(-1) as Done)(null, run(bytes));
const { deflateRawSync, inflateRawSync } = zlib;
void mock.module("node:zlib", () => ({
  ...zlib,
  deflateRaw: atOnce((bytes) => deflateRawSync(bytes)),
  inflateRaw: atOnce((bytes) => inflateRawSync(bytes)),
}));
