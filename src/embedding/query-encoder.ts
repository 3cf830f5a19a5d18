import { assert, Problem } from "../problems.ts";
import { createAsciiWordPieces } from "./ascii-word-pieces.ts";
import { queryEncoderFile, queryEncoderModel, readModelFile } from "./model-files.ts";
import { createTokenizer } from "./tokenizer.ts";

/** Ids -> a unit vector in the space of a larger model. */
export interface QueryEncoder {
  readonly dimensions: number;
  /** Ids are 0…vocabulary - 1. */
  readonly vocabulary: number;
  /**
   * The L2-normalised vector of a query, `dimensions` long, owned by the caller; `undefined` where no id carries meaning.
   * Ids of the larger model's tokenizer without [CLS] and [SEP]. O(ids x dimensions + hidden x dimensions), 52 µs for ten ids.
   */
  encode(ids: Int32Array | readonly number[]): Float32Array | undefined;
}

/** The query encoder with its tokenizer. */
export interface TextQueryEncoder {
  /** The vector of a query, as `QueryEncoder.encode`; tokens past the window of the larger model are left out. */
  embed(text: string): Float32Array | undefined;
}

/** Sizes of the tables: tokens, dimensions of a vector, dimensions of a context, hidden units. */
interface Sizes {
  vocab: number;
  dims: number;
  ctx: number;
  hidden: number;
}

/** The sections of the file, in its order. */
interface Tables extends Sizes {
  rows: Int8Array;
  keys: Int8Array;
  contexts: Int8Array;
  weights: Float32Array;
  rowScales: Float32Array;
  keyScales: Float32Array;
  contextScales: Float32Array;
  /** How much more or less a token weighs in a short text. */
  shortBiases: Float32Array;
  hiddenIn: Float32Array;
  hiddenLength: Float32Array;
  hiddenBias: Float32Array;
  hiddenOut: Float32Array;
  outBias: Float32Array;
}

const MAGIC = "SLQ1";
const HEADER_BYTES_MAX = 65_536;
/** No table that this format is meant for comes near; a greater size is damage and not a large model. */
const SIZE_MAX = 1_000_000;
const ATTENTION_MAX = 4;
/** Rows that are multiplied side by side: independent sums keep the processor's adders busy. */
const LANES = 8;

/**
 * Opens the built-in query encoder for collections embedded by all-MiniLM-L6-v2. Reads and verifies 15 MB and makes the
 * tokenizer: about 100 ms, so the caller keeps what it gets. Needs no native library.
 * @throws Problem model_damaged
 */
export async function openQueryEncoder(): Promise<TextQueryEncoder> {
  const { info, tokenizer: tokenizerFile } = queryEncoderModel;
  const encoder = parseQueryEncoder(await readModelFile(queryEncoderFile));
  const tokenizerJson = await readModelFile(tokenizerFile);
  assert(encoder.dimensions === info.dimensions, "the query encoder is made for its model");
  const tokenizer = createTokenizer(tokenizerJson, info.tokensMax);
  const asciiIds = createAsciiWordPieces(tokenizerJson);
  const idsMax = info.tokensMax - 2;
  return {
    embed(text) {
      const ids = asciiIds(text)?.slice(0, idsMax) ?? tokenizer.encode(text).ids.slice(1, -1);
      return encoder.encode(ids);
    },
  };
}

/**
 * Reads an `SLQ1` file, of which it keeps views. Method: a weighted mean of int8 token rows, the weights turned by the mean
 * context of the text, and one hidden layer on top; distilled from the larger model.
 * @throws Problem model_damaged if the header, the size or a number is not what the format says
 */
