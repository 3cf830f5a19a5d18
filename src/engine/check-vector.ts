import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";

/** Below this a vector counts as zero: float32 has no digits left to give it a direction. */
const LENGTH_MIN = 1e-30;

/** Padded and without stray bits, so that a vector has one encoding; what is cut short is refused. */
const STRICT = { lastChunkHandling: "strict" } as const;

/**
 * Where base64 is decoded, in this machine's order of bytes: little-endian, as every machine that we build for. Numbers in
 * a place of their own are aligned and need no buffer for each text, which would cost as much as the decoding.
 */
const decoded = new Float32Array(limits.dimensionsMax);
const decodedBytes = new Uint8Array(decoded.buffer);

/**
 * A caller's vector, numbers or base64 of little-endian float32, as float32 of unit length. It is the caller's own.
 * @throws Problem `dimensions_mismatch`; `invalid_vector` for what is no base64 and for NaN, Infinity or no length: a
 * native index takes such a vector and then answers searches with nonsense
 */
export function checkVector(given: readonly number[] | string, dimensions: number): Float32Array {
  const count = typeof given === "string" ? decode(given) : given.length;
  if (count !== dimensions) {
    throw new Problem(
      "dimensions_mismatch",
      `The collection has ${dimensions} dimensions and the vector ${count}.`,
    );
  }
  const vector = typeof given === "string" ? decoded.slice(0, dimensions) : new Float32Array(given);
  let sum = 0;
  // By index: an iterator costs more than the arithmetic.
  for (let at = 0; at < dimensions; at++) sum += (vector[at] ?? 0) ** 2;
  const length = Math.sqrt(sum);
  if (!Number.isFinite(length)) {
    throw new Problem(
      "invalid_vector",
      "The vector holds a number that is not finite or does not fit float32.",
    );
  }
  if (length < LENGTH_MIN)
    throw new Problem("invalid_vector", "The vector is zero and has no direction.");
  // One division for all: they take most of the time otherwise, and float64 has the digits to spare.
  const scale = 1 / length;
  for (let at = 0; at < dimensions; at++) vector[at] = (vector[at] ?? 0) * scale;
  return vector;
}

/** Numbers that a text has put into `decoded`. @throws Problem `invalid_vector` */
function decode(text: string): number {
  const bytes = bytesOf(text);
  // The decoder passes over white space and stops where there is no more room; the text is longer then.
  const isWhole = text.length === Math.ceil(bytes / 3) * 4;
  if (!isWhole || bytes % Float32Array.BYTES_PER_ELEMENT !== 0) throw noBase64();
  return bytes / Float32Array.BYTES_PER_ELEMENT;
}

function bytesOf(text: string): number {
  try {
    return decodedBytes.setFromBase64(text, STRICT).written;
  } catch (cause) {
    throw noBase64(cause);
  }
}

function noBase64(cause?: unknown): Problem {
  return new Problem(
    "invalid_vector",
    "The vector is a text and no base64 of little-endian float32, four bytes a number.",
    { cause },
  );
}
