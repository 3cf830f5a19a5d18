/** The first place whose number is not below `key`; the length where all are. The numbers ascend. O(log length). */
export function lowerBound(ascending: Float64Array, key: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
