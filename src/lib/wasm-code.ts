/**
 * The little of WebAssembly's binary form that kernels of one small function need.
 * Source: https://webassembly.github.io/spec/core/binary/.
 */

/** Bytes of a module, nested as it suits whoever writes them. */
export type Code = number | readonly Code[];

/** Types of values. */
export const I32 = 0x7f;
export const V128 = 0x7b;

export const END = 0x0b;
export const I32_LOAD = [0x28, 2, 0];
export const I32_ADD = 0x6a;
export const I32_SHL = 0x74;
/** v128.load32_splat: the same 32 bits in all four places. */
export const LOAD_SPLAT = [0xfd, 0x09, 2, 0];
export const F32X4_ADD = [0xfd, 0xe4, 0x01];
export const F32X4_MUL = [0xfd, 0xe6, 0x01];
export const I32X4_ADD = [0xfd, 0xae, 0x01];
/** Products of eight pairs of int16, neighbours added: four int32. */
export const I32X4_DOT_I16X8 = [0xfd, 0xba, 0x01];

/** v128.const of nothing but zeros. */
export const V128_ZERO = [0xfd, 0x0c, Array.from({ length: 16 }, () => 0)];

const NO_RESULT = 0x40;
const BLOCK = 0x02;
const LOOP = 0x03;
const BRANCH = 0x0c;
const BRANCH_IF = 0x0d;
const I32_GE_U = 0x4f;

export interface Kernel {
  /** The module its memory is imported from; its name there is `memory`. */
  importFrom: string;
  /** Name of the one function, all of whose parameters are i32. */
  name: string;
  parameters: number;
  /** Further local variables, numbered on from the parameters. */
  i32s: number;
  v128s: number;
  body: Code;
}

/** A kernel as a module, with the names that it is called by. */
export interface WasmKernel extends Pick<Kernel, "importFrom" | "name"> {
  bytes: Uint8Array<ArrayBuffer>;
}

/** A module of one function that works in an imported memory and gives nothing back. */
export function wasmKernel(kernel: Kernel): WasmKernel {
  const { importFrom, name: called } = kernel;
  return { importFrom, name: called, bytes: moduleOf(kernel) };
}

function moduleOf(kernel: Kernel): Uint8Array<ArrayBuffer> {
  const parameters = Array.from({ length: kernel.parameters }, () => I32);
  const locals = [2, [kernel.i32s, I32], [kernel.v128s, V128]];
  return new Uint8Array(
    flat([
      [0x00, ascii("asm"), 1, 0, 0, 0],
      section(1, [0x60, kernel.parameters, parameters, 0]),
      section(2, [name(kernel.importFrom), name("memory"), 0x02, 0x00, 1]),
      section(3, [0]),
      section(7, [name(kernel.name), 0x00, 0]),
      section(10, sized([locals, kernel.body, END])),
    ]),
  );
}

/** Bytes of a page of WebAssembly's memory. */
export const WASM_PAGE_BYTES = 65_536;

/** False on processors without AVX, for which Bun compiles no vector instructions. */
export function canRun({ bytes }: WasmKernel): boolean {
  return WebAssembly.validate(bytes);
}

/** A kernel's function, working in a memory; it takes byte addresses and numbers. */
export function instantiate(
  { bytes, importFrom, name: called }: WasmKernel,
  memory: WebAssembly.Memory,
): (...addresses: number[]) => void {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    [importFrom]: { memory },
  });
  const work = exports[called];
  if (typeof work !== "function") throw new Error(`the kernel exports no function ${called}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of a WebAssembly export TypeScript knows only that it is a function; the kernel's own type section says the rest
  return work as (...addresses: number[]) => void;
}

/** Repeats while one variable is below another, as unsigned numbers. */
export function whileLess(variable: number, end: number, body: Code): Code {
  const leave = [get(variable), get(end), I32_GE_U, BRANCH_IF, 1];
  return [BLOCK, NO_RESULT, LOOP, NO_RESULT, leave, body, BRANCH, 0, END, END];
}

export function increase(variable: number, by: Code): Code {
  return [get(variable), by, I32_ADD, set(variable)];
}

export function get(variable: number): Code {
  return [0x20, variable];
}

export function set(variable: number): Code {
  return [0x21, variable];
}

/** i32.const of a number from 0 on. In signed LEB128 the second highest bit of the last byte is the sign. */
export function constant(value: number): Code {
  return [0x41, leb128(value, 64)];
}

/** v128.load, for addresses that are multiples of 16. */
export function load(offset: number): Code {
  return [0xfd, 0x00, 4, leb128(offset)];
}

/** v128.load8x8_s: eight int8 as int16, for addresses that are multiples of 8. */
export function loadBytesWide(offset: number): Code {
  return [0xfd, 0x01, 3, leb128(offset)];
}

/** v128.store, for addresses that are multiples of 16. */
export function store(offset: number): Code {
  return [0xfd, 0x0b, 4, leb128(offset)];
}

/** A section with one entry. */
function section(id: number, entry: Code): Code {
  return [id, sized([1, entry])];
}

function name(text: string): Code {
  return sized(ascii(text));
}

function sized(code: Code): Code {
  return [leb128(flat(code).length), code];
}

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

function leb128(value: number, lastByteMax = 128): number[] {
  if (value < lastByteMax) return [value];
  return [(value % 128) + 128, ...leb128(value >> 7, lastByteMax)];
}

function flat(code: Code): number[] {
  return typeof code === "number" ? [code] : code.flatMap(flat);
}
