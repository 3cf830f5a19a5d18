import { limits } from "../limits.ts";
import { CodeRows, rowsPerCall } from "./code-rows.ts";
import { hnsw, type GraphReader } from "./graph-engine.ts";
import { GraphFile, linksMax } from "./graph-file.ts";
import { NodeHeap } from "./node-heap.ts";

/** Numbers of a node's links on the lowest level: one more than they are, or 0 while they were not read, and they. */
const linkPlaces = linksMax + 1;

/** Searches never interleave, so that these serve all graphs. A node was seen if its mark is the search's number. */
let marks = new Uint32Array(0);
let searches = 0;
const frontier = new NodeHeap();
const nearest = new NodeHeap();

interface Scored {
  node: number;
  score: number;
}

/**
 * A graph of int8 vectors that usearch built, searched by the same method (HNSW: Malkov and Yashunin, 2016, algorithms 2
 * and 5) in TypeScript, with the scores in WebAssembly: 0.85 of the time of usearch's own search of a mapped file, and
 * nothing that a damaged file holds can end the process. The query keeps 16 bits, where usearch's has 8.
 */
export class CodeGraph implements GraphReader {
  readonly nodes: number;
  /** Numbers of a vector. */
  readonly dimensions: number;
  readonly heapBytes: number;
  readonly #file: GraphFile;
  readonly #rows: CodeRows;
  /** `linkPlaces` for each node; empty where nothing is kept. */
  readonly #lowest: Int32Array;
  readonly #links = new Int32Array(rowsPerCall);
  readonly #scores = new Int32Array(rowsPerCall);

  /**
   * @param bytesMax for copies of all graphs of the process; past it they are searched where they lie
   * @throws Error where the file is not such a graph
   */
  constructor(path: string, bytesMax: number = limits.graphBytesCopiedMax) {
    this.#file = new GraphFile(path);
    this.nodes = this.#file.nodes;
    this.dimensions = this.#file.dimensions;
    try {
      const beside = linkPlaces * Int32Array.BYTES_PER_ELEMENT;
      this.#rows = new CodeRows(this.#file, { beside, bytesMax });
      this.#lowest = new Int32Array(this.#rows.keeps ? this.nodes * linkPlaces : 0);
    } catch (error) {
      // There is no memory for it.
      this.#file.close();
      throw error;
    }
    this.heapBytes = this.#file.heapBytes + this.#rows.heapBytes;
  }

  nearest(query: Float32Array, fetch: number): Uint32Array {
    if (this.nodes === 0) return new Uint32Array(0);
    this.#rows.ask(query);
    this.#explore(this.#descend(), Math.max(fetch, hnsw.expansionSearch));
    while (nearest.size > fetch) nearest.pop();
    const found = new Uint32Array(nearest.size);
    for (let place = nearest.size - 1; place >= 0; place--) {
      found[place] = this.#file.keyOf(nearest.pop());
    }
    return found;
  }

  close(): void {
    this.#rows.close();
    this.#file.close();
  }

  /** From the entry down to level 1, on each to the node that is nearer than all its neighbours. */
  #descend(): Scored {
    this.#links[0] = this.#file.entry;
    this.#rows.score(this.#links, 1, this.#scores);
    let near = { node: this.#file.entry, score: this.#scores[0] ?? 0 };
    for (let level = this.#file.topLevel; level > 0; level--) {
      for (let next = this.#nearer(near, level); next !== near; next = this.#nearer(near, level)) {
        near = next;
      }
    }
    return near;
  }

  /** The best neighbour of a node on a level, or the node itself where it is nearer. */
  #nearer(near: Scored, level: number): Scored {
    const count = this.#file.linksOf(near.node, level, this.#links);
    this.#rows.score(this.#links, count, this.#scores);
    let best = near;
    for (let at = 0; at < count; at++) {
      const score = this.#scores[at] ?? 0;
      if (score > best.score) best = { node: this.#links[at] ?? 0, score };
    }
    return best;
  }

  /**
   * On the lowest level, always on from the nearest node whose neighbours were not looked at. Leaves the `expansion` nearest
   * ones in `nearest`, by the negative of their scores.
   */
  #explore(from: Scored, expansion: number): void {
    const mark = nextMark(this.nodes);
    const [links, scores] = [this.#links, this.#scores];
    marks[from.node] = mark;
    frontier.restart(from.node, from.score);
    nearest.restart(from.node, -from.score);
    while (frontier.size > 0 && (frontier.first >= -nearest.first || nearest.size < expansion)) {
      const count = this.#unseen(frontier.pop(), mark);
      this.#rows.score(links, count, scores);
      for (let at = 0; at < count; at++) {
        const score = scores[at] ?? 0;
        const isFull = nearest.size >= expansion;
        if (isFull && score <= -nearest.first) continue;
        const node = links[at] ?? 0;
        frontier.push(node, score);
        if (isFull) nearest.replace(node, -score);
        else nearest.push(node, -score);
      }
    }
  }

  /** Leaves the neighbours of a node that were not seen yet in `#links`, and marks them; gives how many they are. */
  #unseen(node: number, mark: number): number {
    const links = this.#links;
    const seen = marks;
    let from: Int32Array = links;
    let start = 0;
    let end = 0;
    if (this.#rows.keeps) {
      from = this.#lowest;
      start = node * linkPlaces;
      if (from[start] === 0) this.#copyLinks(node, start);
      end = start + (from[start++] ?? 0);
    } else end = this.#file.linksOf(node, 0, links);
    let kept = 0;
    for (let at = start; at < end; at++) {
      const other = from[at] ?? 0;
      if (seen[other] === mark) continue;
      seen[other] = mark;
      links[kept++] = other;
    }
    return kept;
  }

  #copyLinks(node: number, start: number): void {
    const count = this.#file.linksOf(node, 0, this.#links);
    this.#lowest[start] = count + 1;
    this.#lowest.set(this.#links.subarray(0, count), start + 1);
  }
}

/** The number of a new search. */
function nextMark(nodes: number): number {
  if (marks.length < nodes) marks = new Uint32Array(nodes);
  if (++searches > 0xff_ff_ff_ff) {
    marks.fill(0);
    searches = 1;
  }
  return searches;
}
