import type { RoundReport } from "../support/load-rounds.ts";
import { DOCUMENTS_PER_WRITE, type LibrarySession, type Row, type Search } from "./peer.ts";
import { filterValue, metadataOf, readVectors, rowVector, type FilterName } from "./vectors.ts";
import type { Rows } from "../support/vector-parts.ts";

/** What writing all rows took. */
export interface Loading {
  /** Until every write was acknowledged, one after the other. */
  acknowledgedMs: number;
  /** Until nothing was left to index. */
  indexedMs: number;
}

/** How searches are sent in a round. */
export interface Round {
  connections: number;
  filter: FilterName;
  seconds: number;
}

/** A system that takes part: loaded once, then opened again over what it stored, and searched in turns with the others. */
export interface Contestant extends AsyncDisposable {
  readonly name: string;
  /** Writes all rows into an empty data directory and stops. */
  load(): Promise<Loading>;
  /** Starts over the stored rows; gives the ms from the start of its process to the first answer with hits. */
  open(): Promise<number>;
  /** Stops what `open` started. */
  close(): Promise<void>;
  /** Rows found for every query. */
  find(filter: FilterName): Promise<number[][]>;
  round(round: Round): Promise<RoundReport>;
  memoryBytes(): number;
  diskBytes(): number;
}

/** Writes all rows into an empty system, one write after the other. */
export async function loadRows(
  session: Pick<LibrarySession, "create" | "insert" | "settle">,
  { cache, count }: { cache: string; count: number },
): Promise<Loading> {
  const { rows } = await readVectors(cache, count);
  await session.create();
  const start = performance.now();
  for (let from = 0; from < count; from += DOCUMENTS_PER_WRITE) {
    await session.insert(rowsBetween(rows, from, from + DOCUMENTS_PER_WRITE));
  }
  const acknowledgedMs = performance.now() - start;
  await session.settle();
  return { acknowledgedMs, indexedMs: performance.now() - start };
}

/** Some of the rows as they are written. */
function rowsBetween(rows: Rows, from: number, to: number): Row[] {
  return rows.keys
    .slice(from, to)
    .map((row) => ({ row, vector: rowVector(rows, row), ...metadataOf(row) }));
}

/** The search of a query, by its number. */
export function searchOf(queries: readonly Float32Array[], at: number, filter: FilterName): Search {
  const query = queries[at % queries.length] ?? new Float32Array();
  return {
    query,
    filter,
    value: filter === "none" ? "" : filterValue(filter, at % queries.length),
  };
}
