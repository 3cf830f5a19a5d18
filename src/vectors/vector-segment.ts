import type { RowSet } from "../segments/row-set.ts";
import type { OpenSegment } from "../segments/segment-kind.ts";
import { hnsw, type GraphReader } from "./graph-engine.ts";
import { endOfChain, type RowsFile } from "./rows-file.ts";
import { offerRows, type ScanTop } from "./scan.ts";
import { SearchCosts } from "./search-costs.ts";
import { offerTop, type TopK } from "./top-k.ts";
import type { AllowedKeys, VectorSearch } from "./vector-index.ts";

/** Candidates past those asked for: rounded vectors swap close neighbours, which are then scored again in float32. */
const fetchSlack = 8;

/** Growth of a fetch that found too few. */
const fetchGrowth = 2;

/** Rows that are looked at to see which share of a segment a filter allows. */
const sampleRows = 64;

/** Its multiples, without their whole parts, are spread evenly and in step with nothing. */
const goldenRatio = (Math.sqrt(5) - 1) / 2;

/** Weight, in sampled rows, of the share that the size of the filter suggests. */
const priorRows = 4;

/** SIMD scores a row of a contiguous matrix in this share of the time that a scattered one takes. */
const wholeScanShare = 0.4;

export interface VectorSegmentParts {
  file: RowsFile;
  graph: GraphReader | undefined;
  scan: ScanTop;
  /** Candidates for each neighbour that is asked for: a rougher graph needs more. */
  oversampling: number;
}

/** A sealed segment of vectors: mapped rows and, where they are many, a graph over them. */
export class VectorSegment implements OpenSegment {
  readonly #file: RowsFile;
  readonly #graph: GraphReader | undefined;
  readonly #scan: ScanTop;
  readonly #oversampling: number;
  readonly #costs: SearchCosts;

  constructor({ file, graph, scan, oversampling }: VectorSegmentParts) {
    this.#file = file;
    this.#graph = graph;
    this.#scan = scan;
    this.#oversampling = oversampling;
    this.#costs = new SearchCosts(file.dimensions);
  }

  get rows(): number {
    return this.#file.size;
  }

  get heapBytes(): number {
    return this.#graph?.heapBytes ?? 0;
  }

  keyAt(row: number): number {
    return this.#file.keyAt(row);
  }

  rowOf(key: number): number {
    return this.#file.rowOf(key);
  }

  /** True if a row has exactly these numbers. */
  holds(row: number, vector: Float32Array): boolean {
    return this.#file.rowsAt(row, row + 1).every((number, at) => number === vector[at]);
  }

  close(): void {
    this.#graph?.close();
    this.#file.close();
  }

  /**
   * Offers live, allowed rows: the best `k` of them, or all where there are fewer. A graph search may miss a neighbour
   * that is near; the number of rows is never short.
   */
  offerTo(top: TopK, search: VectorSearch, dead: RowSet): void {
    if (dead.size >= this.rows) return;
    if (!this.#offerFromGraph(top, search, dead)) this.#offerFromScan(top, search, dead);
  }

  /**
   * Whether the graph gave `k` live and allowed rows, which it is asked for as long as that is expected to be cheaper
   * than scoring every row that qualifies.
   */
  #offerFromGraph(top: TopK, { vector, k, allowed }: VectorSearch, dead: RowSet): boolean {
    const graph = this.#graph;
    if (graph === undefined) return false;
    const live = this.rows - dead.size;
    const wanted = Math.min(k, live);
    const share = allowed === undefined ? 1 : this.#allowedShare(allowed, live);
    const scanNs = this.#scanNs({ allowed, live, share });
    // Twice the square root is two standard deviations, or more, of how many of the nearest are allowed.
    const margin = allowed === undefined ? 0 : 2 * Math.sqrt(wanted);
    const needed = (wanted * this.#oversampling + margin) / share + fetchSlack;
    let fetch = Math.ceil((needed * this.rows) / live);
    for (; fetch < graph.nodes; fetch *= fetchGrowth) {
      const candidates = Math.max(fetch, hnsw.expansionSearch);
      if (this.#costs.graph(candidates) >= scanNs) return false;
      const startNs = Bun.nanoseconds();
      const rows = this.#qualified(graph.nearest(vector, fetch), allowed, dead);
      if (rows.length >= wanted) offerRows(top, this.#file, { rows, query: vector });
      this.#costs.graphTook(Bun.nanoseconds() - startNs, candidates);
      if (rows.length >= wanted) return true;
    }
    return false;
  }

  /** The live and allowed rows of some nodes. */
  #qualified(nodes: ArrayLike<number>, allowed: AllowedKeys | undefined, dead: RowSet): number[] {
    const rows: number[] = [];
    for (let at = 0; at < nodes.length; at++) {
      for (let row = nodes[at] ?? endOfChain; row !== endOfChain; row = this.#file.nextOf(row)) {
        if (dead.has(row)) continue;
        if (allowed === undefined || allowed.has(this.#file.keyAt(row))) rows.push(row);
      }
    }
    return rows;
  }

  /** About which share of the live rows is allowed, above 0: from a sample, as keys of one segment may have much in common. */
  #allowedShare(allowed: AllowedKeys, live: number): number {
    const prior = Math.min(1, allowed.size / live);
    // So few are found one by one before any sample pays.
    if (allowed.size < sampleRows) return Math.max(prior, 1 / live);
    let hits = 0;
    for (let sample = 0; sample < sampleRows; sample++) {
      // Equal steps would meet the same values again and again where these come in turn, as tenants may.
      const at = ((sample + 0.5) * goldenRatio) % 1;
      if (allowed.has(this.#file.keyAt(Math.floor(at * this.rows)))) hits++;
    }
    return Math.max((hits + prior * priorRows) / (sampleRows + priorRows), 1 / live);
  }

  #scanNs({
    allowed,
    live,
    share,
  }: {
    allowed: AllowedKeys | undefined;
    live: number;
    share: number;
  }): number {
    if (allowed === undefined) {
      return this.#costs.scan({ lookUps: 0, rows: live * wholeScanShare });
    }
    const lookUps = Math.min(allowed.size, this.rows);
    return this.#costs.scan({ lookUps, rows: Math.min(lookUps, live * share) });
  }

  #offerFromScan(top: TopK, { vector, k, allowed }: VectorSearch, dead: RowSet): void {
    const startNs = Bun.nanoseconds();
    if (allowed === undefined) {
      offerTop(top, this.#scan(this.#file, { query: vector, k, skipped: dead }));
      const rows = (this.rows - dead.size) * wholeScanShare;
      // Learnt from like any other: what the graph cost in a bad spell would else never be forgotten.
      this.#costs.scanTook(Bun.nanoseconds() - startNs, { lookUps: 0, rows });
      return;
    }
    const rows = this.#file.allowedRows(allowed).filter((row) => !dead.has(row));
    offerRows(top, this.#file, { rows, query: vector });
    const lookUps = Math.min(allowed.size, this.rows);
    this.#costs.scanTook(Bun.nanoseconds() - startNs, { lookUps, rows: rows.length });
  }
}
