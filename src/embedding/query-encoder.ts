import { assert } from "../problems.ts";
import { queryEncoderFile, queryEncoderModel, readModelFile } from "./model-files.ts";
import { readQueryEncoderTables, type QueryEncoderTables } from "./query-encoder-tables.ts";
import { createRowSum } from "./row-sum.ts";
import { createTokenizer } from "./tokenizer.ts";

/** Ids -> a unit vector in the space of a larger model. */
export interface QueryEncoder {
  readonly dimensions: number;
  /** Ids are 0…vocabulary - 1. */
  readonly vocabulary: number;
  /**
   * The L2-normalised vector of a query, `dimensions` long, owned by the caller; `undefined` where no id carries meaning.
   * Ids of the larger model's tokenizer without [CLS] and [SEP]. O(ids x dimensions + hidden x dimensions), some 25 µs for ten ids.
   */
  encode(ids: Int32Array | readonly number[]): Float32Array | undefined;
}

/** The query encoder with its tokenizer. */
export interface TextQueryEncoder {
  /** The vector of a query, as `QueryEncoder.encode`; tokens past the window of the larger model are left out. */
  embed(text: string): Float32Array | undefined;
}

const ATTENTION_MAX = 4;

/**
 * Opens the built-in query encoder for collections embedded by all-MiniLM-L6-v2. Reads and verifies 15 MB and makes the
 * tokenizer: about 100 ms, so the caller keeps what it gets. Needs no native library.
 * @throws Problem model_damaged
 */
export async function openQueryEncoder(): Promise<TextQueryEncoder> {
  const { info, tokenizer: tokenizerFile } = queryEncoderModel;
  const encoder = parseQueryEncoder(await readModelFile(queryEncoderFile));
  const tokenizer = createTokenizer(await readModelFile(tokenizerFile), info.tokensMax);
  assert(encoder.dimensions === info.dimensions, "the query encoder is made for its model");
  return { embed: (text) => encoder.encode(tokenizer.firstTokens(text).ids) };
}

/**
 * Reads an `SLQ1` file, of which it keeps views. Method: a weighted mean of int8 token rows, the weights turned by the mean
 * context of the text, and one hidden layer on top; distilled from the larger model.
 * @throws Problem model_damaged if the header, the size or a number is not what the format says
 */
export function parseQueryEncoder(bytes: Uint8Array): QueryEncoder {
  const tables = readQueryEncoderTables(bytes);
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
  tables: QueryEncoderTables,
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
  tables: QueryEncoderTables,
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
function createHiddenLayer(
  tables: QueryEncoderTables,
): (x: Float64Array, count: number) => Float32Array {
  const { dims, hidden: units, hiddenBias, hiddenIn, hiddenLength, hiddenOut, outBias } = tables;
  // W1 is stored by hidden unit, and added up by dimension of x.
  const inward = createRowSum({
    values: hiddenIn,
    rows: dims,
    columns: units,
    rowStep: 1,
    columnStep: dims,
  });
  const outward = createRowSum({
    values: hiddenOut,
    rows: units,
    columns: dims,
    rowStep: dims,
    columnStep: 1,
  });
  const { sum: hidden } = inward;
  const { rows: actives, sum: y, weights: activeValues } = outward;
  return (x, count) => {
    const logLength = Math.log(count);
    for (let unit = 0; unit < units; unit++) {
      hidden[unit] = (hiddenLength[unit] ?? 0) * logLength + (hiddenBias[unit] ?? 0);
    }
    inward.weights.set(x);
    inward.add(dims);
    let activeCount = 0;
    for (let unit = 0; unit < units; unit++) {
      const value = hidden[unit] ?? 0;
      if (value <= 0) continue;
      actives[activeCount] = unit;
      activeValues[activeCount++] = value;
    }
    for (let index = 0; index < dims; index++) y[index] = (x[index] ?? 0) + (outBias[index] ?? 0);
    outward.add(activeCount);
    return y;
  };
}

function normalised(vector: Float32Array): Float32Array | undefined {
  let squares = 0;
  for (let index = 0; index < vector.length; index++) squares += (vector[index] ?? 0) ** 2;
  if (squares === 0) return undefined;
  const scale = 1 / Math.sqrt(squares);
  const unit = new Float32Array(vector.length);
  for (let index = 0; index < vector.length; index++) unit[index] = (vector[index] ?? 0) * scale;
  return unit;
}
