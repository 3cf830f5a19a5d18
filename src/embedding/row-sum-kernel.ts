import {
  constant,
  F32X4_ADD,
  F32X4_MUL,
  get,
  I32_ADD,
  I32_LOAD,
  I32_SHL,
  increase,
  load,
  LOAD_SPLAT,
  set,
  store,
  wasmKernel,
  whileLess,
  type Code,
  type WasmKernel,
} from "../lib/wasm-code.ts";

/** Columns that one turn of the kernel holds in registers: eight of four float32 values. */
export const LANES = 32;

const REGISTERS = LANES / 4;
/** Bytes of one row within a stretch, and the shift that makes a row's number its place. */
const STRETCH_ROW_BYTES = LANES * Float32Array.BYTES_PER_ELEMENT;
const STRETCH_ROW_SHIFT = Math.log2(STRETCH_ROW_BYTES);

/** Parameters: byte addresses, but for `count`. */
const [SUM, SUM_END, MATRIX, STRETCH_BYTES, WEIGHTS, ROWS, COUNT] = [0, 1, 2, 3, 4, 5, 6];
/** Local variables: where the loop over the rows is and ends, the weight at hand, and the first of the registers. */
const [WEIGHT_AT, ROW_AT, WEIGHTS_END, PLACE] = [7, 8, 9, 10];
const WEIGHT = 11;
const FIRST_REGISTER = 12;

/**
 * A WebAssembly module, made here because it is one small function. It imports its memory as `row.memory` and exports `add`,
 * which adds `count` weighted rows of a matrix to `sum`:
 *
 *     for each stretch of 32 columns: for each i < count: sum[columns] += weights[i] * matrix[rows[i]][columns]
 *
 * Every product and sum is rounded to float32 on its own, so that each machine gets the same bits.
 */
export const rowSumKernel: WasmKernel = wasmKernel({
  importFrom: "row",
  name: "add",
  parameters: 7,
  i32s: 4,
  v128s: 1 + REGISTERS,
  body: addRows(),
});

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
