/** What an executable says about itself in its first bytes: its system, processor and loader (ELF, Mach-O). */
import type { Target } from "./targets.ts";

const ELF_MAGIC = 0x7f_45_4c_46;
const MACH_O_MAGIC = 0xcf_fa_ed_fe;
const ELF_PROCESSORS: Readonly<Record<number, string>> = { 62: "x64", 183: "arm64" };
const MACH_O_PROCESSORS: Readonly<Record<number, string>> = {
  16777223: "x64",
  16777228: "arm64",
};
const PROGRAM_INTERPRETER = 3;
const LOAD_COMMANDS_AT = 32;
const CODE_SIGNATURE = 0x1d;

/** An executable's own account. */
export interface NativeFile {
  readonly format: "ELF" | "Mach-O";
  readonly processor: string;
  /** ELF: the program that loads it; null: none is named. */
  readonly loader: string | null;
  /** Mach-O: whether it is signed, as arm64 demands. */
  readonly signed: boolean;
}

/** Reads it. @throws Error it is neither */
export function readNativeFile(bytes: Uint8Array): NativeFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) === ELF_MAGIC) return elf(view, bytes);
  if (view.getUint32(0) === MACH_O_MAGIC) return machO(view);
  throw new Error("neither ELF nor Mach-O of 64 bits");
}

/** Why a file is no executable for a target; null: it is one. */
export function mismatch(bytes: Uint8Array, { processor, loader }: Target): string | null {
  const found = readNativeFile(bytes);
  const wanted = loader === null ? "Mach-O" : "ELF";
  if (found.format !== wanted) return `is ${found.format}, not ${wanted}`;
  if (found.processor !== processor) return `is for ${found.processor}, not ${processor}`;
  if (found.loader !== loader) return `is loaded by ${found.loader}, not ${loader}`;
  return wanted === "Mach-O" && !found.signed ? "is not signed" : null;
}

function elf(view: DataView, bytes: Uint8Array): NativeFile {
  const processor = ELF_PROCESSORS[view.getUint16(18, true)] ?? "another processor";
  const headersAt = Number(view.getBigUint64(32, true));
  const [size, count] = [view.getUint16(54, true), view.getUint16(56, true)];
  const headers = Array.from({ length: count }, (_, index) => headersAt + index * size);
  const at = headers.find((each) => view.getUint32(each, true) === PROGRAM_INTERPRETER);
  if (at === undefined) return { format: "ELF", processor, loader: null, signed: false };
  const begin = Number(view.getBigUint64(at + 8, true));
  const end = begin + Number(view.getBigUint64(at + 32, true)) - 1;
  const loader = new TextDecoder().decode(bytes.subarray(begin, end));
  return { format: "ELF", processor, loader, signed: false };
}

function machO(view: DataView): NativeFile {
  const processor = MACH_O_PROCESSORS[view.getUint32(4, true)] ?? "another processor";
  let at = LOAD_COMMANDS_AT;
  let signed = false;
  for (let left = view.getUint32(16, true); left > 0; left--) {
    signed ||= view.getUint32(at, true) === CODE_SIGNATURE;
    at += view.getUint32(at + 4, true);
  }
  return { format: "Mach-O", processor, loader: null, signed };
}
