import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RowSet } from "../../../src/segments/row-set.ts";
import type {
  BuildJob,
  Built,
  Delta,
  OpenSegment,
  Parts,
  SegmentFiles,
  SegmentKind,
  Steps,
} from "../../../src/segments/segment-kind.ts";

/** The smallest index there is: keys alone, a file of 64-bit floats. */
export class NumberDelta implements Delta {
  readonly #keys = new Set<number>();
  get size(): number {
    return this.#keys.size;
  }
  get rows(): number {
    return this.size;
  }
  get bytes(): number {
    return this.size * 8;
  }
  add(key: number): void {
    this.#keys.add(key);
  }
  has(key: number): boolean {
    return this.#keys.has(key);
  }
  remove(key: number): boolean {
    return this.#keys.delete(key);
  }
  keys(): Iterable<number> {
    return this.#keys;
  }
  *dump(folder: string): Steps<SegmentFiles> {
    yield;
    return write(folder, [...this.#keys]);
  }
}

export class NumberSegment implements OpenSegment {
  readonly #keys: Float64Array;
  readonly heapBytes: number;
  closed = false;
  constructor(path: string) {
    this.#keys = new Float64Array(readFileSync(path).buffer.slice(0));
    this.heapBytes = this.#keys.byteLength;
  }
  get rows(): number {
    return this.#keys.length;
  }
  keyAt(row: number): number {
    return this.#keys[row] ?? 0;
  }
  rowOf(key: number): number {
    return this.#keys.indexOf(key);
  }
  close(): void {
    this.closed = true;
  }
}

export type NumberParts = Parts<NumberSegment, NumberDelta>;

function write(folder: string, keys: readonly number[]): SegmentFiles {
  const path = join(folder, "numbers");
  writeFileSync(path, new Uint8Array(new Float64Array(keys).buffer));
  return { numbers: path };
}

export function numberKind(version = 1): SegmentKind<NumberSegment, NumberDelta> {
  return {
    name: "numbers",
    facts: { version },
    createDelta: () => new NumberDelta(),
    open: ({ numbers = "" }) => new NumberSegment(numbers),
    *build({ sources, folder }: BuildJob): Steps<Built> {
      const keys: number[] = [];
      for (const { files, dead, rows } of sources) {
        const segment = new NumberSegment(files["numbers"] ?? "");
        const gone = new RowSet(rows, dead.length > 0 ? dead.slice() : undefined);
        for (let row = 0; row < segment.rows; row++) {
          if (!gone.has(row)) keys.push(segment.keyAt(row));
        }
        yield;
      }
      return { rows: keys.length, files: write(folder, keys), dead: new Uint8Array() };
    },
  };
}

/** Every live key, once for each part that has it, in order. */
export function liveKeys({ sealed, frozen, active }: NumberParts): number[] {
  const keys = [...active.keys()];
  for (const { delta, dead } of frozen) {
    for (const key of delta.keys()) if (!dead.has(key)) keys.push(key);
  }
  for (const { segment, dead } of sealed) {
    for (let row = 0; row < segment.rows; row++) {
      if (!dead.has(row)) keys.push(segment.keyAt(row));
    }
  }
  return keys.toSorted((a, b) => a - b);
}
