import { canRun, instantiate, WASM_PAGE_BYTES } from "../lib/wasm-code.ts";
import { assert } from "../problems.ts";
import { BLOCK_ROWS, codeDotKernel, PAIR_BYTES } from "./code-dot-kernel.ts";

/** A query that a document is near enough to. */
export interface NearQuery {
  row: number;
  /** Cosine with the document's best chunk: the float32 dot product, summed up from the first dimension to the last. */
  score: number;
  /** Place of that chunk among the vectors; the first one of equals. */
  chunk: number;
}

/** Vectors of standing queries, unit length, each in a row of its own. */
export interface QueryVectors {
  /** Keeps a copy; gives its row, which may be that of one removed before. */
  add(vector: Float32Array, scoreMin: number): number;
  remove(row: number): void;
  /**
   * The queries whose score with any of the vectors is their `scoreMin` or more. `instead` holds other least scores for
   * some rows, for this call. One vector against 100,000 rows of 384 dimensions takes some 4 ms, nearly all of it memory.
   */
  near(vectors: readonly Float32Array[], instead?: ReadonlyMap<number, number>): NearQuery[];
}

const CODE_MAX = 127;
const ROUNDING = 2 ** -24;
/** For the few operations in double precision: far above their error, far below any that matters. */
const CUSHION = 1e-9;
/** Rows of exact vectors kept in one array, so that growing copies nothing. */
const SLAB_ROWS = 1024;
const hasSimd = canRun(codeDotKernel);

/**
 * A first pass over int8 codes leaves out the queries that cannot be near enough, and the rest are scored in float32. With
 * query q = its codes times a scale + residual r, and likewise the document d = d' + s, the product of the codes differs
 * from q·d by r·d + q'·s, which is at most |r||d| + |q'||s| (Cauchy and Schwarz). So what is found is what scoring every
 * query would find. Measured with 384 dimensions, the codes take a quarter of the time of float32, as of the memory.
 * @param simd whether to use vector instructions; both ways give the same
 */
export function createQueryVectors(dimensions: number, simd = hasSimd): QueryVectors {
  const columns = dimensions + (dimensions % 2);
  const codes = createCodes(columns, simd);
  const exact = createSlabs(dimensions);
  const roundingShare = (dimensions + 1) * ROUNDING;
  const free: number[] = [];
  let scales = new Float64Array(BLOCK_ROWS);
  /** How far a row's product of codes may be off, of the document's length. */
  let offs = new Float64Array(BLOCK_ROWS);
  /** The most that it may be off besides, of the length of what the document's codes leave out: that is hardly anything. */
  let offByResidual = 0;
  let leasts = new Float64Array(BLOCK_ROWS).fill(Infinity);
  let rows = 0;

  const grow = (): void => {
    const capacity = codes.grow();
    scales = copied(scales, capacity);
    offs = copied(offs, capacity);
    leasts = copied(leasts, capacity, Infinity);
  };
  return {
    add(vector, scoreMin) {
      assert(vector.length === dimensions, "a query has its collection's dimensions");
      const row = free.pop() ?? rows++;
      if (row >= codes.capacity()) grow();
      exact.set(row, vector);
      const coded = encode(vector, CODE_MAX);
      codes.set(row, coded.values);
      scales[row] = coded.scale;
      offs[row] = coded.residual + roundingShare * coded.length;
      offByResidual = Math.max(offByResidual, coded.length + coded.residual);
      leasts[row] = scoreMin;
      return row;
    },
    remove(row) {
      leasts[row] = Infinity;
      free.push(row);
    },
    near(vectors, instead) {
      if (rows === free.length) return [];
      const kept = instead === undefined ? [] : replace(leasts, instead);
      const best = new Map<number, NearQuery>();
      for (const [chunk, vector] of vectors.entries()) {
        const coded = encode(vector, codes.vectorMax);
        const sums = codes.multiply(coded.values, rows);
        const off = offByResidual * coded.residual + CUSHION;
        for (let row = 0; row < rows; row++) {
          const rough = (sums[row] ?? 0) * (scales[row] ?? 0) * coded.scale;
          if (rough + (offs[row] ?? 0) * coded.length + off < (leasts[row] ?? 0)) continue;
          const score = exact.dot(row, vector);
          if (score < (leasts[row] ?? 0) || score <= (best.get(row)?.score ?? -Infinity)) continue;
          best.set(row, { row, score, chunk });
        }
      }
      for (const [row, least] of kept) leasts[row] = least;
      return [...best.values()];
    },
  };
}

/** The dot product in float32, in the order of the dimensions: the same bits wherever it is computed. */
export function dotInOrder(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) {
    sum = Math.fround(sum + Math.fround((a[index] ?? 0) * (b[index] ?? 0)));
  }
  return sum;
}

interface Coded {
  values: Int16Array;
  /** What a code stands for. */
  scale: number;
  /** Length of the vector, and of what the codes leave out of it. */
  length: number;
  residual: number;
}

