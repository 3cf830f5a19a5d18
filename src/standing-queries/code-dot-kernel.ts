import {
  constant,
  get,
  I32X4_ADD,
  I32X4_DOT_I16X8,
  increase,
  LOAD_SPLAT,
  loadBytesWide,
  set,
  store,
  V128_ZERO,
  wasmKernel,
  whileLess,
  type Code,
  type WasmKernel,
} from "../lib/wasm-code.ts";

/** Rows whose sums one turn of the kernel holds in registers: eight of four int32. */
export const BLOCK_ROWS = 32;

const REGISTERS = BLOCK_ROWS / 4;
/** Bytes of two neighbouring columns of a block. */
export const PAIR_BYTES = BLOCK_ROWS * 2;

/** Parameters: byte addresses. */
const [OUT, OUT_END, CODES, VECTOR, VECTOR_END] = [0, 1, 2, 3, 4];
/** Local variables: where in the vector the loop is, its two values at hand, and the first of the registers. */
const AT = 5;
const PAIR = 6;
const FIRST_REGISTER = 7;

/**
 * A WebAssembly module that imports its memory as `codes.memory` and exports `dot`, which multiplies a matrix of int8 with a
 * vector of int16:
 *
 *     for each block of 32 rows: out[row] = sum over the columns of codes[row][column] * vector[column]
 *
 * A block lies in memory by pairs of columns, for each pair its 32 rows with two values each: so every register has the
 * sums of four rows and nothing is added up across lanes.
 */
export const codeDotKernel: WasmKernel = wasmKernel({
  importFrom: "codes",
  name: "dot",
  parameters: 5,
  i32s: 1,
  v128s: 1 + REGISTERS,
  body: multiply(),
});

function multiply(): Code {
  return whileLess(OUT, OUT_END, [
    registers((register) => [V128_ZERO, set(register)]),
    [get(VECTOR), set(AT)],
    whileLess(AT, VECTOR_END, [
      [get(AT), LOAD_SPLAT, set(PAIR)],
      registers((register, index) => [
        [get(CODES), loadBytesWide(index * 8), get(PAIR), I32X4_DOT_I16X8],
        [get(register), I32X4_ADD, set(register)],
      ]),
      increase(CODES, constant(PAIR_BYTES)),
      increase(AT, constant(4)),
    ]),
    registers((register, index) => [get(OUT), get(register), store(index * 16)]),
    increase(OUT, constant(BLOCK_ROWS * Int32Array.BYTES_PER_ELEMENT)),
  ]);
}

/** The same instructions for each register, given its number and its place among them. */
function registers(body: (register: number, index: number) => Code): Code {
  return Array.from({ length: REGISTERS }, (_, index) => body(FIRST_REGISTER + index, index));
}