export function parseQueryEncoder(bytes: Uint8Array): QueryEncoder {
  const tables = readTables(bytes);
  const { dims, vocab } = tables;
  // Calls do not overlap, so all of them share these.
  const coefficients = new Float64Array(tables.ctx);
  const mean = new Float64Array(dims);
  const hiddenLayer = createHiddenLayer(tables);
  return {
    dimensions: dims,
    vocabulary: vocab,
    encode(ids) {
      if (!meanContext(tables, ids, coefficients)) return undefined;
      meanRow(tables, { ids, context: coefficients, mean });
      return normalised(hiddenLayer(mean, ids.length));
    },
  };
}

/** Step 1: the mean of the ids' contexts, by their base weights. False if no id has a weight. */
function meanContext(
  tables: Tables,
  ids: Int32Array | readonly number[],
  context: Float64Array,
): boolean {
  const { ctx, contexts, contextScales, weights } = tables;
  context.fill(0);
  let sum = 0;
  for (const id of ids) {
    const weight = weights[id];
    assert(weight !== undefined, "each token has its row");
    sum += weight;
    const scale = weight * (contextScales[id] ?? 0);
    for (let index = 0; index < ctx; index++) {
      context[index] = (context[index] ?? 0) + scale * (contexts[id * ctx + index] ?? 0);
    }
  }
  if (sum <= 0) return false;
  for (let index = 0; index < ctx; index++) context[index] = (context[index] ?? 0) / sum;
  return true;
}

/** Steps 2 and 3: the mean of the ids' rows, each weighted by how well its key fits the context. */
function meanRow(
  tables: Tables,
  work: { ids: Int32Array | readonly number[]; context: Float64Array; mean: Float64Array },
): void {
  const { ids, context, mean } = work;
  const { ctx, dims, keys, keyScales, rows, rowScales, shortBiases, weights } = tables;
  mean.fill(0);
  let sum = 0;
  for (const id of ids) {
    const weight = weights[id] ?? 0;
    if (weight === 0) continue;
    let fit = 0;
    for (let index = 0; index < ctx; index++) {
      fit += (context[index] ?? 0) * (keys[id * ctx + index] ?? 0);
    }
    const attention = fit * (keyScales[id] ?? 0) + (shortBiases[id] ?? 0) / (ids.length + 2);
    const share = weight * Math.exp(Math.max(-ATTENTION_MAX, Math.min(ATTENTION_MAX, attention)));
    sum += share;
    const scale = share * (rowScales[id] ?? 0);
    const row = id * dims;
    for (let index = 0; index < dims; index++) {
      mean[index] = (mean[index] ?? 0) + scale * (rows[row + index] ?? 0);
    }
  }
  for (let index = 0; index < dims; index++) mean[index] = (mean[index] ?? 0) / sum;
}

/**
 * Step 4: y = x + relu(W1 x + W1n ln(n) + b1) W2 + b2. The result is overwritten by the next call.
 * Of the hidden units about two in five are not zero, and only these are multiplied with W2.
 */
function createHiddenLayer(tables: Tables): (x: Float64Array, count: number) => Float64Array {
  const { dims, hidden: units, hiddenBias, hiddenLength, outBias } = tables;
  const lanesIn = interleaved(tables.hiddenIn, { rows: units, rowStep: dims, columnStep: 1 });
  const lanesOut = interleaved(tables.hiddenOut, { rows: dims, rowStep: 1, columnStep: dims });
  const hidden = new Float64Array(units);
  const active = new Float64Array(units);
  const activeOffsets = new Int32Array(units);
  const y = new Float64Array(dims);
  return (x, count) => {
    const logLength = Math.log(count);
    for (let unit = 0; unit < units; unit++) {
      hidden[unit] = (hiddenLength[unit] ?? 0) * logLength + (hiddenBias[unit] ?? 0);
    }
    addProduct(hidden, lanesIn, x);
    let actives = 0;
    for (let unit = 0; unit < units; unit++) {
      const value = hidden[unit] ?? 0;
      if (value <= 0) continue;
      activeOffsets[actives] = unit * LANES;
      active[actives++] = value;
    }
    for (let index = 0; index < dims; index++) y[index] = (x[index] ?? 0) + (outBias[index] ?? 0);
    addSparseProduct(y, lanesOut, { values: active, offsets: activeOffsets, count: actives });
    return y;
  };
}

