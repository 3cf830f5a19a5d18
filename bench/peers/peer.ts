import type { FilterName } from "./vectors.ts";

/** Parameters of every graph: M, efConstruction and ef, so that all have the same work and recall of at least 0.99. */
export const graph = { m: 16, efConstruction: 128, ef: 64 } as const;

/** Documents of a write, for all the same. */
export const DOCUMENTS_PER_WRITE = 500;

/** Where a system lies and keeps its data. */
export interface Places {
  /** What install.sh made. */
  install: string;
  /** Of this system alone. */
  dataDir: string;
}

/** A stored row. */
export interface Row {
  row: number;
  vector: Float32Array;
  percent1: string;
  percent10: string;
}

/**
 * A search for the ten nearest, bound by equality with `value` unless the filter is `none`. Every system is asked for ids,
 * and for the scores or distances that come with them, and for no text, metadata or vector.
 */
export interface Search {
  query: Float32Array;
  filter: FilterName;
  value: string;
}

interface Facts {
  readonly name: string;
  /** How its users call it, for the table. */
  readonly interface: string;
  /** What was set, and to what. */
  readonly parameters: string;
  /** Version of what is installed. */
  version(install: string): Promise<string>;
}

/** A server with an interface over HTTP. */
export interface HttpPeer extends Facts {
  readonly kind: "http";
  /** Starts it over its data directory; resolves as soon as it listens. */
  start(places: Places): Promise<HttpSession>;
}

export interface HttpSession extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** Makes the collection. */
  create(): Promise<void>;
  /** Resolves when the rows are acknowledged. */
  insert(rows: readonly Row[]): Promise<void>;
  /** Resolves when nothing is left to be indexed. */
  settle(): Promise<void>;
  /** The request of a search, its address and JSON body. */
  request(search: Search): Promise<{ url: string; body: unknown }>;
  rowsOf(answer: unknown): number[];
  /** Text of every answer with hits. */
  readonly expect: string;
}

/** A library, or a server with a wire of its own: searches are calls in a process of ours. */
export interface LibraryPeer extends Facts {
  readonly kind: "library";
  open(places: Places): Promise<LibrarySession>;
}

export interface LibrarySession extends AsyncDisposable {
  /** Process that holds the data where it is not this one. */
  readonly pid?: number;
  create(): Promise<void>;
  insert(rows: readonly Row[]): Promise<void>;
  settle(): Promise<void>;
  search(search: Search): Promise<number[]>;
}

export type Peer = HttpPeer | LibraryPeer;
