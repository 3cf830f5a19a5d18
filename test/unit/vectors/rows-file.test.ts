import { expect, test } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { finishSteps } from "../../../src/segments/run-steps.ts";
import { endOfChain, noKey, RowsFile, writeRowsFile } from "../../../src/vectors/rows-file.ts";
import { SortedKeys } from "../../../src/vectors/sorted-keys.ts";
import { temporaryFolder } from "../../conformance/segmented.ts";
import { seeded } from "../../conformance/vector-index.ts";

const dimensions = 3;

/** Writes rows with these keys, `noKey` for one that is only the graph's; every number of a row is its key. */
function write(path: string, keys: readonly number[], next?: readonly number[]): void {
  const order = keys
    .map((_, row) => row)
    .filter((row) => keys[row] !== noKey)
    .toSorted((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
  const content = {
    dimensions,
    keys: Float64Array.from(keys),
    order: Int32Array.from(order),
    next: next === undefined ? undefined : Int32Array.from(next),
    nodes: 0,
    vectors: keys.map((key) => new Float32Array(dimensions).fill(key)),
  };
  finishSteps(writeRowsFile(path, content));
}

test("rows are found by key, whatever their order, and those without a key never", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "rows");
  write(path, [50, noKey, 20, 90], [3, endOfChain, endOfChain, 2]);
  const file = new RowsFile(path, dimensions);
  expect([file.size, file.live]).toEqual([4, 3]);
  expect([50, 20, 90, noKey, 19, 51, 91].map((key) => file.rowOf(key))).toEqual([
    0, 2, 3, -1, -1, -1, -1,
  ]);
  expect([0, 1, 2, 3].map((row) => file.nextOf(row))).toEqual([3, -1, -1, 2]);
  expect([0, 1, 2].map((rank) => file.rowByRank(rank))).toEqual([2, 0, 3]);
  expect(Array.from(file.rowsAt(2, 4))).toEqual([20, 20, 20, 90, 90, 90]);
  expect(file.matrix().byteOffset).toBe(0);
  file.close();
});

test("a file of no rows can be opened", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "rows");
  write(path, []);
  const file = new RowsFile(path, dimensions);
  expect([file.size, file.live, file.rowOf(1)]).toEqual([0, 0, -1]);
  file.close();
});

test("allowed keys become ascending rows, in whatever order they come (seed 61)", () => {
  using folder = temporaryFolder();
  const random = seeded(61);
  for (const isOrdered of [true, false]) {
    const keys = Array.from({ length: 500 }, (_, at) => 3 * at + 2);
    if (!isOrdered) keys.sort(() => random() - 0.5);
    const path = join(folder.path, `rows-${isOrdered}`);
    write(path, keys);
    const file = new RowsFile(path, dimensions);
    for (const share of [0, 0.01, 0.2, 0.9, 1]) {
      const ascending = Array.from({ length: 1600 }, (_, key) => key + 1).filter(
        () => random() < share,
      );
      const expected = keys.flatMap((key, row) => (ascending.includes(key) ? [row] : []));
      const shuffled = ascending.toSorted(() => random() - 0.5);
      const sorted = new SortedKeys(Float64Array.from(ascending));
      for (const allowed of [sorted, new Set(ascending), new Set(shuffled)]) {
        expect(Array.from(file.allowedRows(allowed))).toEqual(expected);
      }
    }
    file.close();
  }
});

test("what is torn, foreign, or of other dimensions is refused", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "rows");
  write(path, [1, 2, 3]);
  expect(() => new RowsFile(path, 4)).toThrow("rows of 3 dimensions");
  const whole = readFileSync(path);
  for (const bytes of [1, 63, 64, 128, whole.length - 64, whole.length - 1]) {
    truncateSync(path, bytes);
    expect(() => new RowsFile(path, dimensions)).toThrow();
    writeFileSync(path, whole);
  }
  writeFileSync(path, new Uint8Array(256));
  expect(() => new RowsFile(path, dimensions)).toThrow("it is no rows file");
  writeFileSync(path, Buffer.concat([whole.subarray(0, 64), whole]));
  expect(() => new RowsFile(path, dimensions)).toThrow("another size");
});

test("a stray write stays in memory", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "rows");
  write(path, [7]);
  const file = new RowsFile(path, dimensions);
  file.matrix().fill(0);
  file.close();
  const again = new RowsFile(path, dimensions);
  expect(Array.from(again.matrix())).toEqual([7, 7, 7]);
  again.close();
});

test("sorted keys are a set, and keys that do not ascend are our own mistake", () => {
  const keys = new SortedKeys(Float64Array.of(2, 5, 9));
  expect([1, 2, 5, 6, 9, 10].map((key) => keys.has(key))).toEqual([
    false,
    true,
    true,
    false,
    true,
    false,
  ]);
  expect([keys.size, ...keys]).toEqual([3, 2, 5, 9]);
  expect(() => new SortedKeys(Float64Array.of(2, 2))).toThrow("assertion failed");
});
