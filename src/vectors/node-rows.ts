const none = -1;

/**
 * Which rows of a store each node of a graph stands for: one, several whose vectors are equal, or none when the node is
 * dead. Rows of a node are linked both ways, so that every change is O(1).
 */
export class NodeRows {
  #firstRow = new Int32Array(64).fill(none);
  #nodeOfRow = new Int32Array(64).fill(none);
  #nextRow = new Int32Array(64).fill(none);
  #previousRow = new Int32Array(64).fill(none);

  get bytes(): number {
    return this.#firstRow.byteLength + 3 * this.#nodeOfRow.byteLength;
  }

  isDead(node: number): boolean {
    return (this.#firstRow[node] ?? none) === none;
  }

  /** The node of a row, -1 if it has none. */
  nodeOf(row: number): number {
    return this.#nodeOfRow[row] ?? none;
  }

  /** Appends the node's rows to `rows`. O(rows of the node). */
  appendRows(node: number, rows: number[]): void {
    let row = this.#firstRow[node] ?? none;
    while (row !== none) {
      rows.push(row);
      row = this.#nextRow[row] ?? none;
    }
  }

  /** Puts a row that has no node under this one. */
  link(row: number, node: number): void {
    this.#firstRow = withRoomFor(this.#firstRow, node);
    this.#nodeOfRow = withRoomFor(this.#nodeOfRow, row);
    this.#nextRow = withRoomFor(this.#nextRow, row);
    this.#previousRow = withRoomFor(this.#previousRow, row);
    const next = this.#firstRow[node] ?? none;
    this.#nodeOfRow[row] = node;
    this.#nextRow[row] = next;
    this.#previousRow[row] = none;
    this.#firstRow[node] = row;
    if (next !== none) this.#previousRow[next] = row;
  }

  /** Takes the row from its node. */
  unlink(row: number): void {
    const next = this.#nextRow[row] ?? none;
    const previous = this.#previousRow[row] ?? none;
    if (previous === none) this.#firstRow[this.nodeOf(row)] = next;
    else this.#nextRow[previous] = next;
    if (next !== none) this.#previousRow[next] = previous;
    this.#nodeOfRow[row] = none;
  }

  /** The row is known by another number from now on, one that has no node. */
  renumber(from: number, to: number): void {
    const node = this.nodeOf(from);
    this.unlink(from);
    this.link(to, node);
  }
}

function withRoomFor(array: Int32Array<ArrayBuffer>, at: number): Int32Array<ArrayBuffer> {
  if (at < array.length) return array;
  const longer = new Int32Array(Math.max(at + 1, array.length * 2)).fill(none);
  longer.set(array);
  return longer;
}
