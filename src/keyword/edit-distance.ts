/** Measures words one after the other against the same one; what neighbours begin with is reckoned once. */
export interface EditDistance {
  /**
   * Edits between the word and the first `count` of `points` (code points): letters put in, left out or changed and
   * neighbours swapped, each one; Infinity above the maximum.
   */
  readonly measure: (points: Uint32Array, count: number) => number;
  /** Code points from which on a longer word is too far. */
  readonly pointsMax: number;
}

/**
 * The optimal string alignment distance by a table of rows, one per letter of the other word (R. Wagner and M. Fischer,
 * 1974; F. Damerau, 1964), given up as soon as a row has nothing within the maximum.
 */
export function createEditDistance(word: string, distanceMax: number): EditDistance {
  const letters = Uint32Array.from(word, (one) => one.codePointAt(0) ?? 0);
  const width = letters.length + 1;
  const depthMax = letters.length + distanceMax;
  const table = new Uint16Array((depthMax + 1) * width).map((_, index) =>
    index < width ? index : 0,
  );
  const before = new Uint32Array(depthMax);
  let depth = 0;
  const fillRow = (row: number): number => {
    const at = row * width;
    const point = before[row - 1] ?? 0;
    let least = (table[at] = row);
    for (let column = 1; column < width; column++) {
      const same = letters[column - 1] === point;
      let cost = (table[at - width + column - 1] ?? 0) + (same ? 0 : 1);
      cost = Math.min(
        cost,
        (table[at - width + column] ?? 0) + 1,
        (table[at + column - 1] ?? 0) + 1,
      );
      const swapped =
        row > 1 && letters[column - 2] === point && letters[column - 1] === before[row - 2];
      if (column > 1 && swapped) {
        cost = Math.min(cost, (table[at - 2 * width + column - 2] ?? 0) + 1);
      }
      table[at + column] = cost;
      if (cost < least) least = cost;
    }
    return least;
  };
  // A row with nothing within the maximum ends a word, unless the row before it may still lead on by a swap.
  const measure = (points: Uint32Array, count: number): number => {
    if (count > depthMax || count + distanceMax < letters.length) return Infinity;
    let shared = 0;
    while (shared < depth && shared < count && points[shared] === before[shared]) shared++;
    depth = shared;
    let leastBefore = 0;
    for (let row = shared + 1; row <= count; row++) {
      before[row - 1] = points[row - 1] ?? 0;
      const least = fillRow(row);
      depth = row;
      if (least > distanceMax && leastBefore >= distanceMax) return Infinity;
      leastBefore = least;
    }
    const distance = table[count * width + letters.length] ?? Infinity;
    return distance <= distanceMax ? distance : Infinity;
  };
  return { measure, pointsMax: depthMax };
}
