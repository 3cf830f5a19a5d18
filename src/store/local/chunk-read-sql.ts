import type { Filter } from "../filter.ts";
import type { ChunkHit, PendingChunk } from "../store.ts";
import { andFilter } from "./filter-sql.ts";
import type { Connection } from "./open-database.ts";

interface PendingPage {
  after: number;
  limit: number;
  collectionKey?: number;
}

interface ChunkPage extends Required<PendingPage> {
  upTo: number;
}

/** The SQL that reads chunks and vectors. */
export function chunkReadSql({ db, keep }: Connection) {
  const documentsOfChunks = keep<{ key: number; documentKey: number }, [string]>(
    "SELECT key, document_key AS documentKey FROM chunks WHERE key IN (SELECT value FROM json_each(?))",
  );
  const hits = keep<Omit<ChunkHit, "metadata"> & { metadata: string }, [string]>(
    `SELECT c.key AS chunkKey, c.document_key AS documentKey, d.id, d.title, c.text, d.metadata, c.position, c.start,
            c."end", c.heading
     FROM chunks c JOIN documents d ON d.key = c.document_key WHERE c.key IN (SELECT value FROM json_each(?))`,
  );
  const waiting = `SELECT c.key, c.collection_key AS collectionKey, d.title, coalesce(c.text, '') AS text
     FROM chunks c JOIN documents d ON d.key = c.document_key WHERE c.state = 0 AND c.key > ?`;
  const pending = keep<PendingChunk, [number, number]>(`${waiting} ORDER BY c.key LIMIT ?`);
  const pendingOf = keep<PendingChunk, [number, number, number]>(
    `${waiting} AND c.collection_key = ? ORDER BY c.key LIMIT ?`,
  );
  const chunksUpTo = keep<PendingChunk & { state: number }, [number, number, number, number]>(
    `SELECT c.key, c.collection_key AS collectionKey, d.title, coalesce(c.text, '') AS text, c.state
     FROM chunks c JOIN documents d ON d.key = c.document_key
     WHERE c.collection_key = ? AND c.key > ? AND c.key <= ? ORDER BY c.key LIMIT ?`,
  );
  const pendingTotal = keep<{ count: number }, []>(
    "SELECT count(*) AS count FROM chunks WHERE state = 0",
  );
  const vectors = keep<{ key: number; vector: Uint8Array }, [string]>(
    "SELECT chunk_key AS key, vector FROM vectors WHERE chunk_key IN (SELECT value FROM json_each(?))",
  );

  return {
    chunksMatching: (collectionKey: number, filter: Filter): Set<number> => {
      const only = andFilter(filter);
      using select = db.prepare<{ key: number }, (string | number)[]>(
        `SELECT c.key FROM documents d JOIN chunks c ON c.document_key = d.key WHERE d.collection_key = ?${only.sql}`,
      );
      return new Set(select.all(collectionKey, ...only.values).map((row) => row.key));
    },
    documentsOfChunks: (keys: readonly number[]): Map<number, number> =>
      new Map(documentsOfChunks.all(JSON.stringify(keys)).map((row) => [row.key, row.documentKey])),
    hits: (keys: readonly number[]): Map<number, ChunkHit> =>
      new Map(
        hits
          .all(JSON.stringify(keys))
          .map((row) => [row.chunkKey, { ...row, metadata: JSON.parse(row.metadata) }]),
      ),
    pending: ({ after, limit, collectionKey }: PendingPage): PendingChunk[] =>
      collectionKey === undefined
        ? pending.all(after, limit)
        : pendingOf.all(after, collectionKey, limit),
    chunksUpTo: ({ collectionKey, after, upTo, limit }: ChunkPage) =>
      chunksUpTo
        .all(collectionKey, after, upTo, limit)
        .map(({ state, ...chunk }) => ({ ...chunk, isPending: state === 0 })),
    pendingTotal: (): number => pendingTotal.get()?.count ?? 0,
    vectors: (keys: readonly number[]): { key: number; vector: Float32Array }[] =>
      vectors
        .all(JSON.stringify(keys))
        .map((row) => ({ key: row.key, vector: floatsOf(row.vector) })),
  };
}

/** A copy, since SQLite's bytes need not lie at a multiple of four. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}
