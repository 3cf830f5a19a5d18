import { canRun, instantiate, WASM_PAGE_BYTES } from "../lib/wasm-code.ts";
import { assert } from "../problems.ts";
import { LANES, rowSumKernel } from "./row-sum-kernel.ts";

/** Adds up weighted rows of one matrix. Its arrays are filled and read by the caller, and live as long as it. */
export interface RowSum {
  /** Weights of the rows to add, as many as the matrix has rows. */
  readonly weights: Float32Array;
  /** Which rows these are, from 0 on; each row in its turn at first. */
  readonly rows: Int32Array;
  /** What is added to: one value for each column. */
  readonly sum: Float32Array;
  /** Adds the first `count` rows of `rows`, each times its weight. O(count x columns), 0.1 µs for a thousand products. */
  add(count: number): void;
}

/** A matrix in row order or, where a row's values do not follow each other, in any other. */
export interface Matrix {
  values: Float32Array;
  rows: number;
  /** A multiple of 32. */
  columns: number;
  /** Values between two rows, and between two columns. */
  rowStep: number;
  columnStep: number;
}

const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;
const hasVectors = canRun(rowSumKernel);

/**
 * Copies a matrix to where the kernel reaches it. With vector instructions, which JavaScript does not have, 98,304 products
 * take 7 to 11 µs; eight sums at once in JavaScript took 45, and the loop for processors without them takes 80. Both kernels
 * give the same bits.
 * @param kernel what to compute with; the fastest that this processor has if it is left out
 */
export function createRowSum(
  matrix: Matrix,
  kernel: "vectors" | "scalars" = hasVectors ? "vectors" : "scalars",
): RowSum {
  const { rows: rowCount, columns } = matrix;
  assert(columns % LANES === 0, "the columns of a row sum come in whole stretches");
  const matrixBytes = rowCount * columns * FLOAT_BYTES;
  // The sum follows the matrix, so that both begin at multiples of 16.
  const sumAt = matrixBytes;
  const weightsAt = sumAt + columns * FLOAT_BYTES;
  const rowsAt = weightsAt + rowCount * FLOAT_BYTES;
  const pages = Math.ceil((rowsAt + rowCount * Int32Array.BYTES_PER_ELEMENT) / WASM_PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const stretches = new Float32Array(memory.buffer, 0, rowCount * columns);
  fillStretches(stretches, matrix);
  const sum = new Float32Array(memory.buffer, sumAt, columns);
  const weights = new Float32Array(memory.buffer, weightsAt, rowCount);
  const rows = new Int32Array(memory.buffer, rowsAt, rowCount);
  for (let row = 0; row < rowCount; row++) rows[row] = row;
  const arrays = { weights, rows, sum };
  const addInVectors = kernel === "vectors" ? instantiate(rowSumKernel, memory) : undefined;
  const stretchBytes = rowCount * LANES * FLOAT_BYTES;
  const add = (count: number): void => {
    // With more the kernel would read what lies behind the arrays.
    assert(count <= rowCount, "a row sum has no more rows than its matrix");
    if (addInVectors === undefined) addInScalars({ ...arrays, stretches }, count);
    else addInVectors(sumAt, weightsAt, 0, stretchBytes, weightsAt, rowsAt, count);
  };
  return { ...arrays, add };
}

/** Stretches of 32 columns one after the other, each with all of its rows: so the kernel reads memory in order. */
function fillStretches(stretches: Float32Array, matrix: Matrix): void {
  const { values, rows, columns, rowStep, columnStep } = matrix;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const lane = column % LANES;
      stretches[(column - lane) * rows + row * LANES + lane] =
        values[row * rowStep + column * columnStep] ?? 0;
    }
  }
}

function addInScalars(
  arrays: { weights: Float32Array; rows: Int32Array; sum: Float32Array; stretches: Float32Array },
  count: number,
): void {
  const { weights, rows, sum, stretches } = arrays;
  const stretchLength = weights.length * LANES;
  for (let first = 0, start = 0; first < sum.length; first += LANES, start += stretchLength) {
    for (let index = 0; index < count; index++) {
      const weight = weights[index] ?? 0;
      const at = start + (rows[index] ?? 0) * LANES;
      for (let lane = 0; lane < LANES; lane++) {
        const product = Math.fround(weight * (stretches[at + lane] ?? 0));
        sum[first + lane] = (sum[first + lane] ?? 0) + product;
      }
    }
  }
}
