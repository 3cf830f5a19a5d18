import { seededRandom } from "../../test/e2e/distinct-documents.ts";

/** Numbers that a vector is made of before it is spread over its dimensions: texts differ in few ways at once. */
const rank = 12;
const centres = 1000;
/** Spread around a centre, in that of the centres. */
const spread = 0.5;
/** Noise in every dimension, in the length of the rest. */
const noise = 0.1;

/**
 * Unit vectors that gather around 1,000 centres, as those of texts do around topics, `count` rows one after the other.
 * They lie near a space of 12 dimensions: independent noise in hundreds is nothing that a model gives, and no graph
 * finds its way in it. The same seed gives the same vectors, whatever the count.
 */
export function clusteredVectors(
  count: number,
  dimensions: number,
  seed: number,
): Float32Array<ArrayBuffer> {
  const random = seededRandom(seed);
  const gaussian = (): number =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const drawn = (length: number): Float64Array => Float64Array.from({ length }, gaussian);
  const spreading = drawn(rank * dimensions);
  const middles = drawn(centres * rank);
  const uniform = noise * Math.sqrt(12 * rank);
  const rows = new Float32Array(count * dimensions);
  const short = new Float64Array(rank);
  for (let row = 0; row < count; row++) {
    const centre = Math.floor(random() * centres) * rank;
    for (let at = 0; at < rank; at++) short[at] = (middles[centre + at] ?? 0) + spread * gaussian();
    const vector = rows.subarray(row * dimensions, (row + 1) * dimensions);
    let squares = 0;
    for (let to = 0; to < dimensions; to++) {
      let sum = uniform * (random() - 0.5);
      for (let at = 0; at < rank; at++) {
        sum += (short[at] ?? 0) * (spreading[at * dimensions + to] ?? 0);
      }
      vector[to] = sum;
      squares += sum * sum;
    }
    const length = Math.sqrt(squares);
    for (let to = 0; to < dimensions; to++) vector[to] = (vector[to] ?? 0) / length;
  }
  return rows;
}
