import { Problem } from "../problems.ts";
import { LANES } from "./row-sum-kernel.ts";

/** Sizes of the tables: tokens, dimensions of a vector, dimensions of a context, hidden units. */
interface QueryEncoderSizes {
  vocab: number;
  dims: number;
  ctx: number;
  hidden: number;
}

/** The sections of the file, in its order; matrices row by row. */
export interface QueryEncoderTables extends QueryEncoderSizes {
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

/**
 * Reads an `SLQ1` file. The int8 tables are views of the bytes, the others copies.
 * @throws Problem model_damaged if the header, the size or a number is not what the format says
 */
export function readQueryEncoderTables(bytes: Uint8Array): QueryEncoderTables {
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
function readHeader(bytes: Uint8Array): QueryEncoderSizes & { start: number } {
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
  const size = (name: keyof QueryEncoderSizes): number => {
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
