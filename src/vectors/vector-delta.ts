import { join } from "node:path";
import { assert } from "../problems.ts";
import type { Delta, SegmentFiles, Steps } from "../segments/segment-kind.ts";
import { FlatVectors } from "./flat-vectors.ts";
import { writeRowsFile } from "./rows-file.ts";
import type { ScanTop } from "./scan.ts";
import { offerTop, type TopK } from "./top-k.ts";
import type { VectorSearch } from "./vector-index.ts";

/** The newest vectors of an index, in memory. Every search scans them, so they are exact and need no building. */
export class VectorDelta implements Delta {
  readonly #vectors: FlatVectors;
  readonly #scan: ScanTop;

  constructor(dimensions: number, scan: ScanTop) {
    this.#vectors = new FlatVectors(dimensions);
    this.#scan = scan;
  }

  get size(): number {
    return this.#vectors.size;
  }

  get rows(): number {
    return this.#vectors.size;
  }

  get bytes(): number {
    return this.#vectors.bytes;
  }

  has(key: number): boolean {
    return this.#vectors.has(key);
  }

  /** Adds the vector or replaces the one that has this key, which must be in no other part; it is copied in. */
  set(key: number, vector: Float32Array): void {
    assert(Number.isSafeInteger(key) && key > 0, "a key is a positive safe integer");
    assert(vector.length === this.#vectors.dimensions, "a vector has the index's dimensions");
    this.#vectors.put(key, vector);
  }

  remove(key: number): boolean {
    return this.#vectors.remove(key) >= 0;
  }

  keys(): Iterable<number> {
    return this.#vectors.keys();
  }

  *dump(folder: string): Steps<SegmentFiles> {
    const rows = join(folder, "rows");
    const keys = this.#vectors.keys().slice();
    const order = Int32Array.from(keys, (_, row) => row);
    yield;
    order.sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
    yield;
    const vectors = [this.#vectors.matrix()];
    const { dimensions } = this.#vectors;
    yield* writeRowsFile(rows, { dimensions, keys, order, next: undefined, nodes: 0, vectors });
    return { rows };
  }

  /** Offers the vectors that may be found, but for keys in `dead`. */
  offerTo(top: TopK, { vector, k, allowed }: VectorSearch, dead?: ReadonlySet<number>): void {
    const vectors = this.#vectors;
    if (allowed !== undefined) {
      const alive = dead === undefined || dead.size === 0 ? undefined : dead;
      vectors.offerAllowed(top, vector, { allowed, dead: alive });
    } else if (vectors.size > 0) {
      const skipped =
        dead === undefined || dead.size === 0
          ? undefined
          : { size: dead.size, has: (row: number) => dead.has(vectors.keyAt(row)) };
      offerTop(top, this.#scan(vectors, { query: vector, k, skipped }));
    }
  }
}
