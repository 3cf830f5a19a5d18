/** Places made at first. */
const placesFirst = 1024;

/** Nodes by their scores, the highest first: a binary heap that grows as it has to. */
export class NodeHeap {
  size = 0;
  #nodes = new Int32Array(placesFirst);
  #scores = new Int32Array(placesFirst);

  /** The highest score. */
  get first(): number {
    return this.#scores[0] ?? 0;
  }

  /** Leaves one node in it. */
  restart(node: number, score: number): void {
    this.size = 0;
    this.push(node, score);
  }

  /** O(log size) */
  push(node: number, score: number): void {
    if (this.size === this.#nodes.length) this.#grow();
    const nodes = this.#nodes;
    const scores = this.#scores;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = scores[parent] ?? 0;
      if (above >= score) break;
      scores[at] = above;
      nodes[at] = nodes[parent] ?? 0;
      at = parent;
    }
    scores[at] = score;
    nodes[at] = node;
  }

  /** Takes the node with the highest score out. O(log size) */
  pop(): number {
    const node = this.#nodes[0] ?? 0;
    const last = --this.size;
    this.replace(this.#nodes[last] ?? 0, this.#scores[last] ?? 0);
    return node;
  }

  /** Puts a node in the place of the one with the highest score, and from there down to where all below is less. O(log size) */
  replace(node: number, score: number): void {
    const nodes = this.#nodes;
    const scores = this.#scores;
    const size = this.size;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && (scores[child + 1] ?? 0) > (scores[child] ?? 0)) child++;
      const below = scores[child] ?? 0;
      if (below <= score) break;
      scores[at] = below;
      nodes[at] = nodes[child] ?? 0;
      at = child;
    }
    scores[at] = score;
    nodes[at] = node;
  }

  #grow(): void {
    const nodes = new Int32Array(this.#nodes.length * 2);
    const scores = new Int32Array(nodes.length);
    nodes.set(this.#nodes);
    scores.set(this.#scores);
    this.#nodes = nodes;
    this.#scores = scores;
  }
}
