import {
  constant,
  get,
  I32_LOAD,
  I32X4_ADD,
  I32X4_DOT_I16X8,
  increase,
  load,
  loadBytesWide,
  set,
  store,
  V128_ZERO,
  wasmKernel,
  whileLess,
  type Code,
  type WasmKernel,
} from "../lib/wasm-code.ts";

/** Codes that one turn of the inner loop takes; rows are padded to multiples of it. */
export const CODES_PER_TURN = 32;

/** Places that a row's sum is spread over. */
export const LANES = 4;

/** Parameters: byte addresses. */
const [PLACES, PLACES_END, OUT, QUERY, QUERY_END] = [0, 1, 2, 3, 4];
/** Local variables: where in the row and in the query the loop is, and two sums. */
const [ROW, AT, EVEN, ODD] = [5, 6, 7, 8];

/**
 * A WebAssembly module that imports its memory as `codes.memory` and exports `scores`, which multiplies rows of int8 that
 * lie anywhere with a query of int16:
 *
 *     for each place, the address of a row: the sum of out[0..3] = sum over the columns of row[column] * query[column]
 *
 * Two sums are under way at once, since each addition waits for the one before.
 */
export const codeScoresKernel: WasmKernel = wasmKernel({
  importFrom: "codes",
  name: "scores",
  parameters: 5,
  i32s: 2,
  v128s: 2,
  body: whileLess(PLACES, PLACES_END, [
    [get(PLACES), I32_LOAD, set(ROW)],
    [get(QUERY), set(AT)],
    [V128_ZERO, set(EVEN), V128_ZERO, set(ODD)],
    whileLess(AT, QUERY_END, [
      [multiplyEight(0, EVEN), multiplyEight(8, ODD)],
      [multiplyEight(16, EVEN), multiplyEight(24, ODD)],
      increase(ROW, constant(CODES_PER_TURN)),
      increase(AT, constant(CODES_PER_TURN * Int16Array.BYTES_PER_ELEMENT)),
    ]),
    [get(OUT), get(EVEN), get(ODD), I32X4_ADD, store(0)],
    increase(OUT, constant(LANES * Int32Array.BYTES_PER_ELEMENT)),
    increase(PLACES, constant(Int32Array.BYTES_PER_ELEMENT)),
  ]),
});

/** Adds the products of the eight columns from `offset` on. */
function multiplyEight(offset: number, sum: number): Code {
  const query = [get(AT), load(offset * Int16Array.BYTES_PER_ELEMENT)];
  const row = [get(ROW), loadBytesWide(offset)];
  return [get(sum), row, query, I32X4_DOT_I16X8, I32X4_ADD, set(sum)];
}