/**
 * Adds the product of an interleaved matrix with `x`. Eight sums run at once over memory in order: 31 µs for 98,304 weights,
 * against 53 for a row at a time with four sums, 103 with the weights as float64, which leave the cache, and 49 with int8
 * weights and whole numbers.
 */
function addProduct(out: Float64Array, lanes: Float32Array, x: Float64Array): void {
  const count = x.length;
  let at = 0;
  for (let row = 0; row < out.length; row += LANES) {
    let a = out[row] ?? 0;
    let b = out[row + 1] ?? 0;
    let c = out[row + 2] ?? 0;
    let d = out[row + 3] ?? 0;
    let e = out[row + 4] ?? 0;
    let f = out[row + 5] ?? 0;
    let g = out[row + 6] ?? 0;
    let h = out[row + 7] ?? 0;
    for (let index = 0; index < count; index++) {
      const value = x[index] ?? 0;
      a += (lanes[at] ?? 0) * value;
      b += (lanes[at + 1] ?? 0) * value;
      c += (lanes[at + 2] ?? 0) * value;
      d += (lanes[at + 3] ?? 0) * value;
      e += (lanes[at + 4] ?? 0) * value;
      f += (lanes[at + 5] ?? 0) * value;
      g += (lanes[at + 6] ?? 0) * value;
      h += (lanes[at + 7] ?? 0) * value;
      at += LANES;
    }
    out[row] = a;
    out[row + 1] = b;
    out[row + 2] = c;
    out[row + 3] = d;
    out[row + 4] = e;
    out[row + 5] = f;
    out[row + 6] = g;
    out[row + 7] = h;
  }
}

/** The same with a vector of which only the first `count` values and their places are given. */
function addSparseProduct(
  out: Float64Array,
  lanes: Float32Array,
  vector: { values: Float64Array; offsets: Int32Array; count: number },
): void {
  const { values, offsets, count } = vector;
  // Elements of one stretch of eight rows.
  const stretch = (lanes.length / out.length) * LANES;
  let base = 0;
  for (let row = 0; row < out.length; row += LANES) {
    let a = out[row] ?? 0;
    let b = out[row + 1] ?? 0;
    let c = out[row + 2] ?? 0;
    let d = out[row + 3] ?? 0;
    let e = out[row + 4] ?? 0;
    let f = out[row + 5] ?? 0;
    let g = out[row + 6] ?? 0;
    let h = out[row + 7] ?? 0;
    for (let index = 0; index < count; index++) {
      const value = values[index] ?? 0;
      const at = base + (offsets[index] ?? 0);
      a += (lanes[at] ?? 0) * value;
      b += (lanes[at + 1] ?? 0) * value;
      c += (lanes[at + 2] ?? 0) * value;
      d += (lanes[at + 3] ?? 0) * value;
      e += (lanes[at + 4] ?? 0) * value;
      f += (lanes[at + 5] ?? 0) * value;
      g += (lanes[at + 6] ?? 0) * value;
      h += (lanes[at + 7] ?? 0) * value;
    }
    out[row] = a;
    out[row + 1] = b;
    out[row + 2] = c;
    out[row + 3] = d;
    out[row + 4] = e;
    out[row + 5] = f;
    out[row + 6] = g;
    out[row + 7] = h;
    base += stretch;
  }
}

/** Eight rows of a matrix become one stretch: their first values, then their second values, and so on. */
function interleaved(
  matrix: Float32Array,
  layout: { rows: number; rowStep: number; columnStep: number },
): Float32Array {
  const { rows, rowStep, columnStep } = layout;
  const columns = matrix.length / rows;
  const lanes = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    const lane = row % LANES;
    const start = (row - lane) * columns + lane;
    for (let column = 0; column < columns; column++) {
      lanes[start + column * LANES] = matrix[row * rowStep + column * columnStep] ?? 0;
    }
  }
  return lanes;
}