function encode(vector: Float32Array, codeMax: number): Coded {
  let most = 0;
  for (let index = 0; index < vector.length; index++) {
    most = Math.max(most, Math.abs(vector[index] ?? 0));
  }
  const scale = most / codeMax;
  const values = new Int16Array(vector.length + (vector.length % 2));
  let squares = 0;
  let residualSquares = 0;
  for (let index = 0; index < vector.length; index++) {
    const value = vector[index] ?? 0;
    const code = scale === 0 ? 0 : Math.round(value / scale);
    values[index] = code;
    squares += value * value;
    residualSquares += (value - code * scale) ** 2;
  }
  return { values, scale, length: Math.sqrt(squares), residual: Math.sqrt(residualSquares) };
}

/** Puts other values in, and gives those that were there. */
function replace(values: Float64Array, others: ReadonlyMap<number, number>): [number, number][] {
  return [...others].map(([row, value]) => {
    const before = values[row] ?? Infinity;
    values[row] = value;
    return [row, before];
  });
}

function copied(from: Float64Array, length: number, rest = 0): Float64Array<ArrayBuffer> {
  const to = new Float64Array(length).fill(rest);
  to.set(from);
  return to;
}

/** Rows of float32. */
function createSlabs(dimensions: number) {
  const slabs: Float32Array[] = [];
  const rowOf = (row: number): Float32Array => {
    const slab = slabs[Math.floor(row / SLAB_ROWS)];
    assert(slab !== undefined, "a row is set before it is read");
    const start = (row % SLAB_ROWS) * dimensions;
    return slab.subarray(start, start + dimensions);
  };
  return {
    set(row: number, vector: Float32Array): void {
      slabs[Math.floor(row / SLAB_ROWS)] ??= new Float32Array(SLAB_ROWS * dimensions);
      rowOf(row).set(vector);
    },
    dot: (row: number, vector: Float32Array): number => dotInOrder(rowOf(row), vector),
  };
}

/** Rows of int8 codes in blocks, as the kernel reads them: in its memory the vector comes first, the sums, the codes. */
function createCodes(columns: number, simd: boolean) {
  const vectorBytes = Math.ceil((columns * 2) / 16) * 16;
  let capacity = BLOCK_ROWS;
  let state = layOut(capacity);

  function layOut(rows: number) {
    const sumsAt = vectorBytes;
    const codesAt = sumsAt + rows * Int32Array.BYTES_PER_ELEMENT;
    const initial = Math.ceil((codesAt + rows * columns) / WASM_PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial });
    return {
      dot: simd ? instantiate(codeDotKernel, memory) : undefined,
      vector: new Int16Array(memory.buffer, 0, columns),
      sums: new Int32Array(memory.buffer, sumsAt, rows),
      codes: new Int8Array(memory.buffer, codesAt, rows * columns),
    };
  }

  return {
    /** The greatest code of a vector with which no sum can leave 32 bits. */
    vectorMax: Math.min(0x7f_ff, Math.floor(0x7f_ff_ff_ff / (columns * CODE_MAX))),
    capacity: (): number => capacity,
    /** Makes room for half as many more; gives the new capacity. */
    grow(): number {
      const { codes } = state;
      capacity = Math.ceil((capacity * 1.5) / BLOCK_ROWS) * BLOCK_ROWS;
      state = layOut(capacity);
      state.codes.set(codes);
      return capacity;
    },
    set(row: number, values: Int16Array): void {
      const lane = row % BLOCK_ROWS;
      const start = (row - lane) * columns + lane * 2;
      for (let column = 0; column < columns; column++) {
        state.codes[start + (column >> 1) * PAIR_BYTES + (column & 1)] = values[column] ?? 0;
      }
    },
    /** Of the first `rows` rows with a vector's codes; to be read before the next call. */
    multiply(values: Int16Array, rows: number): Int32Array {
      state.vector.set(values);
      const { vector, sums, codes, dot } = state;
      const blocks = Math.ceil(rows / BLOCK_ROWS);
      if (dot === undefined) multiplyInScalars({ vector, sums, codes }, blocks);
      else {
        const outEnd = sums.byteOffset + blocks * BLOCK_ROWS * Int32Array.BYTES_PER_ELEMENT;
        dot(sums.byteOffset, outEnd, codes.byteOffset, 0, columns * 2);
      }
      return sums;
    },
  };
}

function multiplyInScalars(
  { vector, sums, codes }: { vector: Int16Array; sums: Int32Array; codes: Int8Array },
  blocks: number,
): void {
  for (let row = 0; row < blocks * BLOCK_ROWS; row++) {
    const lane = row % BLOCK_ROWS;
    const start = (row - lane) * vector.length + lane * 2;
    let sum = 0;
    for (let column = 0; column < vector.length; column++) {
      const code = codes[start + (column >> 1) * PAIR_BYTES + (column & 1)] ?? 0;
      sum += code * (vector[column] ?? 0);
    }
    sums[row] = sum;
  }
}
