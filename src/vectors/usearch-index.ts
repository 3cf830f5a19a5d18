import { assert } from "../problems.ts";
import { FlatVectors } from "./flat-vectors.ts";
import { createTopK, neighbours } from "./top-k.ts";
import type { TopK } from "./top-k.ts";
import { UsearchGraph } from "./usearch-graph.ts";
import { scanTop } from "./usearch-scan.ts";
import type { Neighbour, VectorIndex, VectorSearch } from "./vector-index.ts";

/** Sizes at which the index changes its ways. */
interface UsearchTuning {
  /** Up to this many vectors there is no graph. */
  flatRowsMax: number;
  /** Vectors outside the graph that start a background build. */
  tailRowsMax: number;
}

/**
 * A scan takes as long as a graph search at some 1,200 vectors (0.1 ms, 256 or 384 dimensions, k = 10) and twice that at
 * 2,000, where it is still cheap, needs no building and is exact.
 */
const tuningDefault: UsearchTuning = { flatRowsMax: 2000, tailRowsMax: 500 };

/** The longest that background building holds the thread at once; the last vector may overrun it by its own time. */
const sliceMs = 4;

/** Share of dead nodes past which the graph is built anew: they cost a search as much as live ones. */
const deadShareMax = 0.2;

/** usearch's ef: fetching fewer candidates than this saves nothing. */
const fetchMin = 64;

/** Candidates past those asked for: float16 swaps close neighbours, which are then scored again in float32. */
const fetchSlack = 8;

/** Growth of a fetch that found too few. */
const fetchGrowth = 4;

/** Allowed vectors are not spread evenly, and a second fetch costs more than a longer first one. */
const fetchFilteredFactor = 1.5;

/** Scattered vectors that are scored one by one in the time that the graph needs per candidate: measured 5 to 11. */
const scoredPerFetched = 8;

/**
 * A vector index with usearch (HNSW, float16, cosine) behind a store of float32 vectors. New vectors enter a tail, which
 * every search scans exactly, and move into the graph in the background: they are found at once, and a start from
 * stored vectors waits for nothing. Scores always come from the float32 vectors, so that they equal the exact index's.
 */
export const createUsearchIndex = (
  dimensions: number,
  tuning: UsearchTuning = tuningDefault,
): UsearchIndex => new UsearchIndex(dimensions, tuning);

/** @see createUsearchIndex */
export class UsearchIndex implements VectorIndex {
  readonly dimensions: number;
  readonly #tuning: UsearchTuning;
  /** Vectors that the graph knows. A key is either here or in the tail. */
  readonly #graphed: FlatVectors;
  readonly #tail: FlatVectors;
  #graph: UsearchGraph | undefined;
  /** The graph that will take the other's place; rows from number `rowsLeft` on are in it. */
  #rebuild: { graph: UsearchGraph; rowsLeft: number } | undefined;
  #slice: ReturnType<typeof setImmediate> | undefined;
  #disposed = false;

  constructor(dimensions: number, tuning: UsearchTuning) {
    this.dimensions = dimensions;
    this.#tuning = tuning;
    this.#graphed = new FlatVectors(dimensions);
    this.#tail = new FlatVectors(dimensions);
  }

  get size(): number {
    return this.#graphed.size + this.#tail.size;
  }

