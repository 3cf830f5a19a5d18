import { Problem } from "../problems.ts";

/** Below this a vector counts as zero: float32 has no digits left to give it a direction. */
const LENGTH_MIN = 1e-30;

/**
 * A caller's vector as float32 of unit length. @throws Problem `dimensions_mismatch`; `invalid_vector` for NaN, Infinity
 * or no length: a native index takes such a vector and then answers searches with nonsense
 */
export function checkVector(numbers: readonly number[], dimensions: number): Float32Array {
  if (numbers.length !== dimensions) {
    throw new Problem(
      "dimensions_mismatch",
      `The collection has ${dimensions} dimensions and the vector ${numbers.length}.`,
    );
  }
  const vector = new Float32Array(numbers);
  let sum = 0;
  // By index: an iterator costs more than the arithmetic.
  for (let at = 0; at < vector.length; at++) sum += (vector[at] ?? 0) ** 2;
  const length = Math.sqrt(sum);
  if (!Number.isFinite(length)) {
    throw new Problem(
      "invalid_vector",
      "The vector holds a number that is not finite or does not fit float32.",
    );
  }
  if (length < LENGTH_MIN)
    throw new Problem("invalid_vector", "The vector is zero and has no direction.");
  for (let index = 0; index < vector.length; index++) vector[index] = (vector[index] ?? 0) / length;
  return vector;
}