function normalised(vector: Float64Array): Float32Array | undefined {
  let squares = 0;
  for (let index = 0; index < vector.length; index++) squares += (vector[index] ?? 0) ** 2;
  if (squares === 0) return undefined;
  const scale = 1 / Math.sqrt(squares);
  const unit = new Float32Array(vector.length);
  for (let index = 0; index < vector.length; index++) unit[index] = (vector[index] ?? 0) * scale;
  return unit;
}

function readTables(bytes: Uint8Array): Tables {
  const { start, ...sizes } = readHeader(bytes);
  const { vocab, dims, ctx, hidden } = sizes;
  const floats = vocab * 5 + hidden * (2 * dims + 2) + dims;
  const expected = start + vocab * (dims + 2 * ctx) + floats * Float32Array.BYTES_PER_ELEMENT;
  if (bytes.length !== expected) {
    throw damaged(`has ${bytes.length} bytes where its header asks for ${expected}`);
  }
  let at = start;
  const int8 = (count: number): Int8Array => {
    const section = new Int8Array(bytes.buffer, bytes.byteOffset + at, count);
    at += count;
    return section;
  };
  // A copy, because the given bytes need not begin at a multiple of four. Every machine we build for is little-endian.
  const float32 = (count: number): Float32Array => {
    const end = at + count * Float32Array.BYTES_PER_ELEMENT;
    const section = new Float32Array(new Uint8Array(bytes.subarray(at, end)).buffer);
    at = end;
    if (!section.every(Number.isFinite)) throw damaged("holds a number that is not finite");
    return section;
  };
  return {
    ...sizes,
    rows: int8(vocab * dims),
    keys: int8(vocab * ctx),
    contexts: int8(vocab * ctx),
    weights: float32(vocab),
    rowScales: float32(vocab),
    keyScales: float32(vocab),
    contextScales: float32(vocab),
    shortBiases: float32(vocab),
    hiddenIn: float32(hidden * dims),
    hiddenLength: float32(hidden),
    hiddenBias: float32(hidden),
    hiddenOut: float32(hidden * dims),
    outBias: float32(dims),
  };
}

/** The sizes, and where the first section begins. */
function readHeader(bytes: Uint8Array): Sizes & { start: number } {
  if (bytes.length < 8 || new TextDecoder().decode(bytes.subarray(0, 4)) !== MAGIC) {
    throw damaged(`does not begin with ${MAGIC}`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  const start = 8 + length;
  if (length > HEADER_BYTES_MAX || start % 16 !== 0 || start > bytes.length) {
    throw damaged("has a header of a wrong length");
  }
  const header = parseJsonObject(bytes.subarray(8, start));
  if (header["format"] !== "slq1") throw damaged("is of another format");
  const size = (name: keyof Sizes): number => {
    const value = header[name];
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= SIZE_MAX)
      return value;
    throw damaged(`has no usable ${name} in its header`);
  };
  const sizes = { vocab: size("vocab"), dims: size("dims"), ctx: size("ctx") };
  const hidden = size("hidden");
  if (hidden % LANES !== 0 || sizes.dims % LANES !== 0)
    throw damaged(
      `has ${hidden} hidden units and ${sizes.dims} dimensions, no multiples of ${LANES}`,
    );
  return { ...sizes, hidden, start };
}

function parseJsonObject(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value === "object" && value !== null) return { ...value };
  } catch (cause) {
    throw damaged("has a header that is not JSON", cause);
  }
  throw damaged("has a header that is no object");
}

function damaged(what: string, cause?: unknown): Problem {
  return new Problem("model_damaged", `The query encoder ${what}.`, { cause });
}
