import { describe, expect, test } from "bun:test";
import { rowSumKernel } from "../../../src/embedding/row-sum-kernel.ts";
import { createRowSum, type Matrix } from "../../../src/embedding/row-sum.ts";

/** Numbers in [-1, 1) that are the same in every run. */
function numbers(count: number): Float32Array {
  let state = 20_261;
  return Float32Array.from({ length: count }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return (state / 2_147_483_647) * 2 - 1;
  });
}

const inRows = (rows: number, columns: number): Matrix => ({
  values: numbers(rows * columns),
  rows,
  columns,
  rowStep: columns,
  columnStep: 1,
});
const hasVectors = WebAssembly.validate(rowSumKernel.bytes);
const kernels = hasVectors ? (["vectors", "scalars"] as const) : (["scalars"] as const);

describe.each([...kernels])("with %s", (kernel) => {
  test("adds the chosen rows, each times its weight, to what is there", () => {
    const matrix = inRows(5, 64);
    const rowSum = createRowSum(matrix, kernel);
    rowSum.sum.fill(1);
    rowSum.rows.set([4, 0, 4]);
    rowSum.weights.set([0.5, -2, 0.25]);
    rowSum.add(3);
    for (const [column, value] of rowSum.sum.entries()) {
      const last = matrix.values[4 * 64 + column] ?? Number.NaN;
      const first = matrix.values[column] ?? Number.NaN;
      expect(value).toBeCloseTo(1 + 0.75 * last - 2 * first, 5);
    }
  });

  test("reads a matrix that is stored by column", () => {
    const matrix = inRows(3, 32);
    const transposed = new Float32Array(96);
    for (let row = 0; row < 3; row++) {
      for (let column = 0; column < 32; column++) {
        transposed[column * 3 + row] = matrix.values[row * 32 + column] ?? 0;
      }
    }
    const byRow = createRowSum(matrix, kernel);
    const byColumn = createRowSum(
      { ...matrix, values: transposed, rowStep: 1, columnStep: 3 },
      kernel,
    );
    for (const rowSum of [byRow, byColumn]) {
      rowSum.weights.set([1, 2, 3]);
      rowSum.add(3);
    }
    expect(byColumn.sum).toEqual(byRow.sum);
    expect(byRow.sum.some((value) => value !== 0)).toBe(true);
  });

  test("begins with each row in its turn, and adds nothing for no rows", () => {
    const rowSum = createRowSum(inRows(4, 32), kernel);
    expect([...rowSum.rows]).toEqual([0, 1, 2, 3]);
    rowSum.weights.fill(1);
    rowSum.add(0);
    expect(rowSum.sum.every((value) => value === 0)).toBe(true);
  });
});

test.skipIf(!hasVectors)(
  hasVectors
    ? "both kernels give the same bits"
    : "skipped: this processor has no vector instructions that Bun compiles for",
  () => {
    const matrix = inRows(384, 256);
    const [vectors, scalars] = [createRowSum(matrix, "vectors"), createRowSum(matrix, "scalars")];
    for (const rowSum of [vectors, scalars]) {
      rowSum.weights.set(numbers(384));
      rowSum.rows.reverse();
      rowSum.add(384);
    }
    expect(vectors.sum).toEqual(scalars.sum);
    expect(vectors.sum.every((value) => value !== 0)).toBe(true);
  },
);

test("columns that do not fill the stretches, and more rows than there are, are our own mistake", () => {
  expect(() => createRowSum(inRows(2, 33))).toThrow("whole stretches");
  expect(() => createRowSum(inRows(2, 32)).add(3)).toThrow("no more rows than its matrix");
});
