/** Columns that one turn of the kernel holds in registers: eight of four float32 values. */
export const LANES = 32;

const REGISTERS = LANES / 4;
/** Bytes of one row within a stretch, and the shift that makes a row's number its place. */
const STRETCH_ROW_BYTES = LANES * Float32Array.BYTES_PER_ELEMENT;
const STRETCH_ROW_SHIFT = Math.log2(STRETCH_ROW_BYTES);

/** Types and opcodes, https://webassembly.github.io/spec/core/binary/instructions.html. */
const I32 = 0x7f;
const V128 = 0x7b;
const NO_RESULT = 0x40;
const BLOCK = 0x02;
const LOOP = 0x03;
const END = 0x0b;
const BRANCH = 0x0c;
const BRANCH_IF = 0x0d;
const I32_LOAD = [0x28, 2, 0];
const I32_GE_U = 0x4f;
const I32_ADD = 0x6a;
const I32_SHL = 0x74;
/** v128.load32_splat: one float32 in all four places. */
const LOAD_SPLAT = [0xfd, 0x09, 2, 0];
const F32X4_ADD = [0xfd, 0xe4, 0x01];
const F32X4_MUL = [0xfd, 0xe6, 0x01];

/** Parameters: byte addresses, but for `count`. */
const [SUM, SUM_END, MATRIX, STRETCH_BYTES, WEIGHTS, ROWS, COUNT] = [0, 1, 2, 3, 4, 5, 6];
/** Local variables: where the loop over the rows is and ends, the weight at hand, and the first of the registers. */
const [WEIGHT_AT, ROW_AT, WEIGHTS_END, PLACE] = [7, 8, 9, 10];
const WEIGHT = 11;
const FIRST_REGISTER = 12;

/** Bytes of a module, nested as it suits whoever writes them. */
type Code = number | readonly Code[];

/**
 * A WebAssembly module, made here because it is one small function. It imports its memory as `row.memory` and exports `add`,
 * which adds `count` weighted rows of a matrix to `sum`:
 *
 *     for each stretch of 32 columns: for each i < count: sum[columns] += weights[i] * matrix[rows[i]][columns]
 *
 * Every product and sum is rounded to float32 on its own, so that each machine gets the same bits.
 */
export const rowSumKernel: Uint8Array<ArrayBuffer> = new Uint8Array(
  flat([
    [0x00, ascii("asm"), 1, 0, 0, 0],
    section(1, [0x60, 7, I32, I32, I32, I32, I32, I32, I32, 0]),
    section(2, [name("row"), name("memory"), 0x02, 0x00, 1]),
    section(3, [0]),
    section(7, [name("add"), 0x00, 0]),
    section(10, sized([2, [4, I32], [1 + REGISTERS, V128], addRows(), END])),
  ]),
);

function addRows(): Code {
  return whileLess(SUM, SUM_END, [
    registers((register, at) => [get(SUM), load(at), set(register)]),
    [get(WEIGHTS), set(WEIGHT_AT), get(ROWS), set(ROW_AT)],
    [get(WEIGHTS), get(COUNT), constant(2), I32_SHL, I32_ADD, set(WEIGHTS_END)],
    whileLess(WEIGHT_AT, WEIGHTS_END, [
      [get(WEIGHT_AT), LOAD_SPLAT, set(WEIGHT)],
      [get(MATRIX), get(ROW_AT), I32_LOAD, constant(STRETCH_ROW_SHIFT), I32_SHL, I32_ADD],
      set(PLACE),
      registers((register, at) => [
        [get(register), get(PLACE), load(at), get(WEIGHT), F32X4_MUL, F32X4_ADD],
        set(register),
      ]),
      increase(WEIGHT_AT, constant(4)),
      increase(ROW_AT, constant(4)),
    ]),
    registers((register, at) => [get(SUM), get(register), store(at)]),
    increase(SUM, constant(STRETCH_ROW_BYTES)),
    increase(MATRIX, get(STRETCH_BYTES)),
  ]);
}

/** The same instructions for each register, given its number and the bytes between the first column and its own. */
function registers(body: (register: number, at: number) => Code): Code {
  return Array.from({ length: REGISTERS }, (_, index) => body(FIRST_REGISTER + index, index * 16));
}

function whileLess(variable: number, end: number, body: Code): Code {
  const leave = [get(variable), get(end), I32_GE_U, BRANCH_IF, 1];
  return [BLOCK, NO_RESULT, LOOP, NO_RESULT, leave, body, BRANCH, 0, END, END];
}

function increase(variable: number, by: Code): Code {
  return [get(variable), by, I32_ADD, set(variable)];
}

function get(variable: number): Code {
  return [0x20, variable];
}

function set(variable: number): Code {
  return [0x21, variable];
}

/** i32.const of a number from 0 on. In signed LEB128 the second highest bit of the last byte is the sign. */
function constant(value: number): Code {
  return [0x41, leb128(value, 64)];
}

/** v128.load, for addresses that are multiples of 16. */
function load(offset: number): Code {
  return [0xfd, 0x00, 4, leb128(offset)];
}

/** v128.store. */
function store(offset: number): Code {
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
