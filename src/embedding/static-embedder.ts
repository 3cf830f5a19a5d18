import { setImmediate as nextTurn } from "node:timers/promises";
import { assert, Problem } from "../problems.ts";
import type { Embedder, ModelInfo } from "./embedder.ts";
import { readInitializers } from "./onnx-initializers.ts";
import type { ModelTokenizer } from "./tokenizer.ts";

/** TensorProto.DataType of onnx.proto. */
const FLOAT32 = 1;
const INT8 = 3;
/** Longest time without letting the event loop run, ms. */
const TURN_MS_MAX = 4;

/** One int8 row and one scale for each token of the vocabulary. */
interface RowTable {
  /** `scales.length` rows of `dimensions` values. */
  rows: Int8Array;
  scales: Float32Array;
}

/**
 * A static model: the vector of a text is the sum of its tokens' rows, normalised. Frequent words weigh less because
 * their rows are shorter; [CLS], [SEP] and unknown tokens have rows of zeros. Needs no native library.
 * A 10-token text takes some 12 µs, half of them for its tokens.
 */
export class StaticEmbedder implements Embedder {
  readonly info: ModelInfo;
  readonly #tokenizer: ModelTokenizer;
  #table: RowTable | undefined;

  /**
   * Takes verified weights, an ONNX file with the constants `emb` (int8) and `scale` (float32), and keeps a view of them.
   * @throws Problem model_damaged if the constants are not there in the right shapes
   */
  constructor(options: { info: ModelInfo; weights: Uint8Array; tokenizer: ModelTokenizer }) {
    this.info = options.info;
    this.#tokenizer = options.tokenizer;
    this.#table = readTable(options.weights, options.info);
  }

  countTokens = (text: string): number => this.#tokenizer.countTokens(text);

  async embed(texts: readonly string[]): Promise<(Float32Array | undefined)[]> {
    const table = this.#table;
    if (table === undefined) {
      throw new Problem("embedding_failed", `The model ${this.info.name} is closed.`);
    }
    const vectors: (Float32Array | undefined)[] = [];
    let turnStartMs = performance.now();
    for (const text of texts) {
      // The rows of [CLS] and [SEP] are zeros.
      vectors.push(embedIds(table, this.#tokenizer.firstTokens(text).ids));
      if (performance.now() - turnStartMs < TURN_MS_MAX) continue;
      await nextTurn();
      turnStartMs = performance.now();
    }
    return vectors;
  }

  /** Lets go of the table; calls of `embed` that are running finish. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#table = undefined;
  }
}

/** The normalised sum of scaled rows; undefined if it is zero. O(ids x dimensions). */
function embedIds({ rows, scales }: RowTable, ids: readonly number[]): Float32Array | undefined {
  const dimensions = rows.length / scales.length;
  const vector = new Float32Array(dimensions);
  for (const id of ids) {
    const scale = scales[id];
    assert(scale !== undefined, "each token has its row");
    const row = id * dimensions;
    for (let index = 0; index < dimensions; index++) {
      vector[index] = (vector[index] ?? 0) + (rows[row + index] ?? 0) * scale;
    }
  }
  let squares = 0;
  for (let index = 0; index < dimensions; index++) squares += (vector[index] ?? 0) ** 2;
  if (squares === 0) return undefined;
  const length = Math.sqrt(squares);
  for (let index = 0; index < dimensions; index++) vector[index] = (vector[index] ?? 0) / length;
  return vector;
}

function readTable(weights: Uint8Array, info: ModelInfo): RowTable {
  const initializers = readInitializers(weights);
  const [rows, scales] = [initializers.get("emb"), initializers.get("scale")];
  const tokens = scales?.dims[0] ?? 0;
  const fits =
    rows?.dataType === INT8 &&
    scales?.dataType === FLOAT32 &&
    rows.dims.length === 2 &&
    rows.dims[0] === tokens &&
    rows.dims[1] === info.dimensions &&
    rows.raw.length === tokens * info.dimensions &&
    scales.raw.length === tokens * 4;
  if (!fits) {
    throw new Problem(
      "model_damaged",
      `The weights of the model ${info.name} are not a table of ${info.dimensions} dimensions.`,
    );
  }
  return {
    rows: new Int8Array(rows.raw.buffer, rows.raw.byteOffset, rows.raw.length),
    scales: readFloats(scales.raw),
  };
}

/** Little-endian float32 values; a copy, because the bytes in the file need not begin at a multiple of four. */
function readFloats(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Float32Array.from({ length: bytes.length / 4 }, (_, index) =>
    view.getFloat32(index * 4, true),
  );
}
