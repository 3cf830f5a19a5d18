/**
 * Cosine similarity of two L2-normalised vectors, -1…1, summed in double precision: the query and the row of a matrix
 * that begins at `start`. Rounding can carry the similarity of two equal vectors a little past 1, so it is clamped.
 *
 * Four sums side by side: one alone makes every addition wait for the last one, and took 1.7 times as long. At 384
 * dimensions a row takes 0.25 us in order and 0.33 to 0.9 us scattered; rows gathered for usearch's SIMD took 0.5 to 1.4.
 */
export function cosine(matrix: Float32Array, start: number, query: Float32Array): number {
  let sum0 = 0;
  let sum1 = 0;
  let sum2 = 0;
  let sum3 = 0;
  const wholeFours = query.length - (query.length % 4);
  for (let at = 0; at < wholeFours; at += 4) {
    const from = start + at;
    sum0 += (matrix[from] ?? 0) * (query[at] ?? 0);
    sum1 += (matrix[from + 1] ?? 0) * (query[at + 1] ?? 0);
    sum2 += (matrix[from + 2] ?? 0) * (query[at + 2] ?? 0);
    sum3 += (matrix[from + 3] ?? 0) * (query[at + 3] ?? 0);
  }
  for (let at = wholeFours; at < query.length; at++) {
    sum0 += (matrix[start + at] ?? 0) * (query[at] ?? 0);
  }
  return Math.max(-1, Math.min(1, sum0 + sum1 + (sum2 + sum3)));
}