  get bytes(): number {
    const graphs = (this.#graph?.bytes ?? 0) + (this.#rebuild?.graph.bytes ?? 0);
    return this.#graphed.bytes + this.#tail.bytes + graphs;
  }

  has(key: number): boolean {
    return this.#graphed.has(key) || this.#tail.has(key);
  }

  set(key: number, vector: Float32Array): void {
    assert(!this.#disposed, "a disposed index is not written to");
    assert(Number.isSafeInteger(key) && key > 0, "a key is a positive safe integer");
    assert(vector.length === this.dimensions, "a vector has the index's dimensions");
    // Unchanged text is written again often, and need not leave a dead node each time.
    if (this.#graphed.holds(key, vector)) return;
    this.#removeGraphed(key);
    this.#tail.put(key, vector);
    this.#scheduleBuild();
  }

  remove(key: number): boolean {
    const removed = this.#tail.remove(key) >= 0 || this.#removeGraphed(key);
    if (removed) this.#scheduleBuild();
    return removed;
  }

  search(search: VectorSearch): Neighbour[] {
    const { vector, k, allowed } = search;
    assert(vector.length === this.dimensions, "a query has the index's dimensions");
    assert(Number.isInteger(k) && k >= 1, "k is a positive integer");
    const top = this.#topOfTail(search);
    const rows = this.#nearestRows(search);
    if (rows !== undefined) {
      for (const row of rows) this.#graphed.offerRow(top, row, vector);
    } else if (allowed === undefined) {
      this.#graphed.offerAll(top, vector);
    } else {
      this.#graphed.offerAllowed(top, vector, allowed);
    }
    return neighbours(top);
  }

  /**
   * Moves vectors from the tail into the graph, and builds the graph anew where too much of it is dead, for `budgetMs`
   * or one vector longer. Returns whether more remains. The index calls it by itself once it is behind.
   * @throws Error when native memory is out; every vector is still found then
   */
  build(budgetMs: number): boolean {
    const endMs = performance.now() + budgetMs;
    while (this.#canBuild() && performance.now() < endMs) this.#buildStep();
    return this.#canBuild();
  }

  /** Stops building in the background and gives the memory back. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    clearImmediate(this.#slice);
    this.#slice = undefined;
    this.#graph = undefined;
    this.#rebuild = undefined;
    this.#graphed.clear();
    this.#tail.clear();
    return Promise.resolve();
  }

  /** The best of the tail, in a heap with room for the best of all. */
  #topOfTail({ vector, k, allowed }: VectorSearch): TopK {
    const capacity = Math.min(k, this.size);
    if (allowed === undefined) return scanTop(this.#tail, vector, capacity);
    const top = createTopK(capacity);
    this.#tail.offerAllowed(top, vector, allowed);
    return top;
  }

  /**
   * Rows among which the graph's best `k` are: live, allowed, and `k` or more. Undefined if all rows that qualify must be
   * scored instead, because that is cheaper or because the graph does not give enough.
   */
  #nearestRows({ vector, k, allowed }: VectorSearch): number[] | undefined {
    const graph = this.#graph;
    if (graph === undefined) return undefined;
    const candidates = Math.min(this.#graphed.size, allowed?.size ?? Infinity);
    const wanted = Math.min(k, this.#graphed.size);
    let fetch = wanted + fetchSlack;
    if (allowed !== undefined) {
      fetch *= fetchFilteredFactor / Math.min(1, allowed.size / this.size);
    }
    fetch = Math.ceil(fetch / (1 - graph.deadShare));
    while (fetch < graph.nodes && Math.max(fetch, fetchMin) * scoredPerFetched < candidates) {
      let rows = graph.nearestRows(vector, fetch);
      if (allowed !== undefined) rows = rows.filter((row) => allowed.has(this.#graphed.keyAt(row)));
      if (rows.length >= wanted) return rows;
      fetch *= fetchGrowth;
    }
    return undefined;
  }

  #removeGraphed(key: number): boolean {
    const row = this.#graphed.remove(key);
    if (row < 0) return false;
    this.#graph?.removeRow(row, this.#graphed.size);
    this.#rebuild?.graph.removeRow(row, this.#graphed.size);
    return true;
  }

  /** Starts background building if the index is behind; a build that has started goes on until nothing is left. */
  #scheduleBuild(): void {
    if (this.#slice !== undefined || !this.#canBuild()) return;
    const isBehind =
      this.#graph === undefined ||
      this.#tail.size > this.#tuning.tailRowsMax ||
      this.#isRebuildDue(this.#graph);
    if (isBehind) this.#scheduleSlice();
  }

  #scheduleSlice(): void {
    this.#slice = setImmediate(() => {
      this.#slice = undefined;
      if (this.build(sliceMs)) this.#scheduleSlice();
    });
  }

  #canBuild(): boolean {
    if (this.#graph === undefined) return this.size > this.#tuning.flatRowsMax;
    return this.#tail.size > 0 || this.#isRebuildDue(this.#graph);
  }

  #isRebuildDue(graph: UsearchGraph): boolean {
    return this.#rebuild !== undefined || graph.deadShare > deadShareMax;
  }

  #buildStep(): void {
    const graph = (this.#graph ??= new UsearchGraph(this.dimensions));
    if (this.#rebuild !== undefined) this.#carryRow(this.#rebuild);
    else if (!this.#isRebuildDue(graph)) this.#moveFromTail(graph);
    else if (this.size > this.#tuning.flatRowsMax) {
      this.#rebuild = { graph: new UsearchGraph(this.dimensions), rowsLeft: this.#graphed.size };
    } else this.#dropGraph();
  }

  #moveFromTail(graph: UsearchGraph): void {
    const last = this.#tail.size - 1;
    const key = this.#tail.keyAt(last);
    const vector = this.#tail.vectorAt(last);
    const row = this.#graphed.size;
    this.#graphed.put(key, vector);
    try {
      graph.add(row, vector);
    } catch (cause) {
      // It stays in the tail alone, where it is found.
      this.#graphed.remove(key);
      throw cause;
    }
    this.#tail.remove(key);
  }

  /**
   * From the last row down, because a removal moves the last row into the gap: that one has been carried already. Nothing
   * moves from the tail meanwhile, so no row is added behind, and the old graph answers until the new one is whole.
   */
  #carryRow(rebuild: { graph: UsearchGraph; rowsLeft: number }): void {
    const row = Math.min(rebuild.rowsLeft, this.#graphed.size) - 1;
    if (row >= 0 && !rebuild.graph.has(row)) rebuild.graph.add(row, this.#graphed.vectorAt(row));
    rebuild.rowsLeft = row;
    if (row > 0) return;
    this.#graph = rebuild.graph;
    this.#rebuild = undefined;
  }

  /** Too few vectors are left for a graph to pay. */
  #dropGraph(): void {
    for (let row = 0; row < this.#graphed.size; row++) {
      this.#tail.put(this.#graphed.keyAt(row), this.#graphed.vectorAt(row));
    }
    this.#graphed.clear();
    this.#graph = undefined;
  }
}
